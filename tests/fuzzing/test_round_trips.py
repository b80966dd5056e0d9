"""What is written is read back as it was."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, urlencode

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsers import PARSERS

from pushrelay.calendar_expression import parse_calendar_expression
from pushrelay.config import Limits
from pushrelay.cron_line import parse_cron_line
from pushrelay.errors import InvalidCalendarExpression, InvalidCronLine
from pushrelay.exposition.compression import decode_body
from pushrelay.splitting import parse_by
from pushrelay.web.answers import cursor_of, place_of
from pushrelay.web.importing import _lines
from pushrelay.web.moments import past_moment
from pushrelay.web.parameters import Parameters, pairs_of
from pushrelay.web.query_api import rfc3339

SECOND = 10**9
COMPRESSED = {
    "gzip": lambda part: gzip.compress(part, mtime=0),
    "snappy": lambda part: bytes(cramjam.snappy.compress(part)),
}


@pytest.mark.parametrize("encoding", COMPRESSED)
@given(parts=st.lists(st.binary(), min_size=1, max_size=4))
def test_a_compressed_body(encoding: str, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    encoded = b"".join(map(COMPRESSED[encoding], parts))
    assert decode_body(encoded, encoding, len(whole)) == whole


@given(st.binary())
def test_a_place_behind_a_page(place: bytes) -> None:
    cursor = cursor_of(place)
    assert place_of(cursor) == place
    assert quote(cursor) == cursor


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_parameters(pairs: list[tuple[str, str]]) -> None:
    query = urlencode(pairs)
    assert pairs_of(query) == pairs
    parameters = Parameters(query)
    for name, _ in pairs:
        assert parameters.all(name) == [value for n, value in pairs if n == name]


@given(st.integers(0, 253402300799 * SECOND))
def test_moments(moment: int) -> None:
    # Those of databases end in 2262.
    moment = min(moment, 2**63 - 1)
    seconds, rest = divmod(moment, SECOND)
    for written in (rfc3339(moment), f"{seconds}.{rest:09d}"):
        parameters = Parameters(urlencode({"at": written}))
        assert past_moment(parameters, "at", 0) == moment


@given(st.lists(st.from_regex("[a-z][a-z0-9_]{0,5}", fullmatch=True), unique=True))
def test_labels_to_split_by(names: list[str]) -> None:
    wanted = [*names, *([] if "job" in names else ["job"])]
    assert list(parse_by(",".join(wanted), Limits())) == wanted


LABELS = st.dictionaries(st.text(), st.text())
TIMES = st.integers(1, 2**63 - 1)


@given(st.lists(st.tuples(LABELS, TIMES, TIMES, st.binary())))
def test_lines_of_an_import(groups: list[tuple[Any, int, int, bytes]]) -> None:
    documents = [
        {
            "labels": labels,
            "pushed_at_ns": pushed_at,
            "failed_at_ns": failed_at,
            "families": base64.b64encode(families).decode(),
        }
        for labels, pushed_at, failed_at, families in groups
    ]
    body = "\n\n".join(map(json.dumps, documents)).encode()
    read = [(g.labels, g.pushed_at, g.failed_at, g.families) for g in _lines(body)]
    assert read == groups


SCHEDULES = {
    "cron line": (parse_cron_line, InvalidCronLine, "0123456789*/,- MONJAFRI"),
    "calendar expression": (
        parse_calendar_expression,
        InvalidCalendarExpression,
        "0123456789*/,.-~: MonSu",
    ),
}


@pytest.mark.parametrize("kind", SCHEDULES)
@given(data=st.data())
def test_the_normal_form_of_a_schedule(kind: str, data: st.DataObject) -> None:
    parse, error, letters = SCHEDULES[kind]
    seeds = st.sampled_from(PARSERS[kind].seeds)
    written = data.draw(
        st.builds(
            lambda seed, at, put: seed[:at] + put + seed[at:],
            *(seeds, st.integers(0, 20), st.text(letters, max_size=3)),
        )
    )
    try:
        normal = str(parse(written))
    except error:
        return
    assert str(parse(normal)) == normal
