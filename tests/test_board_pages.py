"""Which rows are shown on which page, and to whom."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from board_use import group, rows_at
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.board_pages import (
    RowFilter,
    cursor_of,
    page_of_rows,
    read_cursor,
)
from pushrelay.board_rows import BoardRow, RowState, place_of
from pushrelay.errors import InvalidRequest
from pushrelay.expectations import JobExpectation
from pushrelay.freshness import Policy
from pushrelay.selector_parser import parse_selector
from pushrelay.url_base64 import to_base64

NOW = 20
OK, FAILED, STALE = RowState.OK, RowState.FAILED, RowState.STALE


def row(job: str, instance: str = "", state: RowState = OK) -> BoardRow:
    """Return the row of a group that is ok, failed or stale."""
    failed_at = 2 if state is FAILED else 0
    policy = Policy(stale_after=5) if state is STALE else None
    labels = {"instance": instance} if instance else {}
    pushed = group(1, failed_at=failed_at, policy=policy, **labels)
    [found] = rows_at(job, [], JobExpectation(), [pushed], NOW)
    assert found.state is state
    return found


def ordered(*rows: BoardRow) -> list[BoardRow]:
    return sorted(rows, key=place_of)


ROWS = ordered(
    row("backup", "db1", FAILED),
    row("backup", "db2"),
    row("Straße", state=STALE),
    row("report", state=STALE),
    row("report", "ΩMEGA"),
    row("🦆"),
)


def names(rows: Iterable[BoardRow]) -> list[str]:
    return [f"{row.job} {row.instance}".strip() for row in rows]


def selected(*selectors: str) -> RowFilter:
    return RowFilter(selectors=tuple(map(parse_selector, selectors)))


# --- filters ---


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RowFilter(), names(ROWS)),
        (RowFilter("backup"), ["backup db1", "backup db2"]),
        (RowFilter("BACK"), ["backup db1", "backup db2"]),
        (RowFilter("db2"), ["backup db2"]),
        (RowFilter("STRASSE"), ["Straße"]),
        (RowFilter("ωmega"), ["report ΩMEGA"]),
        (RowFilter("🦆"), ["🦆"]),
        (RowFilter("nothing"), []),
        (selected("{}"), names(ROWS)),
        (selected('{job="backup"}'), ["backup db1", "backup db2"]),
        (selected('{job="back"}'), []),
        (selected('{job=~"back.*",instance!="db1"}'), ["backup db2"]),
        (selected('{job="report",instance=""}'), ["report"]),
        (selected('{instance!=""}'), ["backup db1", "backup db2", "report ΩMEGA"]),
        (selected('{job="🦆"}', '{instance="db1"}'), ["backup db1", "🦆"]),
        (selected('{team=""}'), names(ROWS)),
        (selected('{team="a"}'), []),
        (RowFilter("db", (parse_selector('{instance!="db1"}'),)), ["backup db2"]),
        (RowFilter(state=STALE), ["Straße", "report"]),
        (RowFilter("report", state=STALE), ["report"]),
        (RowFilter("report", state=FAILED), []),
    ],
)
def test_a_filter_leaves_what_all_of_it_holds_for(
    wanted: RowFilter, found: list[str]
) -> None:
    page = page_of_rows(ROWS, wanted, 10, None)
    assert sorted(names(page.rows)) == sorted(found)
    assert names(page.rows) == [name for name in names(ROWS) if name in found]
    assert (page.matching, page.total, page.next) == (len(found), len(ROWS), None)


def test_states_are_counted_as_if_none_was_chosen() -> None:
    for state in (None, OK, RowState.OVERDUE):
        page = page_of_rows(ROWS, RowFilter("a", state=state), 1, None)
        assert list(page.counts) == list(RowState)
        found = {state: count for state, count in page.counts.items() if count}
        assert found == {FAILED: 1, STALE: 1, OK: 2}


# --- pages ---


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("state", [None, OK, STALE, RowState.PAUSED])
def test_pages_follow_each_other_in_order(limit: int, state: RowState | None) -> None:
    expected = [row for row in ROWS if state in (None, row.state)]
    listed: list[BoardRow] = []
    cursor = None
    while True:
        page = page_of_rows(ROWS, RowFilter(state=state), limit, cursor)
        assert page.matching == len(expected)
        assert len(page.rows) <= limit
        listed += page.rows
        cursor = page.next
        if cursor is None:
            break
        assert page.rows
    assert listed == expected


def test_no_rows_are_one_empty_page() -> None:
    page = page_of_rows([], RowFilter(), 10, None)
    assert (page.rows, page.matching, page.total, page.next) == ([], 0, 0, None)
    assert set(page.counts.values()) == {0}


PLACES = st.tuples(st.text("ab\x00é", min_size=1, max_size=2), st.sampled_from("ij"))


@given(
    boards=st.lists(
        st.dictionaries(PLACES, st.sampled_from([OK, FAILED, STALE]), max_size=6),
        min_size=1,
        max_size=5,
    ),
    limit=st.integers(1, 3),
)
def test_rows_that_stay_are_seen_once_while_others_come_and_go(
    boards: list[dict[tuple[str, str], RowState]], limit: int
) -> None:
    """boards: what there is, page by page."""
    seen: list[BoardRow] = []
    cursor: str | None = None
    for number in range(100):
        board = boards[min(number, len(boards) - 1)]
        rows = ordered(*[row(*place, state) for place, state in board.items()])
        page = page_of_rows(rows, RowFilter(), limit, cursor)
        seen += page.rows
        cursor = page.next
        if cursor is None:
            break
    assert cursor is None
    places = [place_of(row) for row in seen]
    assert places == sorted(set(places))
    visited = boards[: number + 1]
    always = set.intersection(*(set(board.items()) for board in visited))
    assert always <= {((row.job, row.instance), row.state) for row in seen}


# --- cursors ---


@given(st.text(min_size=1), st.text(), st.sampled_from([OK, FAILED, STALE]))
def test_a_cursor_gives_back_its_place(
    job: str, instance: str, state: RowState
) -> None:
    found = row(job, instance, state)
    cursor = cursor_of(found)
    assert not set(cursor) & set("+/=&?%")
    assert cursor.isascii()
    assert read_cursor(cursor) == place_of(found)


CURSOR = cursor_of(row("backup", "db1", FAILED))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "x",
        "é",
        "!" + CURSOR,
        CURSOR + "A",
        CURSOR[1:],
        to_base64(b"row 10 a\xff\xfe"),
        to_base64(b"row -1 a\xff\xfe"),
        to_base64(b"row 1 \xff\xfe"),
        to_base64(b"row 1 a\xfe"),
        to_base64(b"row 1 a\xffb"),
        to_base64(b"row 1 a\xffb\xfe\xfe"),
        to_base64(b"row 1 \x80\xffb\xfe"),
        to_base64(b"key 1 a\xffb\xfe"),
    ],
)
def test_a_broken_cursor_is_refused(broken: str) -> None:
    with pytest.raises(InvalidRequest, match="begin again without a cursor"):
        page_of_rows(ROWS, RowFilter(), 10, broken)


def test_a_cursor_that_was_cut_is_refused() -> None:
    for length in range(len(CURSOR)):
        with pytest.raises(InvalidRequest):
            read_cursor(CURSOR[:length])
