"""Running totals as a relay keeps them: over restarts, replicas and all else that
becomes of a group."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders import families_of, group_of, key_of
from relay_use import (
    SECOND,
    Clock,
    group,
    on_loop,
    open_relay,
    put,
    shown,
    stored_groups,
)

from pushrelay import pushing
from pushrelay.aggregation import Mode
from pushrelay.config import Freshness, Limits
from pushrelay.contents import Contents
from pushrelay.errors import InconsistentPush, LimitExceeded
from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.selector_parser import parse_selector
from pushrelay.writes import Import, PushAll, receipt_of

A, B = key_of("a"), key_of("b")
HOUR = 3600


def body_of(total: int, name: str = "c") -> str:
    return f"# TYPE {name} counter\n{name} {total}"


async def accumulate(
    relay: Relay, total: int, key: GroupingKey = A, **more: int
) -> None:
    await put(relay, key, body_of(total), mode=Mode.ACCUMULATE, **more)


async def total_of(relay: Relay, job: str = "a") -> float:
    return (await shown(relay))[f'c{{instance="",job="{job}"}}']


async def has_running_totals(relay: Relay) -> bool:
    held = await group(relay, A)
    assert held is not None
    return held.running_totals is not None


@on_loop
async def test_running_totals_outlive_the_relay(tmp_path: Path) -> None:
    for pushed, total in [(5, 5), (7, 7), (2, 9)]:
        async with open_relay(tmp_path) as relay:
            await accumulate(relay, pushed)
            assert await total_of(relay) == total
    assert stored_groups(tmp_path)[A].running_totals is not None


@on_loop
async def test_replicas_share_running_totals(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as one, open_relay(tmp_path) as other:
        for pushed, total in [(5, 5), (7, 7), (2, 9), (3, 10)]:
            one, other = other, one
            await accumulate(one, pushed)
            assert await total_of(other) == total


@on_loop
async def test_pushes_of_a_batch_are_accumulated_one_after_the_other(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path) as relay:
        pushed = [3, 5, 5, 2, 4, 1]
        await asyncio.gather(*[accumulate(relay, total) for total in pushed])
        assert await total_of(relay) == 5 + 4 + 1


@on_loop
async def test_a_refused_push_leaves_the_running_totals(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        with pytest.raises(InconsistentPush, match="the pushed value -1 is not finite"):
            await accumulate(relay, -1)
        with pytest.raises(InconsistentPush, match="GAUGE"):
            await put(relay, A, "# TYPE c gauge\nc 1", mode=Mode.ACCUMULATE)
        await accumulate(relay, 7)
        assert await total_of(relay) == 7


@on_loop
async def test_a_dry_run_leaves_the_running_totals(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        push = prepare_push(A, families_of(body_of(6), A), Mode.ACCUMULATE, SECOND)
        await relay.push(replace(push, dry_run=True))
        assert await total_of(relay) == 5
        await accumulate(relay, 7)
        assert await total_of(relay) == 7


@on_loop
async def test_a_late_repetition_with_an_idempotency_key_is_no_restart(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path) as relay:
        receipt = receipt_of(A, "key", b"5", time.time_ns())
        for was_done in (False, True):
            answer = await put(
                relay, A, body_of(5), mode=Mode.ACCUMULATE, receipt=receipt
            )
            assert answer is was_done
            await accumulate(relay, 7)
        assert await total_of(relay) == 7


@pytest.mark.parametrize("is_refused", [False, True])
@on_loop
async def test_many_groups_are_accumulated_together_or_not_at_all(
    tmp_path: Path, is_refused: bool
) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        await accumulate(relay, 5, B)
        bodies = {A: body_of(3), B: "c 9" if is_refused else body_of(9)}
        pushes = [
            prepare_push(key, families_of(body, key), Mode.ACCUMULATE, SECOND)
            for key, body in bodies.items()
        ]
        if is_refused:
            with pytest.raises(InconsistentPush):
                await relay.push(PushAll(tuple(pushes)))
            await accumulate(relay, 6)
            assert (await total_of(relay), await total_of(relay, "b")) == (6, 5)
        else:
            await relay.push(PushAll(tuple(pushes)))
            assert (await total_of(relay), await total_of(relay, "b")) == (8, 9)


@on_loop
async def test_deleted_series_begin_anew(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, f"{body_of(5)}\n{body_of(5, 'd')}", mode=Mode.ACCUMULATE)
        await relay.delete_series(A, [parse_selector("c", of_series=True)])
        await put(relay, A, f"{body_of(7)}\n{body_of(7, 'd')}", mode=Mode.ACCUMULATE)
        found = await shown(relay)
        assert found['c{instance="",job="a"}'] == 7
        assert found['d{instance="",job="a"}'] == 7
        await relay.delete_series(A, [parse_selector("{job='a'}", of_series=True)])
        assert not await has_running_totals(relay)


@on_loop
async def test_a_deleted_group_begins_anew(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        await relay.delete(A)
        await accumulate(relay, 7)
        assert await total_of(relay) == 7


@on_loop
async def test_an_import_brings_no_running_totals(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        imported = group_of(body_of(10), A, pushed_at=2 * SECOND)
        assert await relay.import_groups(Import((imported,))) == [None]
        assert not await has_running_totals(relay)
        await accumulate(relay, 7)
        assert await total_of(relay) == 17


# freshness.md: 4
@on_loop
async def test_a_stale_group_goes_on_and_a_forgotten_one_begins_anew(
    tmp_path: Path, clock: Clock
) -> None:
    policies = Policies(Freshness(HOUR * SECOND, 5 * HOUR * SECOND))
    async with open_relay(tmp_path, policies, clock) as relay:
        for pushed, hours, total in [(5, 2, 5), (7, 2, 7), (3, 6, 10), (12, 0, 12)]:
            await accumulate(relay, pushed, at=clock())
            assert await total_of(relay) == total
            clock.go(hours * HOUR)


@on_loop
async def test_running_totals_count_as_what_a_group_holds(tmp_path: Path) -> None:
    long, limits = "v" * 500, Limits(body_bytes=400)
    body = f'# TYPE c counter\nc{{v="{long}",n="%d"}} 1'
    async with open_relay(tmp_path) as relay:
        relay._decider._limits = limits
        for mode, fit in [(Mode.ADD, 2), (Mode.ACCUMULATE, 1)]:
            await relay.delete(A)
            for number in range(fit):
                await put(relay, A, body % number, mode=mode)
            with pytest.raises(LimitExceeded, match="bytes; the limit is 1600"):
                await put(relay, A, body % fit, mode=mode)


# Beside the writer.


@on_loop
async def test_running_totals_count_in_what_is_merged_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 2)
    async with open_relay(tmp_path) as relay:
        push = prepare_push(A, families_of(body_of(5), A), Mode.ACCUMULATE, SECOND)
        for mode in (Mode.ADD, Mode.ACCUMULATE):
            await relay.push(PushAll((replace(push, mode=mode),)))
        with pytest.raises(LimitExceeded, match="have 3 series"):
            await relay.push(PushAll((push,)))
        assert await total_of(relay) == 10


@on_loop
async def test_large_groups_are_accumulated_beside_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 0)
    async with open_relay(tmp_path) as relay:
        await asyncio.gather(*[accumulate(relay, total) for total in (3, 5, 5, 2, 4)])
        assert await total_of(relay) == 5 + 4


@on_loop
async def test_running_totals_that_change_meanwhile_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_relay(tmp_path) as relay:
        await accumulate(relay, 5)
        contents_of, changes = relay._beside._contents_of, iter(range(2))

        async def changing(key: GroupingKey) -> Contents:
            held = await contents_of(key)
            if next(changes, None) is not None:
                monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 5_000)
                # A restart, of which the stored value alone tells nothing.
                await accumulate(relay, 0)
                monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 0)
            return held

        monkeypatch.setattr(relay._beside, "_contents_of", changing)
        monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 0)
        await accumulate(relay, 6)
        assert await total_of(relay) == 11


def test_either_part_of_contents_tells_them_apart() -> None:
    one, other = group_of(body_of(1)).payload, group_of(body_of(1)).payload
    assert Contents(one, other) == Contents(one, other)
    assert Contents(one, other) != Contents(one, one)
    assert Contents(one, other) != Contents(other, other)
    assert Contents(one, other) != Contents(one)
