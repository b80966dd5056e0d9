"""The rules of contrib/prometheus over ten days, as promtool evaluates them.

The series are what a relay shows of jobs that report their runs, most of them nightly
at three o'clock, scraped every quarter of an hour. Times are hours since the beginning.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from doc_examples import ROOT
from promtool import Firing, alerts_in, assert_alerts, needs_promtool
from relay_use import SECOND, Clock, open_relay, series_of
from run_use import Reports

from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.writes import ChangeExpectation

pytestmark = [pytest.mark.system, needs_promtool]

HOURS = 240
STEP = 0.25
NIGHTS = [24 * day + 3.0 for day in range(HOURS // 24)]
RULES = (ROOT / "contrib/prometheus/runs.rules.yml").read_text()
NIGHTLY = {"schedule": "0 3 * * *", "grace": "30m", "max_runtime": "2h"}
JOB_RULES = parse_rules(
    """
    [[jobs]]
    match = 'job="never"'
    schedule = "0 3 * * *"
    grace = "30m"
    """,
    "rules.toml",
)
PAUSED_AT, PAUSED_UNTIL = 90, 150
RESTARTED_AT, RETIRED_AT = 100, 200


@dataclass(frozen=True)
class Ran:
    """A run. ended_at: None for never. told_at: when its end was reported, if later."""

    job: str
    began_at: float
    ended_at: float | None
    outcome: str = "success"
    told_at: float | None = None
    instance: str = ""
    expectation: dict[str, str] | None = None


def nightly(job: str, until: float = HOURS, **more: Any) -> list[Ran]:
    """Return runs of half an hour in all nights until then."""
    nights = [night for night in NIGHTS if night < until]
    more = {"expectation": NIGHTLY, **more}
    return [Ran(job, night, night + 0.5, **more) for night in nights]


def changed(runs: list[Ran], changes: dict[int, dict[str, Any]]) -> list[Ran]:
    """Return `runs`, those of some nights with `changes`."""
    return [replace(run, **changes.get(at, {})) for at, run in enumerate(runs)]


FAILED, ENDLESS = {"outcome": "failure"}, {"ended_at": None}
UNBOUNDED = {"schedule": "0 3 * * *", "grace": "30m"}
RUNS = [
    *nightly("steady"),
    *nightly("dies", 80),
    *nightly("paused", 80),
    # Each in a pod of its own.
    *[replace(run, instance=f"pod-{run.began_at:.0f}") for run in nightly("pods")],
    *changed(nightly("hangs"), {3: {"ended_at": None}}),
    *changed(nightly("fails"), dict.fromkeys([2, 3, 4, 5], FAILED)),
    *changed(nightly("skips"), {3: FAILED, 4: FAILED, 5: {"outcome": "skipped"}}),
    # The network was down; the report came at nine.
    *changed(nightly("late"), {2: {"told_at": 57}}),
    *changed(nightly("killed"), {4: {"outcome": "signal"}}),
    # Without max_runtime, runs of the fourth and all later nights go on for ever.
    *changed(
        nightly("stuck", expectation=UNBOUNDED), dict.fromkeys(range(3, 10), ENDLESS)
    ),
    # Its clock is three hours ahead in the fourth night.
    *changed(nightly("ahead"), {3: {"began_at": 78, "ended_at": 78.5, "told_at": 75}}),
    # Three hours instead of half of one, once.
    *changed(nightly("slow", expectation=None), {6: {"ended_at": 150}}),
    *nightly("overlaps", expectation=None),
    Ran("overlaps", 51.25, 52),
    *nightly("often", expectation={"min_interval": "12h"}),
    Ran("often", 53, 53.25, expectation={"min_interval": "12h"}),
]

FIRING: Firing = {
    ("JobOverdue", "dies"): [(99.5, RETIRED_AT)],
    # The first slot after the pause is that of the night at 171.
    ("JobOverdue", "paused"): [(171.5, HOURS)],
    ("JobNeverRan", "never"): [(3.5, HOURS)],
    ("JobOverdue", "late"): [(51.5, 57)],
    # That a job is skipped again and again is no run.
    ("JobOverdue", "skips"): [(123.5, 147)],
    # The run of the next night began later, and succeeds half an hour after three.
    ("JobAbandoned", "hangs"): [(77, 99.5)],
    ("JobFailed", "fails"): [(51.5, 147.5)],
    ("JobFailing", "fails"): [(99.5, 147.5)],
    ("JobFailed", "skips"): [(75.5, 147.5)],
    ("JobFailed", "killed"): [(99.5, 123.5)],
    ("JobKilled", "killed"): [(99.5, 100.5)],
    # Three days and an hour after the last success.
    ("JobNoSuccess", "stuck"): [(124.75, HOURS)],
    ("JobTakesLong", "stuck"): [(76.25, HOURS)],
    ("JobClockAhead", "ahead"): [(75, 78)],
    ("JobTakesLong", "slow"): [(148.25, 150)],
    ("JobTookLong", "slow"): [(150, 171.5)],
    # Without an end for a while, it looks as if it were taking long, and it may.
    ("JobTakesLong", "hangs"): [(76.25, 77)],
    ("JobOverlaps", "overlaps"): [(52, 53)],
    ("JobTooOften", "often"): [(53.25, 54.25)],
}


async def tell(reports: Reports, run: Ran, *, end: bool) -> None:
    """Report that `run` began, or how it ended."""
    name, began_at = run.began_at, run.began_at * 3600
    more = {"labels": {"instance": run.instance}, "expectation": run.expectation}
    if end:
        assert run.ended_at is not None
        await reports.ended(name, began_at, run.ended_at * 3600, run.outcome, **more)
    else:
        await reports.began(name, began_at, **more)


def plan() -> dict[float, list[tuple[Ran, bool]]]:
    """Return what is told at which hour."""
    told: dict[float, list[tuple[Ran, bool]]] = defaultdict(list)
    for run in RUNS:
        if run.told_at is None and run.outcome != "skipped":
            told[run.began_at].append((run, False))
        if run.ended_at is not None:
            told[run.told_at or run.ended_at].append((run, True))
    return told


async def happen(relay: Relay, hour: float) -> None:
    """Let happen what the one who runs the relay does at `hour`."""
    if hour == PAUSED_AT:
        until = PAUSED_UNTIL * 3600 * SECOND
        pause = ChangeExpectation("paused", lambda expected: expected.paused(until))
        await relay.runs.expect(pause)
    if hour == RETIRED_AT:
        await relay.endings.retire("dies")


async def scraped(directory: Path) -> list[dict[str, float]]:
    """Return the series of each scrape, with their values."""
    clock, policies, told = Clock(0), Policies(None, JOB_RULES), plan()
    scrapes = []
    for since, until in ((0, RESTARTED_AT), (RESTARTED_AT, HOURS)):
        async with open_relay(directory, policies, clock) as relay:
            await relay.runs.note_rules()
            for step in range(int(since / STEP), int(until / STEP)):
                clock.now = round(step * STEP * 3600) * SECOND
                await happen(relay, step * STEP)
                for run, end in told[step * STEP]:
                    await tell(Reports(relay, clock, run.job), run, end=end)
                scrapes.append(await series_of(relay))
    return scrapes


# runs.md: 7, 10, 11, 14, 15, 19, 22, 23, 24, 25
def test_alerts_begin_and_end_when_they_should(tmp_path: Path) -> None:
    scrapes = asyncio.run(scraped(tmp_path))
    assert_alerts(RULES, FIRING, scrapes, STEP, tmp_path)


def test_each_rule_fires_for_some_job() -> None:
    assert alerts_in(RULES) == {alert for alert, _ in FIRING}
