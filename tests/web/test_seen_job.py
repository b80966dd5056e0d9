"""The board, the badge and the page of a job say the same, whoever looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from board_markup import board_in
from flask.testing import FlaskClient
from flask_clients import flask_client
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_use import HOUR, Told, reader, told_relay

from pushrelay.config import Settings

_NUMBERS = count(1)
UNKNOWN = "unknown"
INSTANCES = ("", "x", "y")

READERS = [
    *("{}", '{instance="x"}', '{instance=""}', '{team="a"}', '{team!="a"}'),
    *('{team="a",instance="y"}', '{job="nobody"}'),
]

Happening = Callable[[Told, str], object]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with told_relay(tmp_path_factory.mktemp("relay")) as relay:
        yield relay


@pytest.fixture(scope="module")
def visitors(told: Told) -> list[FlaskClient]:
    relay = told.relay.relay
    return [flask_client(Settings(), relay, reader(match)) for match in READERS]


def push(labels: dict[str, str]) -> Happening:
    path = "".join(f"/{name}/{value}" for name, value in labels.items())
    return lambda told, job: told.push(f"job/{job}{path}")


def run(labels: dict[str, str], ago: int, outcome: str) -> Happening:
    if not outcome:
        return lambda told, job: told.began(job, ago, labels=labels)
    return lambda told, job: told.ended(job, ago, outcome, labels=labels)


def expect(expectation: dict[str, object]) -> Happening:
    return lambda told, job: told.expect(job, **expectation)


LABELS = st.fixed_dictionaries(
    {}, optional={"instance": st.sampled_from("xy"), "team": st.sampled_from("ab")}
)
HAPPENINGS = st.one_of(
    st.builds(push, LABELS),
    st.builds(
        run,
        LABELS,
        st.sampled_from([0, HOUR, 4 * HOUR]),
        st.sampled_from(["", "success", "failure"]),
    ),
    st.builds(
        expect,
        st.fixed_dictionaries(
            {"every": st.just("1h"), "per_instance": st.booleans()},
            optional={"max_runtime": st.just("2h")},
        ),
    ),
)


@settings(max_examples=10)
@given(st.lists(HAPPENINGS, min_size=1, max_size=6), st.sampled_from([0, 3 * HOUR]))
def test_they_say_the_same_to_everybody(
    told: Told,
    visitors: list[FlaskClient],
    happenings: list[Happening],
    later: int,
) -> None:
    job = f"job-{next(_NUMBERS)}"
    for happens in happenings:
        happens(told, job)
    told.clock.go(later)
    for visitor in visitors:
        board = on_board(visitor, job)
        states = dict(board)
        for instance in INSTANCES:
            state = states.get(instance)
            assert on_page(visitor, job=job, instance=instance) == state
            shown = on_badge(visitor, job=job, instance=instance)
            assert shown == state or (state is None and shown == UNKNOWN)
        assert on_badge(visitor, job=job) == (board[0][1] if board else UNKNOWN)
        assert bool(on_page(visitor, job=job)) is bool(board)


def on_board(visitor: FlaskClient, job: str) -> list[tuple[str, str]]:
    """Return the instances of a job with their states, in order."""
    page = board_in(visitor.get("/", query_string={"search": f'{{job="{job}"}}'}).text)
    return [(row.name.removeprefix(job).strip(), row.state) for row in page.rows]


def on_page(visitor: FlaskClient, **asked: str) -> str | None:
    """Return the first state on the page of a job; None if nothing is known of it."""
    answer = visitor.get("/job", query_string=asked)
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    [name, *_] = re.findall(r'class="state is-([a-z-]+)', answer.text)
    return str(name).replace("-", " ")


def on_badge(visitor: FlaskClient, **asked: str) -> str:
    """Return the state that a badge shows."""
    title = re.search(
        r"<title>.*: (.*)</title>", visitor.get("/badge.svg", query_string=asked).text
    )
    assert title is not None
    return title[1]
