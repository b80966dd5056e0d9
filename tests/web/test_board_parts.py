"""The jobs board with many rows, odd ones, and rows that are asked for again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from board_markup import board_of, link_in, read_board
from board_reports import HOUR, Reporter
from flask_clients import flask_client
from in_process import InProcessRelay
from relay_process import HTTPClient, Response
from relay_use import Clock

from pushrelay.board_rows import BoardRow, RowState
from pushrelay.config import Settings
from pushrelay.errors import StoreUnavailable
from pushrelay.web.pages.board import ROWS_PER_PAGE


def row_named(job: str, **more: Any) -> BoardRow:
    row = BoardRow(
        *(job, "", RowState.OK, None, 0, 0, 0, None, 0, 0, None, None, 0, None),
        *(10**9, 0, None, (), 1, None),
    )
    return replace(row, **more)


def client_of(*rows: BoardRow, **methods: Any) -> HTTPClient:
    """Return who asks a relay with these rows."""
    relay: Any = SimpleNamespace(
        overview=SimpleNamespace(rows=lambda _: rows),
        refresh_blocking=methods.pop("refresh_blocking", lambda: True),
        now=lambda: 2 * 10**9,
        runs=SimpleNamespace(**methods),
    )
    return FlaskAsked(Settings(), relay)


class FlaskAsked(HTTPClient):
    """Asks Flask alone."""

    def __init__(self, settings: Settings, relay: Any) -> None:
        super().__init__("relay", 0)
        self._client = flask_client(settings, relay)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        answer = self._client.open(target, method=method, headers=headers)
        return Response(answer.status_code, list(answer.headers), answer.data)


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
def test_paging_shows_every_row_once_in_order(count: int) -> None:
    names = [f"job-{number:03}" for number in range(count)]
    client = client_of(*map(row_named, names))
    seen: list[str] = []
    link: str | None = "/?search=JOB&state=ok"
    while link:
        page = read_board(client.get(link))
        assert ("First page" in page.html) == bool(seen)
        seen += page.names
        assert len(page.rows) <= ROWS_PER_PAGE
        link = page.next
    assert seen == names


def test_nothing_reported_is_markup() -> None:
    bad = "<script>alert(1)</script>\"'&"
    page = board_of(client_of(row_named(bad, instance=bad)), search=f"{bad}")
    assert page.html.count("<script") == page.html.count("</script>") == 1
    assert page.names == [f"{bad} {bad}"]
    # Others lead to other pages.
    link = link_in(page.rows[0].markup, "<a ")
    assert link == "/job?" + urlencode({"job": bad, "instance": bad})


def test_long_names_are_cut() -> None:
    page = board_of(client_of(row_named("j" * 201), row_named("k" * 200)))
    assert page.names == ["j" * 200 + "…", "k" * 200]


def unanswered(*_: Any) -> None:
    raise StoreUnavailable("the database does not answer")


def test_rows_are_there_without_the_runs_that_the_database_keeps() -> None:
    row = row_named("a", keys=(b"k",))
    page = board_of(client_of(row, marks_of_keys=unanswered))
    assert page.names == ["a"]
    assert "The database does not answer" not in page.html


def test_runs_are_not_asked_of_a_database_that_does_not_answer() -> None:
    row = row_named("a", keys=(b"k",))
    page = board_of(client_of(row, refresh_blocking=lambda: False))
    assert page.names == ["a"]
    assert "The database does not answer. This is what was known last." in page.html


# --- polling ---


def test_the_same_board_is_but_a_304(tmp_path: Path) -> None:
    clock = Clock()
    with InProcessRelay(tmp_path, clock) as relay:
        report = Reporter(relay, clock)
        report.push("a")
        first = relay.get("/")
        held = {"If-None-Match": first.header("etag") or ""}
        clock.go(90)
        # How long ago all that was is for the script to say.
        again = relay.get("/", held)
        assert (again.status, again.body) == (304, b"")
        assert "1 min ago" in relay.get("/").text
        report.push("b")
        changed = relay.get("/", held)
        assert changed.status == 200
        assert changed.header("etag") != first.header("etag")
        assert changed.header("cache-control") == "no-store"


# --- weight ---


def test_the_first_load_is_light(tmp_path: Path) -> None:
    clock = Clock()
    with InProcessRelay(tmp_path, clock) as relay:
        report = Reporter(relay, clock)
        for number in range(ROWS_PER_PAGE):
            for run in range(30):
                outcome = ("success", "failure", "timeout")[(run % 7 == 3) + (run == 9)]
                report.finish(
                    f"nightly-report-{number:02}",
                    outcome,
                    ago=HOUR * (30 - run),
                    seconds=10 + number * run,
                    instance="worker-1.example.org",
                )
        page = board_of(relay)
        assert len(page.rows) == ROWS_PER_PAGE
        assets = set(re.findall(r'"\./(static/.*?)"', page.html))
        assert len(assets) == 5
        answers = [relay.get(f"/{asset}") for asset in assets]
        assert {answer.status for answer in answers} == {200}
        weight = len(page.html.encode()) + sum(len(each.body) for each in answers)
        assert page.html.count('class="sparkline"') == ROWS_PER_PAGE
        assert weight < 100_000
