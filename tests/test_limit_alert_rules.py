"""The alerts of contrib/prometheus on limits and on files over a day, as promtool
evaluates them.

The series are what a relay shows that has ten groups at most. Times are hours since the
beginning.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from builders import key_of
from doc_examples import ROOT
from promtool import Firing, assert_alerts, needs_promtool
from relay_use import SECOND, Clock, open_relay, put, series_of

from pushrelay.config import Limits

pytestmark = [pytest.mark.system, needs_promtool]

HOURS = 24
STEP = 0.25
RULES = (ROOT / "contrib/prometheus/relay.rules.yml").read_text()

UP = {'up{job="pushrelay",instance="relay:9091"}': 1.0}
"""What Prometheus adds."""

FIRING: Firing = {
    # A new group each hour until there are ten; at 18, one is deleted.
    ("PushrelayNearLimit", None): [(9.25, 18)],
    ("PushrelayConfigNotReloaded", None): [(15, 20)],
}


async def scraped(directory: Path) -> list[dict[str, float]]:
    """Return the series of each scrape, with their values."""
    clock, scrapes = Clock(0), []
    async with open_relay(
        directory, clock=clock, limits=Limits(stored_groups=10)
    ) as relay:
        for step in range(int(HOURS / STEP)):
            hour = step * STEP
            clock.now = round(hour * 3600) * SECOND
            if hour in range(10):
                await put(relay, key_of(f"job-{hour:.0f}"), "x 1", at=clock.now)
            if hour == 18:
                await relay.delete(key_of("job-3"))
            if hour == 15:
                relay.telemetry.reload_failed()
            if hour == 20:
                relay.telemetry.reloaded(clock.now)
            scrapes.append(await series_of(relay) | UP)
    return scrapes


def test_alerts_begin_and_end_when_they_should(tmp_path: Path) -> None:
    scrapes = asyncio.run(scraped(tmp_path))
    assert_alerts(RULES, FIRING, scrapes, STEP, tmp_path)
