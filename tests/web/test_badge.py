"""The badge of a job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from guarded import guarded
from hypothesis import given
from hypothesis import strategies as st
from in_process import InProcessRelay
from relay_process import HTTPClient, Response
from relay_use import Clock

from pushrelay.rights import Right
from pushrelay.web.pages.badge import badge_of

HOUR = 3600


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessRelay]:
    with InProcessRelay(tmp_path_factory.mktemp("relay"), Clock()) as relay:
        for target in (
            "job=backup&instance=db1&status=fail",
            "job=backup&instance=db2&status=success",
            "job=%3Cb%3E%26%22&status=success",
        ):
            assert relay.post(f"/api/v1/ping?{target}").status == 200
        yield relay


def badge(relay: HTTPClient, **query: str) -> Response:
    answer = relay.get(f"/badge.svg?{urlencode(query)}")
    assert answer.status == 200
    assert answer.header("Content-Type") == "image/svg+xml; charset=utf-8"
    return answer


def drawn(answer: Response) -> ElementTree.Element:
    return ElementTree.fromstring(answer.body)  # noqa: S314  # of the relay under test


def texts(answer: Response) -> list[str]:
    svg = drawn(answer)
    return [element.text or "" for element in svg.iter() if element.tag[-5:] == "}text"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        # Of several instances, the one that needs attention most.
        ({"job": "backup"}, ["backup", "failed"]),
        ({"job": "backup", "instance": "db1"}, ["backup db1", "failed"]),
        ({"job": "backup", "instance": "db2"}, ["backup db2", "ok"]),
        ({"job": "backup", "instance": "db3"}, ["backup db3", "unknown"]),
        ({"job": "backup", "instance": ""}, ["backup", "unknown"]),
        ({"job": "none"}, ["none", "unknown"]),
        ({}, ["", "unknown"]),
        ({"job": '<b>&"'}, ['<b>&"', "ok"]),
        (
            {"job": "a\0b\u200e"},
            ["a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}", "unknown"],
        ),
        ({"job": "x" * 500}, ["x" * 40 + "…", "unknown"]),
    ],
)
def test_it_shows_what_needs_attention_most(
    relay: InProcessRelay, query: dict[str, str], shown: list[str]
) -> None:
    assert texts(badge(relay, **query)) == shown


def test_other_pages_may_show_it_and_cannot_tell_what_it_shows(
    relay: InProcessRelay,
) -> None:
    sizes = set()
    for instance in ("db1", "db2", "db3"):
        answer = badge(relay, job="backup", instance=instance)
        assert answer.header("Cross-Origin-Resource-Policy") == "cross-origin"
        assert answer.header("Cache-Control") == "no-store"
        svg = drawn(answer)
        sizes.add((svg.get("width"), svg.get("height")))
    assert len(sizes) == 1


def test_a_bounded_grant_sees_its_own_jobs(tmp_path: Path) -> None:
    async def check() -> None:
        async with guarded(tmp_path) as relay:
            push = await relay.token(Right.PUSH)
            for job in ("mine", "theirs"):
                target = f"/api/v1/ping?job={job}&status=success"
                assert (await relay.ask("POST", target, push)).status == 200
            read = await relay.token(Right.READ, match='{job="mine"}')
            mine = await relay.ask("GET", "/badge.svg?job=mine", read)
            theirs = await relay.ask("GET", "/badge.svg?job=theirs", read)
            assert b">ok<" in mine.body
            assert b">unknown<" in theirs.body
            assert (await relay.ask("GET", "/badge.svg?job=mine")).status == 401

    asyncio.run(check())


@given(st.text())
def test_any_name_has_its_place(name: str) -> None:
    badge = badge_of(name, [])
    assert len(badge.name) <= 41
    assert badge.name_width >= 20
