from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data
from command import call, run, run_on_terminal

from pushrelay.cli import pages
from pushrelay.client import RelayClient


def group(number: int, **more: Any) -> dict[str, Any]:
    return {
        "labels": {"job": f"job-{number:04}"},
        "path": f"metrics/job/job-{number:04}",
        "state": "fresh",
        "created_at": 1.5,
        "pushed_at": time.time() - 2 * 86400 - 30,
        "failed_at": None,
        "last_push_successful": True,
        "families": 3,
        "series": 7,
        "stale_after": None,
        "stale_at": None,
        "forget_at": None,
        **more,
    }


class Store:
    """Answers as a relay with these groups does: page by page."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.groups = groups

    def __call__(self, asked: Asked) -> Canned:
        first = int(asked.parameters.get("cursor", ["0"])[0])
        behind = first + int(asked.parameters["limit"][0])
        more = behind < len(self.groups)
        return data(
            {
                "groups": self.groups[first:behind],
                "matching": len(self.groups),
                "next": str(behind) if more else None,
            }
        )


THREE = Store(
    [
        group(0),
        group(1, state="stale", last_push_successful=False, series=12345),
        group(2, pushed_at=None, labels={"job": "x", "instance": 'a\t"b"'}),
    ]
)
MANY = Store([group(number) for number in range(2345)])


def test_the_table_is_plain_columns_when_it_is_piped() -> None:
    with CannedServer(THREE) as server:
        done = run("groups", "--url", server.url)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == (
        "STATE           PUSHED  FAMILIES  SERIES  GROUP\n"
        'fresh           2d ago         3       7  {job="job-0000"}\n'
        'stale, refused  2d ago         3   12345  {job="job-0001"}\n'
        'fresh            never         3       7  {job="x",instance="a\\t\\"b\\""}\n'
    )


def test_nothing_that_is_listed_has_the_terminal_do_anything() -> None:
    bad = "\x1b]0;x\a"
    hostile = group(0, state=bad, series=bad, labels={"job": bad, bad: bad})
    with CannedServer(Store([hostile])) as server:
        done = run("groups", "--url", server.url)
    assert done.returncode == 0
    assert done.stdout.replace("\n", "").isprintable()
    assert '"\\x1b]0;x\\a"="\\x1b]0;x\\a"' in done.stdout


def test_the_table_fits_the_terminal() -> None:
    long = Store([group(0, labels={"job": "j" * 200})])
    with CannedServer(long) as server:
        _, shown = run_on_terminal("", "groups", "--url", server.url, columns=60)
    _, line = shown.splitlines()
    assert len(line) == 60
    assert line.endswith("jjj…")


def test_by_default_the_first_hundred_are_shown() -> None:
    with CannedServer(MANY) as server:
        done = run("groups", "--url", server.url)
    assert len(done.stdout.splitlines()) == 101
    assert done.stderr == "100 of 2,345 groups; --all shows all\n"
    assert [asked.parameters["limit"] for asked in server.asked] == [["100"]]


@pytest.mark.parametrize(
    ("options", "limits", "shown"),
    [
        (["--all"], ["1000"] * 3, 2345),
        (["--limit=7"], ["7"], 7),
        (["--limit=1000"], ["1000"], 1000),
        (["--limit=1500"], ["1000", "500"], 1500),
        (["--limit=9999"], ["1000"] * 3, 2345),
    ],
)
def test_pages_are_fetched_until_there_is_enough(
    options: list[str], limits: list[str], shown: int
) -> None:
    with CannedServer(MANY) as server:
        done = call("groups", "--output=json", "--url", server.url, *options)
    assert [asked.parameters["limit"][0] for asked in server.asked] == limits
    assert server.connections == 1
    document = json.loads(done.stdout)
    assert document == {"groups": MANY.groups[:shown], "matching": 2345}
    assert done.stderr == ""


def test_a_server_that_promises_more_and_gives_nothing_is_asked_once_more() -> None:
    def promising(asked: Asked) -> Canned:
        groups = [] if "cursor" in asked.parameters else [group(0)]
        return data({"groups": groups, "matching": 2, "next": "more"})

    with CannedServer(promising) as server:
        done = run("groups", "--url", server.url, "--all")
    assert "job-0000" in done.stdout
    assert len(server.asked) == 2


def test_a_list_that_comes_quickly_leaves_nothing_else_on_a_terminal() -> None:
    with CannedServer(MANY) as server:
        code, shown = run_on_terminal("", "groups", "--all", "--url", server.url)
    assert code == 0
    assert shown.startswith("STATE ")


def test_progress_of_a_slow_list_is_shown_on_a_terminal_and_erased(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "SLOW_SECONDS", 0.0)
    with CannedServer(MANY) as server, RelayClient(server.url) as relay:
        pages.fetch(relay, "groups", {}, None)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        pages.fetch(relay, "groups", {}, None)
        said = capsys.readouterr().err
        pages.fetch(relay, "groups", {}, pages.PAGE)
    told = [f"groups: {count} of 2,345" for count in ("2,000", "2,345")]
    assert said == "\r" + "\r".join([*told, " " * len(told[0]), ""])
    assert capsys.readouterr().err == ""


def test_what_is_asked_is_passed_on() -> None:
    with CannedServer(THREE) as server:
        run(
            *("groups", "--match={job=~'a.*'}", "--match={b=''}", "--state=stale"),
            *("--older-than=7d", "--sort=-pushed", "--url", server.url),
        )
    [asked] = server.asked
    assert asked.parameters == {
        "match[]": ["{job=~'a.*'}", "{b=''}"],
        "state": ["stale"],
        "older_than": ["7d"],
        "sort": ["-pushed"],
        "limit": ["100"],
    }


@pytest.mark.parametrize(
    "arguments",
    [["--limit=0"], ["--limit=1", "--all"], ["--state=gone"], ["--sort=name"]],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(THREE) as server:
        done = call("groups", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []
