"""Pings at a relay: a start and an end that are of one run, whoever repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest
from relay_use import SECOND, Clock, on_loop, open_relay, shown

from pushrelay.errors import RunConflict
from pushrelay.pings import parse_ping
from pushrelay.relay import Relay
from pushrelay.writes import Reported, ReportRun

OF_A = '{instance="",job="a"}'
SUCCESSES = 'pushrelay_job_runs_total{instance="",job="a",outcome="success"}'


async def ping(relay: Relay, clock: Clock, **fields: str) -> Reported:
    given = [("job", "a"), *fields.items()]
    report = parse_ping(given, clock.now, utf8_names=False)
    return await relay.runs.report(ReportRun(report))


@on_loop
async def test_an_end_with_a_rid_is_of_the_run_that_started_with_it(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        began = clock.now
        await ping(relay, clock, status="start", rid="1")
        clock.go(10)
        await ping(relay, clock, status="start", rid="2")
        clock.go(20)
        ended = await ping(relay, clock, status="success", rid="1")
        assert ended.run.started_at == began
        assert ended.run.end is not None
        assert ended.run.end.duration == 30 * SECOND
        clock.go(1)
        await ping(relay, clock, status="fail", rid="2")
        series = await shown(relay)
    assert series[f"pushrelay_job_duration_seconds_sum{OF_A}"] == 51
    assert series[f"pushrelay_job_overlaps_total{OF_A}"] == 1
    last_start = series[f"pushrelay_job_last_start_timestamp_seconds{OF_A}"]
    assert last_start == began / SECOND + 10


@on_loop
async def test_pings_with_a_rid_that_are_sent_again_change_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        for status in ("start", "success"):
            await ping(relay, clock, status=status, rid="1")
            before = await shown(relay)
            clock.go(1)
            assert (await ping(relay, clock, status=status, rid="1")).is_replay
            assert await shown(relay) == before
        assert before[SUCCESSES] == 1
        with pytest.raises(RunConflict):
            await ping(relay, clock, status="fail", rid="1")


@on_loop
async def test_an_end_that_comes_alone_began_when_it_ended(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        for rid in ({}, {"rid": "1"}):
            reported = await ping(relay, clock, status="success", **rid)
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
        await ping(relay, clock, status="start", rid="1")
        clock.go(-5)
        reported = await ping(relay, clock, status="success", rid="1")
        assert reported.run.end is not None
        assert reported.run.end.duration is None
        assert (await shown(relay))[f"pushrelay_job_running{OF_A}"] == 0
