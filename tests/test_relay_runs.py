"""Runs from the report to the scrape, through the store, restarts and replicas."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from builders import key_of
from databases import taking
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_use import SECOND, Clock, on_loop, open_relay, two_relays
from run_relays import (
    A,
    begun,
    counters,
    ended,
    report,
    run_lines,
    run_series,
)
from sound import check_sound

from pushrelay.errors import RunConflict
from pushrelay.runs import Outcome, Run
from pushrelay.schedule import Expectation
from pushrelay.view.run_pages import RunPages

pytestmark = pytest.mark.usefixtures("rarely")

B = key_of("b", instance="1")
NOW = 1_795_000_000 * SECOND
MINUTE = 60 * SECOND


# --- any order comes to the same ---


@st.composite
def _runs(draw: st.DrawFn) -> list[Run]:
    runs = []
    for number in range(draw(st.integers(1, 5))):
        start = NOW + draw(st.integers(0, 20)) * SECOND
        length = draw(st.integers(0, 8)) * SECOND
        outcome = draw(st.sampled_from(Outcome))
        key = draw(st.sampled_from([A, B]))
        runs.append(ended(number, start, start + length, outcome, key))
    return runs


# Since when slots are expected, nobody knows who hears of them late.
_EXPECTED = re.compile("pushrelay_job_(interval|next|overdue|missed)")
EXPECTATION = Expectation(every=10 * SECOND, grace=0, min_interval=5 * SECOND)
RESTART = None


def _starts(runs: list[Run]) -> list[Run]:
    """Return the reports of starts."""
    return [replace(run, end=None) for run in runs]


@pytest.mark.no_cover
@settings(max_examples=25)
@given(_runs(), st.data())
def test_any_order_of_reports_comes_to_the_same_and_no_counter_ever_falls(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Run], data: st.DataObject
) -> None:
    reports = runs + _starts(runs)
    replays = data.draw(st.lists(st.sampled_from(reports), max_size=4))
    restarts = [RESTART] * data.draw(st.integers(0, 2))
    drawn = data.draw(st.permutations([*reports, *replays, *restarts]))
    in_order = sorted(runs, key=lambda run: run.started_at)

    async def compare() -> None:
        with taking():
            shuffled, sorted_ = (tmp_path_factory.mktemp("runs") for _ in range(2))
            end = await _page_after(shuffled, list(drawn))
            assert end == await _page_after(sorted_, list(in_order))

    asyncio.run(compare())


async def _page_after(directory: Path, reports: list[Run | None]) -> list[str]:
    """Report all of `reports`; return what is shown then of the runs themselves. Looks
    for counters that fall."""
    clock = Clock(NOW + 60 * SECOND)
    before: dict[str, float] = {}
    portions: list[list[Run]] = [[]]
    for one in reports:
        if one is None:
            portions.append([])
        else:
            portions[-1].append(one)
    shown: list[str] = []
    for portion in portions:
        async with open_relay(directory, clock=clock) as relay:
            assert await counters(relay) == before
            for run in portion:
                await report(relay, run, EXPECTATION)
                now = await counters(relay)
                for head, value in before.items():
                    assert now[head] >= value, head
                before = now
            shown = await run_lines(relay)
        check_sound(directory, clock())
    return [line for line in shown if not _EXPECTED.match(line)]


@settings(max_examples=15)
@given(_runs(), st.data())
def test_replicas_show_the_same_at_the_same_moment(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Run], data: st.DataObject
) -> None:
    reports = data.draw(st.permutations(runs + _starts(runs)))

    async def compare() -> None:
        clock = Clock(NOW)
        with taking():
            directory = tmp_path_factory.mktemp("runs")
            async with two_relays(directory, clock) as relays:
                for run in reports:
                    await report(relays[data.draw(st.integers(0, 1))], run, EXPECTATION)
                    clock.go(data.draw(st.sampled_from([0, 1, 15, 100])))
                    one, other = [await run_lines(relay) for relay in relays]
                    assert one == other
            async with open_relay(directory, clock=clock) as relay:
                assert await run_lines(relay) == one

    asyncio.run(compare())


# --- reports ---


@on_loop
async def test_a_run_is_shown_while_it_runs_and_once_it_has_finished(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, NOW))
        names = ("running", "last_start_timestamp_seconds", "runs_total")
        shown = await run_series(relay, *names)
        assert shown['running{instance="",job="a"}'] == 1
        assert shown['last_start_timestamp_seconds{instance="",job="a"}'] == NOW / 1e9
        assert shown['runs_total{instance="",job="a",outcome="success"}'] == 0
        await report(relay, ended(1, NOW, NOW + SECOND))
        shown = await run_series(relay, *names)
        assert shown['running{instance="",job="a"}'] == 0
        assert shown['runs_total{instance="",job="a",outcome="success"}'] == 1


@on_loop
async def test_a_replay_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        run = ended(1, NOW, NOW + SECOND)
        assert not (await report(relay, run)).is_replay
        before = await run_lines(relay)
        for again in (run, begun(1, NOW)):
            reported = await report(relay, again)
            assert reported.is_replay
            assert reported.run == run
        assert await run_lines(relay) == before


@pytest.mark.parametrize("starts_first", [True, False])
def test_what_only_the_start_of_a_run_expects_is_taken_over(
    starts_first: bool, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, clock=clock) as relay:
            expected = Expectation(every=MINUTE, min_interval=MINUTE)
            begin = replace(begun(2, NOW + SECOND), min_interval=MINUTE, host="db1")
            end = ended(2, NOW + SECOND, NOW + 2 * SECOND)
            await report(relay, ended(1, NOW, NOW + SECOND))
            reports = [(begin, expected), (end, None)]
            for run, said in reports if starts_first else reversed(reports):
                await report(relay, run, said)
            shown = await run_series(relay, "interval_seconds", "early_runs_total")
            assert shown['interval_seconds{instance="",job="a"}'] == 60
            # What is counted does not depend on whether the start was there.
            assert shown['early_runs_total{instance="",job="a"}'] == 0
            found = await relay.runs.find(end.id)
            assert found is not None
            assert found.run.host == ("db1" if starts_first else None)

    test()


@pytest.mark.parametrize(
    "other",
    [
        ended(1, NOW, NOW + 2 * SECOND),
        ended(1, NOW, NOW + SECOND, Outcome.FAILURE),
        ended(1, NOW, NOW + SECOND, key=B),
        begun(1, NOW, B),
    ],
)
def test_another_run_under_the_same_id_is_refused(
    other: Run, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, clock=clock) as relay:
            await report(relay, ended(1, NOW, NOW + SECOND))
            before = await run_lines(relay)
            with pytest.raises(RunConflict):
                await report(relay, other)
            assert await run_lines(relay) == before

    test()


@on_loop
async def test_anonymous_ends_belong_to_the_last_anonymous_start(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, NOW), is_anonymous=True)
        await report(relay, begun(2, NOW + SECOND), is_anonymous=True)
        end = ended(3, NOW + 6 * SECOND, NOW + 6 * SECOND)
        reported = await report(relay, end, is_anonymous=True)
        assert reported.run.id == begun(2, 0).id
        assert reported.run.end is not None
        assert reported.run.end.duration == 5 * SECOND
        shown = await run_series(relay, "running", "last_duration_seconds")
        assert list(shown.values()) == [5, 0]
        alone = ended(4, NOW + 9 * SECOND, NOW + 9 * SECOND)
        assert (await report(relay, alone, is_anonymous=True)).run.id == alone.id


@on_loop
async def test_an_anonymous_end_ends_no_run_that_has_an_id(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, NOW))
        await report(relay, ended(2, NOW + SECOND, NOW + SECOND), is_anonymous=True)
        assert list((await run_series(relay, "running")).values()) == [1]


@on_loop
async def test_all_is_kept_over_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, ended(1, NOW, NOW + SECOND), EXPECTATION)
        await report(relay, begun(2, NOW + 2 * SECOND, B))
        before = await run_lines(relay)
        states = await relay.runs.states()
    async with open_relay(tmp_path, clock=clock) as relay:
        assert await run_lines(relay) == before
        assert await relay.runs.states() == states


@on_loop
async def test_a_scrape_waits_for_what_another_one_is_about_to_show(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    begins, go_on, update = threading.Event(), threading.Event(), RunPages.update

    def update_late(pages: RunPages) -> set[str]:
        begins.set()
        assert go_on.wait(10)
        return update(pages)

    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, NOW))
        monkeypatch.setattr(RunPages, "update", update_late)
        scrape = asyncio.create_task(run_lines(relay))
        assert await asyncio.to_thread(begins.wait, 10)
        assert relay._decider.is_due()
        go_on.set()
        assert await scrape
        assert not relay._decider.is_due()
