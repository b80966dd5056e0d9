"""The page of the groups: its parts, searches and filters."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from builders import group_of, key_of
from group_pages import (
    client_of,
    counts_on,
    group_named,
    jobs_on,
    link,
    page_of,
    stale_group,
)

from pushrelay.config import Settings


def test_a_hundred_rows_are_a_small_page() -> None:
    groups = [
        group_named(f"nightly-backup-{number:03}", instance=f"db{number}.example.org")
        for number in range(100)
    ]
    assert len(page_of(*groups)) < 90_000


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("sort", ["", "pushed", "-pushed"])
def test_paging_shows_every_group_once_in_order(count: int, sort: str) -> None:
    client = client_of(
        *(
            group_of("x 1", key_of(f"{number:03}"), pushed_at=number // 2 + 1)
            for number in range(count)
        )
    )
    seen: list[str] = []
    following: str | None = f"?{urlencode({'sort': sort})}" if sort else ""
    while following is not None:
        page = client.get(f"/groups{following}").text
        seen += jobs_on(page)
        following = link(page, "Next page")
        assert (link(page, "First page") is not None) == (len(seen) > 100)
    names = [f"{number:03}" for number in range(count)]
    assert seen == (names[::-1] if sort == "-pushed" else names)


def test_a_page_goes_on_where_a_deleted_group_was() -> None:
    groups = [group_named(f"{number:03}") for number in range(150)]
    following = link(page_of(*groups), "Next page") or ""
    del groups[99]
    assert jobs_on(page_of(*groups, query=following))[0] == "100"


def test_what_can_be_chosen_on_a_page_fits_into_an_address() -> None:
    groups = [group_named(f"{number}", l="v" * 100_000) for number in range(5)]
    client = client_of(*groups)
    first = client.get("/groups").text
    keys = re.findall(r'name="key" value="(.*?)"', first)
    assert len(keys) == 2
    assert len("&".join(keys)) < Settings().limits.target_bytes
    second = client.get(f"/groups{link(first, 'Next page')}").text
    assert jobs_on(first) + jobs_on(second) == ["0", "1", "2", "3"]


def test_a_group_that_is_larger_than_that_is_shown_alone() -> None:
    groups = [group_named(f"{number}", l="v" * 600_000) for number in range(2)]
    page = page_of(*groups)
    assert jobs_on(page) == ["0"]
    assert jobs_on(page_of(*groups, query=link(page, "Next page") or "")) == ["1"]


@pytest.mark.parametrize(
    "query", ["?cursor=x", "?sort=-pushed&cursor=a2V5", "?sort=name", "?state=new"]
)
def test_what_cannot_be_asked_for_is_refused(query: str) -> None:
    response = client_of(group_named("a")).get(f"/groups{query}")
    assert response.status_code == 400
    assert "This is not possible" in response.text


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["backup", "report"]),
        ("DB1", ["backup"]),
        (' instance="db ', ["backup"]),
        ('job="report"', ["report"]),
        ("nothing", []),
        ('{job=~"re.*"}', ["report"]),
        ('{instance!=""}', ["backup"]),
        ("{}", ["backup", "report"]),
    ],
)
def test_a_search_looks_at_the_grouping_key(search: str, found: list[str]) -> None:
    groups = [group_named("backup", instance="db1"), group_named("report")]
    page = page_of(*groups, query=f"?{urlencode({'search': search})}")
    assert jobs_on(page) == found
    assert counts_on(page)["all"] == str(len(found))


@pytest.mark.parametrize(
    ("search", "problem"),
    [
        ("{job", "expected =, !=, =~ or !~, found the end"),
        ('{job=~"("}', "the regular expression cannot be used"),
        ('{a="",b="",c="",d="",e=""}', "more than 4 matchers"),
    ],
)
def test_a_search_that_cannot_be_read_says_why(search: str, problem: str) -> None:
    page = page_of(group_named("a"), query=f"?{urlencode({'search': search})}")
    assert problem in unescape(page)
    assert 'aria-invalid="true"' in page
    assert jobs_on(page) == []


def test_a_search_is_kept_on_the_next_page() -> None:
    groups = [group_named(f"{n:03}", l="a&b") for n in range(101)]
    groups += [group_named(f"{n:03}", l="c") for n in range(101)]
    client = client_of(*groups)
    first = client.get("/groups?search=a%26b").text
    assert counts_on(first)["all"] == "101"
    assert jobs_on(client.get(f"/groups{link(first, 'Next page')}").text) == ["100"]


def test_a_search_without_a_match_says_so() -> None:
    page = page_of(group_named("a"), query="?search=zz")
    assert "No group here matches “zz”" in page
    page = page_of(group_named("a"), query="?search=a&state=stale")
    assert "No group here is stale and matches “a”" in page


def test_states_filter_and_are_counted() -> None:
    groups = [
        *(group_named(f"new{number}") for number in range(3)),
        stale_group("old"),
        stale_group("odd", failed_at=2 * 10**9),
        group_of(key=key_of("bad"), failed_at=2 * 10**9),
    ]
    page = page_of(*groups)
    wanted = {"all": "6", "fresh": "4", "stale": "2", "last push failed": "2"}
    assert counts_on(page) == wanted
    found = {
        "Fresh": ["bad", "new0", "new1", "new2"],
        "Stale": ["odd", "old"],
        "Last push failed": ["bad", "odd"],
    }
    for name, jobs in found.items():
        page = page_of(*groups, query=link(page, name) or "")
        assert jobs_on(page) == jobs
        assert counts_on(page) == wanted
    # A search counts what it leaves, and the filter stays.
    page = page_of(*groups, query="?state=stale&search=old&sort=pushed")
    assert counts_on(page) == dict(zip(wanted, ["1", "0", "1", "0"], strict=True))
    query = parse_qs(urlsplit(link(page, "Stale") or "").query)
    assert query == {"state": ["stale"], "search": ["old"], "sort": ["pushed"]}
