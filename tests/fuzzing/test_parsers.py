"""Whatever comes from outside is read or refused: with no other error, and soon."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from fuzz_profile import fuzzing
from hypothesis import given
from hypothesis import strategies as st
from parsers import PARSERS, Parser

MOST = 64 * 1024
"""Bytes of what is long."""

PATIENCE = 5.0
"""Seconds of a processor that a thread may take for so much. It takes 0.2 at most."""

each_parser = pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS.keys())


def rubbish(like: Any) -> st.SearchStrategy[Any]:
    """Return what comes as bytes or text, as `like` does."""
    if isinstance(like, bytes):
        return st.binary(max_size=30)
    return st.text(st.characters() | st.characters(categories=["Cs"]), max_size=30)


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[Any, ...]) -> Any:
    """Draw one of `seeds` with some places cut out, filled or repeated."""
    changed = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(changed))] * 2)))
        kind = draw(st.integers(0, 3))
        between = changed[start:end] * draw(st.integers(0, 3))
        if kind == 1:
            between = draw(rubbish(changed))
        elif kind == 2:
            other = draw(st.sampled_from(seeds))
            between = other[start:end]
        changed = changed[:start] + between + changed[end:]
    return changed


@each_parser
@fuzzing(60)
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(parser: Parser, data: st.DataObject) -> None:
    given_ = data.draw(mutated(parser.seeds) | rubbish(parser.seeds[0]))
    told = "read"
    try:
        parser.read(given_)
    except parser.errors as error:
        told = str(error)
    assert told


@each_parser
def test_there_is_something_to_be_read(parser: Parser) -> None:
    parser.read(parser.seeds[0])


@each_parser
@fuzzing(5)
@given(data=st.data())
def test_what_is_long_is_read_or_refused_soon(
    parser: Parser, data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(parser.seeds))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(seed))] * 2)))
    piece = seed[start:end] or seed
    long = seed[:start] + piece * (MOST // len(piece)) + seed[end:]
    began = time.thread_time()
    with suppress(*parser.errors):
        parser.read(long)
    assert time.thread_time() - began < PATIENCE
