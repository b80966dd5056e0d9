"""What a relay shows of runs and expectations, as docs/runs.md tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from relay_use import SECOND, Clock, on_loop, open_relay, series_of, shown
from run_use import Reports

from pushrelay.expectations import Source
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.run_states import State
from pushrelay.schedule import Expectation
from pushrelay.writes import ChangeExpectation

DAY = 24 * 3600
LIMITED = {"expectation": {"max_runtime": "1h"}}


def policies(rule: str) -> Policies:
    text = f"[[jobs]]\nmatch = 'job=\"a\"'\n{rule}"
    return Policies(None, parse_rules(text, "rules.toml"))


async def values(relay: Relay, *names: str, **labels: str) -> list[float | None]:
    """Return the values of these series of the job; None where there is none."""
    pairs = sorted({"instance": "", "job": "a", **labels}.items())
    written = ",".join(f'{name}="{value}"' for name, value in pairs)
    series = await series_of(relay)
    return [series.get(f"pushrelay_job_{name}{{{written}}}") for name in names]


async def state(relay: Relay) -> State:
    [found] = [each.state for each in await relay.runs.states() if each.job == "a"]
    return found


# runs.md: 6
@on_loop
async def test_all_outcomes_are_there_from_the_first_report_on(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        await Reports(relay, clock).began(1, clock.now / SECOND)
        outcomes = ("success", "failure", "timeout", "signal", "skipped")
        for outcome in outcomes:
            assert await values(relay, "runs_total", outcome=outcome) == [0]


# runs.md: 8
@on_loop
async def test_only_runs_with_the_same_labels_overlap(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports, now = Reports(relay, clock), clock.now / SECOND
        for run in range(3):
            await reports.ended(run, now - 10, now)
        await reports.ended(4, now - 10, now, labels={"instance": "db1"})
        assert await values(relay, "overlaps_total") == [3]
        assert await values(relay, "overlaps_total", instance="db1") == [0]


# runs.md: 9
@on_loop
async def test_a_run_without_a_limit_is_running_for_thirty_days(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        began_at = clock.now / SECOND
        await Reports(relay, clock).began(1, began_at)
        clock.go(30 * DAY - 1)
        names = ("running", "running_since_timestamp_seconds", "abandoned")
        assert await values(relay, *names) == [1, began_at, 0]
        clock.go(1)
        assert await values(relay, *names) == [0, None, 0]


# runs.md: 10
@on_loop
async def test_a_run_is_abandoned_from_the_end_of_its_maximum_runtime_on(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        await Reports(relay, clock).began(1, clock.now / SECOND, **LIMITED)
        clock.go(3599)
        assert await values(relay, "running", "abandoned") == [1, 0]
        assert await state(relay) is State.RUNNING
        clock.go(1)
        assert await values(relay, "running", "abandoned") == [0, 1]
        assert await state(relay) is State.ABANDONED
        clock.go(30 * DAY - 3600)
        assert await values(relay, "abandoned") == [0]


# runs.md: 10
@pytest.mark.parametrize(
    ("run", "began_after", "outcome", "left"),
    [
        ("the same", 0, "failure", 0),
        ("another", 60, "success", 0),
        ("another", 60, "failure", 1),
        ("another", -60, "success", 1),
    ],
)
@on_loop
async def test_who_ends_the_worry_about_an_abandoned_run(
    tmp_path: Path, run: str, began_after: float, outcome: str, left: int
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        reports, began_at = Reports(relay, clock), clock.now / SECOND
        await reports.began("the same", began_at, **LIMITED)
        clock.go(4000)
        at = began_at + 3000
        await reports.ended(run, began_at + began_after, at, outcome, **LIMITED)
        assert await values(relay, "abandoned") == [left]


# runs.md: 12
@on_loop
async def test_other_buckets_let_no_count_fall(tmp_path: Path) -> None:
    clock, counts = Clock(), []
    for bounds in ("[60, 600]", "[60, 300, 600]", "[60, 600, 900]"):
        rules = policies(f"duration_buckets = {bounds}")
        async with open_relay(tmp_path, rules, clock) as relay:
            reports, now = Reports(relay, clock), clock.now / SECOND
            await reports.ended(bounds, now - 100, now)
            found = [
                await values(relay, "duration_seconds_bucket", le=le)
                for le in ("60", "600", "+Inf")
            ]
            counts.append([count for [count] in found])
    assert counts == [[0, 1, 1], [0, 2, 2], [0, 3, 3]]


# runs.md: 19
@on_loop
async def test_a_job_that_somebody_expects_is_missed_though_it_never_ran(
    tmp_path: Path,
) -> None:
    clock = Clock()
    hourly = Expectation(every=3600 * SECOND, grace=0)
    async with open_relay(tmp_path, clock=clock) as relay:
        change = ChangeExpectation(
            "a",
            lambda said: said.told(Source.API, hourly, clock.now),
            makes_known=True,
        )
        await relay.runs.expect(change)
        assert await values(relay, "overdue", "runs_total") == [0, None]
        assert await state(relay) is State.NEVER_RAN
        clock.go(3600)
        assert await values(relay, "overdue", "missed_slots") == [1, 1]
        assert await state(relay) is State.OVERDUE


# runs.md: 22
@on_loop
async def test_a_paused_job_misses_nothing_and_its_runs_are_shown(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, policies('every = "1h"'), clock) as relay:
        await relay.runs.note_rules()
        reports, until = Reports(relay, clock), clock.now + DAY * SECOND
        pause = ChangeExpectation("a", lambda said: said.paused(until))
        await relay.runs.expect(pause)
        clock.go(DAY - 1)
        await reports.ended(
            1, reports.now - 10 * 3600, reports.now - 9 * 3600, "failure"
        )
        names = ("overdue", "missed_slots", "paused_until_timestamp_seconds")
        assert await values(relay, *names) == [0, 0, until / SECOND]
        assert await values(relay, "consecutive_failures") == [1]
        assert await state(relay) is State.PAUSED
        clock.go(1)
        assert await values(relay, *names) == [0, 0, None]
        [following] = await values(relay, "next_expected_timestamp_seconds")
        assert following == until / SECOND + 3600
        assert await state(relay) is State.FAILED


# runs.md: 23
@on_loop
async def test_a_retired_job_is_gone_until_it_reports_or_rules_are_read(
    tmp_path: Path,
) -> None:
    clock, rules = Clock(), policies('every = "1h"')
    async with open_relay(tmp_path, rules, clock) as relay:
        await relay.runs.note_rules()
        reports = Reports(relay, clock)
        await reports.ended(1, reports.now - 20, reports.now - 10)
        clock.go(2 * 3600)
        assert await values(relay, "overdue") == [1]
        await relay.endings.retire("a")
        assert await shown(relay) == {}
        await relay.follow(rules)
        assert await values(relay, "overdue", "last_start_timestamp_seconds") == [
            0,
            None,
        ]
        await reports.ended(1, reports.now - 20, reports.now - 10)
        assert await values(relay, "runs_total", outcome="success") == [1]
