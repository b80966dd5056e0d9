"""The rows of a view: whatever happens to it, they are those that it comes to."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path

from board_use import HOUR, evidence, group
from builders import group_of, key_of
from hypothesis import given
from hypothesis import strategies as st
from overview_use import CHANGES, NOW, POLICIES, Change, Store, names
from relay_use import SECOND, Clock, on_loop, open_relay, put
from run_use import Reports

from pushrelay.board_rows import RowState, place_of
from pushrelay.changes import (
    Emptied,
)
from pushrelay.config import Freshness
from pushrelay.expectations import JobExpectation
from pushrelay.policies import Policies
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.view.view import JITTER

# --- one change after the other ---


def test_rows_are_in_the_order_of_attention() -> None:
    store = Store()
    said = JobExpectation(api=Expectation(every=HOUR), since=NOW - 9 * HOUR)
    store.commit(
        group(NOW, job="b", instance="i"),
        group(NOW, job="a", instance="j"),
        group(NOW, job="a", instance="i"),
        group(1, job="c", failed_at=2),
        runs=(evidence(NOW, job="d"),),
        expected={"z": said},
    )
    assert names(store.check()) == [
        "overdue: z",
        "failed: c",
        *("running: d", "ok: a i", "ok: a j", "ok: b i"),
    ]
    assert names(store.overview.rows_of("a")) == ["ok: a i", "ok: a j"]
    assert store.overview.rows_of("nobody") == []


def test_rows_come_change_and_go_with_what_they_are_made_of() -> None:
    store = Store()
    assert store.check() == []
    store.commit(group(NOW), group(NOW, shard="1"))
    [row] = store.check()
    assert row.groups == 2
    store.commit(runs=(evidence(outcome=Outcome.FAILURE),))
    assert names(store.check()) == ["failed: a"]
    store.commit(Emptied(key_of().id, 0))
    [row] = store.check()
    assert (row.groups, row.state) == (1, RowState.FAILED)
    store.commit(runs=(Emptied(key_of().id, 0),))
    assert names(store.check()) == ["ok: a"]
    store.commit(Emptied(key_of(shard="1").id, 0), expected={"a": EACH})
    assert names(store.check()) == ["never ran: a"]
    store.commit(expected={"a": None})
    assert store.check() == []


EACH = JobExpectation(
    api=Expectation(every=HOUR, grace=0, per_instance=True), since=NOW
)


def test_with_time_rows_become_something_else_though_the_view_was_not_told() -> None:
    store = Store(Policies(Freshness(2 * HOUR, 4 * HOUR)))
    store.commit(group(NOW), expected={"b": EACH})
    assert names(store.check()) == ["never ran: b", "ok: a"]
    store.clock.go(3600)
    assert names(store.check()) == ["overdue: b", "ok: a"]
    store.clock.go(3600)
    assert names(store.check()) == ["overdue: b", "stale: a"]
    store.clock.go(7200)
    assert names(store.check()) == ["overdue: b"]


def test_the_first_run_of_an_instance_ends_the_row_of_the_job_as_a_whole() -> None:
    store = Store()
    store.commit(expected={"a": EACH})
    assert names(store.check()) == ["never ran: a"]
    store.commit(runs=(evidence(NOW, instance="i"),))
    assert names(store.check()) == ["running: a i"]
    store.commit(runs=(Emptied(key_of(instance="i").id, 0),))
    assert names(store.check()) == ["never ran: a"]


def test_a_run_of_one_instance_is_seen_in_the_rows_of_all() -> None:
    store = Store()
    whole = replace(EACH, api=Expectation(every=HOUR, grace=0))
    runs = [
        evidence(outcome=Outcome.SUCCESS, last_start=NOW, instance=name)
        for name in "ijk"
    ]
    store.commit(runs=tuple(runs), expected={"a": whole})
    assert {row.next_expected for row in store.check()} == {NOW + HOUR}
    store.commit(runs=(replace(runs[1], last_start=NOW + 5),))
    assert {row.next_expected for row in store.check()} == {NOW + 5 + HOUR}


def test_a_clock_that_steps_back_a_little_stands_still() -> None:
    store = Store()
    store.commit(expected={"a": EACH})
    store.clock.go(3600)
    assert names(store.rows()) == ["overdue: a"]
    before = store.overview.rows()
    store.clock.now -= JITTER
    assert store.overview.rows() is before
    store.clock.now -= 1
    assert names(store.check()) == ["never ran: a"]


def test_nothing_new_is_no_work() -> None:
    store = Store(Policies(Freshness(HOUR)))
    store.commit(group(NOW), group(NOW, job="b"), expected={"c": EACH})
    before = store.overview.rows()
    store.clock.go(1800)
    assert store.overview.rows() is before
    store.commit(group(NOW + 1, job="b"))
    after = store.overview.rows()
    assert [one is other for one, other in zip(before, after, strict=True)] == [
        *(True, True, False)
    ]


def test_what_was_pushed_earlier_is_not_held_in_memory() -> None:
    store = Store()
    old = group_of("x 1", key_of())
    store.commit(old, runs=(evidence(NOW, instance="i"),))
    store.check()
    held = weakref.ref(old.payload)
    del old
    store.commit(group(NOW))
    store.view.snapshot()
    gc.collect()
    assert held() is None


# --- whatever happens ---


@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=25),
)
def test_whatever_happens_rows_are_those_that_there_are(
    policies: Policies, changes: list[tuple[Change, bool]]
) -> None:
    store = Store(policies)
    for change, is_looked_at in changes:
        change(store)
        if is_looked_at:
            store.check()
    store.check()


def test_many_changes_at_once_are_as_good_as_one() -> None:
    store = Store(Policies(Freshness(HOUR)))
    keys = [
        {"job": f"{number % 7}", "instance": f"{number % 11}", "n": f"{number}"}
        for number in range(300)
    ]
    store.commit(*[group(NOW, **labels) for labels in keys])
    store.check()
    for step in (1, 3, 50, 300):
        store.clock.go(60)
        now = store.clock.now
        store.commit(*[group(now, failed_at=now + 1, **x) for x in keys[::step]])
        store.check()
        store.commit(*[group(now, **labels) for labels in keys[1::step]])
        store.check()
    ids = [key_of(**labels).id for labels in keys[::2]]
    store.commit(*[Emptied(id_, 0) for id_ in ids])
    store.check()


def test_rows_that_were_given_to_someone_stay_as_they_are() -> None:
    store = Store()
    store.commit(*[group(NOW, job=f"{number:02}") for number in range(30)])
    given_rows = store.overview.rows()
    before = list(given_rows)
    store.commit(group(NOW + 1, job="07"), group(NOW, job="08", failed_at=NOW + 1))
    assert names(store.check())[0] == "failed: 08"
    store.commit(Emptied(key_of("09").id, 0), group(NOW, job="new"))
    assert len(store.check()) == 30
    assert list(given_rows) == before


def test_a_view_may_be_looked_at_while_it_is_loaded_anew() -> None:
    store = Store()
    for job in "abcd":
        store.commit(group(NOW, job=job))
    newest = store.view.position
    store.reload(without=3)
    # For a moment, it has its groups and not yet its position.
    loaded, store.view.position = store.view.position, newest
    assert names(store.check()) == ["ok: a"]
    store.view.position = loaded
    store.commit(group(NOW, job="e"))
    assert names(store.check()) == ["ok: a", "ok: e"]


def test_threads_may_look_while_the_view_changes() -> None:
    store = Store()
    ends = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        try:
            while not ends.is_set():
                rows = store.overview.rows()
                places = [place_of(row) for row in rows]
                assert places == sorted(set(places))
        except BaseException as failure:  # noqa: BLE001  # told by the test below
            failures.append(failure)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(300):
            name = str(number % 20)
            store.commit(
                group(NOW + number, job=name, failed_at=NOW + 150),
                runs=(evidence(NOW + number, job=name, instance=str(number)),),
            )
            if number % 3 == 2:
                store.commit(
                    Emptied(key_of(name).id, 0),
                    runs=(Emptied(key_of(name, instance=str(number)).id, 0),),
                )
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert failures == []
    store.check()


# --- in a relay ---


@on_loop
async def test_a_relay_shows_what_was_pushed_and_reported(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        assert list(relay.overview.rows()) == []
        await put(relay, key_of("pushed", instance="i"), "x 1", at=clock.now)
        await Reports(relay, clock, "ran").ended(
            1, clock.now / SECOND - 60, clock.now / SECOND, "failure"
        )
        assert relay.refresh_blocking()
        rows = list(relay.overview.rows())
        assert names(rows) == ["failed: ran", "ok: pushed i"]
        assert rows[0].failures == 1
        assert rows[1].pushed_at == clock.now
        await relay.endings.retire("ran")
        assert relay.refresh_blocking()
        assert names(list(relay.overview.rows())) == ["ok: pushed i"]
