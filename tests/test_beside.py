"""What takes long with a large group is done beside the writer, and is as exact."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from builders import families_of, key_of
from relay_use import group, on_loop, open_relay, put, samples

from pushrelay import beside, pushing
from pushrelay.aggregation import MERGING, Mode
from pushrelay.contents import Contents
from pushrelay.errors import InconsistentPush, LimitExceeded, StoreUnavailable
from pushrelay.grouping_key import GroupingKey
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.selector_parser import parse_selector
from pushrelay.writes import PushAll, receipt_of

A, B = key_of("a"), key_of("b")
HELD = "# TYPE c_total counter\n" + "".join(f'c_total{{l="{n}"}} 1\n' for n in range(9))
ONE_MORE = '# TYPE c_total counter\nc_total{l="0"} 1\n'


@pytest.fixture(autouse=True)
def _all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "MERGED_AT_ONCE", 3)


async def first_value(relay: Relay) -> float:
    lines = await samples(relay)
    [line] = [line for line in lines if line.startswith("c_") and 'l="0"' in line]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("mode", MERGING)
@on_loop
async def test_a_large_group_is_merged_as_a_small_one_is(
    tmp_path: Path, mode: Mode
) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        await put(relay, A, ONE_MORE, mode=mode)
        assert await first_value(relay) == (1 if mode is Mode.MERGE else 2)
        assert len(await samples(relay)) == 9


@on_loop
async def test_additions_at_once_are_exact(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        pushes = [put(relay, A, ONE_MORE, mode=Mode.ADD) for _ in range(30)]
        others = [put(relay, B, HELD.replace("c_", "d_")) for _ in range(30)]
        await asyncio.gather(*pushes, *others)
        assert await first_value(relay) == 31


@on_loop
async def test_a_retry_counts_once(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        receipt = receipt_of(A, "key", ONE_MORE.encode(), time.time_ns())
        for was_done in (False, True, True):
            answer = await put(relay, A, ONE_MORE, mode=Mode.ADD, receipt=receipt)
            assert answer is was_done
        assert await first_value(relay) == 2


@on_loop
async def test_a_refusal_is_booked(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD, at=5)
        with pytest.raises(InconsistentPush, match="GAUGE"):
            await put(
                relay, A, "# TYPE c_total gauge\nc_total 1\n", at=7, mode=Mode.ADD
            )
        held = await group(relay, A)
        assert held is not None
        assert (held.pushed_at, held.failed_at) == (5, 7)
        assert len(await samples(relay)) == 9


@on_loop
async def test_a_group_that_changes_meanwhile_is_merged_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        contents_of, changes = relay._beside._contents_of, iter(range(2))

        async def changing(key: GroupingKey) -> Contents:
            held = await contents_of(key)
            if next(changes, None) is not None:
                await put(relay, A, HELD.replace("} 1", "} 5"))
            return held

        monkeypatch.setattr(relay._beside, "_contents_of", changing)
        await put(relay, A, ONE_MORE, mode=Mode.ADD)
        assert await first_value(relay) == 6


@on_loop
async def test_a_group_that_changes_all_the_time_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "TRIES", 2)
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        contents_of = relay._beside._contents_of

        async def changing(key: GroupingKey) -> Contents:
            held = await contents_of(key)
            await put(relay, A, HELD)
            return held

        monkeypatch.setattr(relay._beside, "_contents_of", changing)
        with pytest.raises(StoreUnavailable, match="pushed to all the time"):
            await put(relay, A, ONE_MORE, mode=Mode.ADD)
        with pytest.raises(StoreUnavailable, match="pushed to all the time"):
            await relay.delete_series(A, [parse_selector("c_total", of_series=True)])
        assert await first_value(relay) == 1


@on_loop
async def test_among_many_groups_a_large_one_is_refused(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, HELD)
        pushes = [
            prepare_push(key, families_of(ONE_MORE, key), Mode.ADD, 1) for key in (B, A)
        ]
        with pytest.raises(LimitExceeded, match=r'\{job="a"\} and what is pushed'):
            await relay.push(PushAll(tuple(pushes)))
        assert len(await samples(relay)) == 9
        assert await group(relay, B) is None
