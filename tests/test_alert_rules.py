"""The rules on what is pushed, those of contrib/prometheus and the examples of
docs/freshness.md, over ten days, as promtool evaluates them.

The series are what a relay shows of jobs that go wrong, scraped every quarter of an
hour. Times are hours since the beginning.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from builders import key_of
from doc_examples import ROOT, example_in
from promtool import Firing, alerts_in, assert_alerts, needs_promtool, together
from relay_use import SECOND, Clock, open_relay, put, series_of

from pushrelay.errors import InconsistentPush
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay

pytestmark = [pytest.mark.system, needs_promtool]

HOURS = 240
STEP = 0.25

RULES = together(
    (ROOT / "contrib/prometheus/groups.rules.yml").read_text(),
    example_in("docs/freshness.md", "yaml"),
)
JOB_RULES = parse_rules(
    """
    [[jobs]]
    match = 'job="plain"'
    forget_after = "30h"
    [[jobs]]
    match = 'job="pods"'
    stale_after = "30m"
    on_stale = "forget"
    [[jobs]]
    match = 'job!="weekly"'
    stale_after = "26h"
    """,
    "rules.toml",
)
RESTARTED_AT, RETIRED_AT = 100, 192

FIRING: Firing = {
    # Dies after its failed push at 49; its last success was at 25.
    ("BackupWithoutSuccess", "backup"): [(51.25, RETIRED_AT)],
    ("BackupFailed", "backup"): [(49, 75)],
    ("BackupNotGood", "backup"): [(49, RETIRED_AT)],
    ("GroupStale", "backup"): [(75, RETIRED_AT)],
    ("BackupSilent", "backup"): [(75.25, RETIRED_AT)],
    # The same, but all of it is simply thrown away after 30 hours.
    ("BackupWithoutSuccess", "plain"): [(51.25, 79)],
    ("BackupFailed", "plain"): [(49, 79)],
    ("BackupNotGood", "plain"): [(49, 79)],
    ("JobSilent", "plain"): [(75.25, 79)],
    # Pushes at 1; nobody says how often it should.
    ("JobSilent", "weekly"): [(27.25, HOURS)],
    # Pushes at 1, and after a long break at 60.
    ("GroupStale", "late"): [(27, 60), (86, HOURS)],
    # Never pushed anything acceptable, the last time at 10.
    ("GroupStale", "broken"): [(10, HOURS)],
    ("LastPushRefused", "broken"): [(10, HOURS)],
    # A new pod every six hours; none since 48.
    ("EphemeralJobWithoutGroups", "pods"): [(48.5, 77.5)],
    ("EphemeralJobSilent", "pods"): [(74.25, RETIRED_AT)],
}


async def happen(relay: Relay, hour: float) -> None:
    """Let happen what does at `hour`."""
    at = round(hour * 3600) * SECOND
    if hour in (1, 25, 49):
        failed, success = (1, 25) if hour == 49 else (0, hour)
        body = (
            f"# TYPE backup_failed gauge\nbackup_failed {failed}\n"
            "# TYPE backup_last_success_timestamp_seconds gauge\n"
            f"backup_last_success_timestamp_seconds {success * 3600}"
        )
        for job in ("backup", "plain"):
            await put(relay, key_of(job), body, at=at)
    if hour in (1, 60):
        await put(relay, key_of("late"), "late_rows 1", at=at)
    if hour == 1:
        await put(relay, key_of("weekly"), "weekly_rows 1", at=at)
    if hour == 10:
        with suppress(InconsistentPush):
            await put(relay, key_of("broken"), "x 1 1", at=at)
    if 1 <= hour <= 48:
        pod = key_of("pods", instance=f"pod-{hour // 6}")
        await put(relay, pod, "pod_rows 1", at=at)
    if hour:  # 0 would be never
        await put(relay, key_of("steady"), "steady_rows 1", at=at)
    if hour == RETIRED_AT:
        for job in ("backup", "pods"):
            await relay.endings.retire(job)


async def scraped(directory: Path) -> list[dict[str, float]]:
    """Return the series of each scrape, with their values."""
    clock, policies = Clock(0), Policies(None, JOB_RULES)
    scrapes = []
    for since, until in ((0, RESTARTED_AT), (RESTARTED_AT, HOURS)):
        async with open_relay(directory, policies, clock) as relay:
            for step in range(int(since / STEP), int(until / STEP)):
                clock.now = round(step * STEP * 3600) * SECOND
                await happen(relay, step * STEP)
                scrapes.append(await series_of(relay))
    return scrapes


# freshness.md: 5, 11, 12, 13, 14, 15
def test_alerts_begin_and_end_when_they_should(tmp_path: Path) -> None:
    scrapes = asyncio.run(scraped(tmp_path))
    assert_alerts(RULES, FIRING, scrapes, STEP, tmp_path)


def test_each_rule_fires_for_some_job() -> None:
    assert alerts_in(RULES) == {alert for alert, _ in FIRING}
