"""Pings at a relay: a start and an end that are of one run, whoever repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest
from relay_use import SECOND, Clock, on_loop, open_relay, shown
from run_use import Reports

from pushrelay.errors import RunConflict

OF_A = '{instance="",job="a"}'
SUCCESSES = 'pushrelay_job_runs_total{instance="",job="a",outcome="success"}'


# runs.md: 2
@on_loop
async def test_an_end_with_a_rid_is_of_the_run_that_started_with_it(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports, began = Reports(relay, clock), clock.now
        await reports.ping(status="start", rid="1")
        clock.go(10)
        await reports.ping(status="start", rid="2")
        clock.go(20)
        ended = await reports.ping(status="success", rid="1")
        assert ended.run.started_at == began
        assert ended.run.end is not None
        assert ended.run.end.duration == 30 * SECOND
        clock.go(1)
        await reports.ping(status="fail", rid="2")
        series = await shown(relay)
    assert series[f"pushrelay_job_duration_seconds_sum{OF_A}"] == 51
    assert series[f"pushrelay_job_overlaps_total{OF_A}"] == 1
    last_start = series[f"pushrelay_job_last_start_timestamp_seconds{OF_A}"]
    assert last_start == began / SECOND + 10


# runs.md: 2
@on_loop
async def test_pings_with_a_rid_that_are_sent_again_change_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports = Reports(relay, clock)
        for status in ("start", "success"):
            await reports.ping(status=status, rid="1")
            before = await shown(relay)
            clock.go(1)
            assert (await reports.ping(status=status, rid="1")).is_replay
            assert await shown(relay) == before
        assert before[SUCCESSES] == 1
        with pytest.raises(RunConflict):
            await reports.ping(status="fail", rid="1")


# runs.md: 1, 2
@on_loop
async def test_without_a_rid_an_end_is_of_the_last_start_without_an_end(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports = Reports(relay, clock)
        for labels in ({}, {}, {"instance": "db1"}):
            await reports.ping(status="start", **labels)
            clock.go(10)
        first = await reports.ping(exit_code="0")
        again = await reports.ping(exit_code="0")
        durations = [each.run.end and each.run.end.duration for each in (first, again)]
        assert durations == [20 * SECOND, None]
        assert (await shown(relay))[SUCCESSES] == 2


# runs.md: 3
@on_loop
async def test_an_end_that_comes_alone_began_when_it_ended(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports = Reports(relay, clock)
        for rid in ({}, {"rid": "1"}):
            reported = await reports.ping(status="success", **rid)
            assert reported.run.started_at == clock.now
            assert reported.run.end is not None
            assert reported.run.end.duration is None
        assert (await shown(relay))[SUCCESSES] == 2


@on_loop
async def test_a_clock_that_steps_back_gives_no_run_a_negative_duration(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports = Reports(relay, clock)
        await reports.ping(status="start", rid="1")
        clock.go(-5)
        reported = await reports.ping(status="success", rid="1")
        assert reported.run.end is not None
        assert reported.run.end.duration == 0
        assert (await shown(relay))[f"pushrelay_job_running{OF_A}"] == 0
