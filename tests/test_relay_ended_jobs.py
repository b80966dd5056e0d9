"""Who is retired or wiped is not known any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from builders import key_of
from relay_use import SECOND, Clock, on_loop, open_relay, page_of, put, two_relays
from run_relays import (
    A,
    begun,
    ended,
    report,
    run_lines,
    run_series,
)

from pushrelay.grouping_key import GroupingKey
from pushrelay.relay import Relay
from pushrelay.schedule import Expectation
from pushrelay.store.run_list import RunFilter

pytestmark = pytest.mark.usefixtures("rarely")

B = key_of("b", instance="1")
NOW = 1_795_000_000 * SECOND


EXPECTATION = Expectation(every=10 * SECOND, grace=0, min_interval=5 * SECOND)


async def _everything(relay: Relay, key: GroupingKey) -> None:
    await put(relay, key, "x 1", at=NOW)
    await report(relay, ended(1, NOW, NOW + SECOND, key=key), EXPECTATION)
    await report(relay, begun(2, NOW + 2 * SECOND, key))


async def _has_nothing(relay: Relay) -> bool:
    assert await relay.runs.listed(RunFilter()) == []
    assert await relay.runs.states() == []
    return 'job="' not in await page_of(relay)


@pytest.mark.parametrize("is_wiped", [False, True])
def test_who_is_retired_or_wiped_begins_anew(
    is_wiped: bool, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        async with two_relays(tmp_path, clock) as (one, other):
            await _everything(one, A)
            before = await run_lines(one)
            await (other.endings.wipe() if is_wiped else other.endings.retire("a"))
            assert await _has_nothing(one)
            assert await _has_nothing(other)
            await _everything(other, A)
            assert await run_lines(one) == await run_lines(other) == before

    test()


@on_loop
async def test_a_report_in_the_batch_that_retires_its_job_begins_anew(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await _everything(relay, A)
        await relay.refresh()
        # All wait for the same batch.
        await asyncio.gather(
            relay.endings.delete_groups([], ended_jobs=frozenset("a")),
            report(relay, ended(1, NOW, NOW + 5 * SECOND)),
            relay.endings.delete_groups([], ended_jobs=frozenset("b")),
        )
        shown = await run_series(relay, "runs_total", "running", "overdue")
        assert shown['runs_total{instance="",job="a",outcome="success"}'] == 1
        assert shown['running{instance="",job="a"}'] == 0
        assert not any(head.startswith("overdue") for head in shown)
        [listed] = await relay.runs.listed(RunFilter())
        assert listed.run.end is not None
        assert listed.run.end.finished_at == NOW + 5 * SECOND


@on_loop
async def test_retiring_one_job_leaves_the_others(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, ended(1, NOW, NOW + SECOND, key=B), EXPECTATION)
        before = await run_lines(relay)
        await report(relay, ended(2, NOW, NOW + SECOND))
        await relay.endings.retire("a")
        assert await run_lines(relay) == before
