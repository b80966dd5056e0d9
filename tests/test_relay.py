from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import (
    LOCKED,
    NO_TABLE,
    commit,
    families_of,
    group_of,
    key_of,
    locked,
    new_database,
    write_locked,
)
from relay_use import (
    SECOND,
    Clock,
    group,
    groups_of,
    open_relay,
    page_of,
    post,
    put,
    samples,
)
from sqlalchemy import insert, text

from pushrelay import deciding, deletions, store_health
from pushrelay import relay as relay_module
from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.errors import InconsistentPush, InvalidGroupingKey, StoreUnavailable
from pushrelay.freshness import Policy
from pushrelay.group_list import Condition
from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.selector_parser import parse_selector
from pushrelay.store import books, postgres_session, sqlite
from pushrelay.store.group_rows import to_row
from pushrelay.store.receipts import Receipt
from pushrelay.store.schema import commits, groups
from pushrelay.store_health import StoreHealth
from pushrelay.telemetry import Telemetry

A, B = key_of("a"), key_of("b")
A_I = key_of("a", instance="i")
GAUGE = "# TYPE x gauge\nx 1"
COUNTER = "# TYPE x counter\nx 1"


def with_relay(
    test: Callable[[Relay], Coroutine[Any, Any, None]],
) -> Callable[[Path], None]:
    """Run `test` on an event loop with a relay of an empty database."""

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            async with open_relay(tmp_path) as relay:
                await test(relay)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


async def times(relay: Relay, key: GroupingKey) -> tuple[int, int] | None:
    """When pushes to the group succeeded and failed last; None without a group."""
    found = await group(relay, key)
    return None if found is None else (found.pushed_at, found.failed_at)


async def refusal_of(push: Awaitable[None]) -> Exception | None:
    """Return what `push` raises, if anything."""
    try:
        await push
    except (InconsistentPush, InvalidGroupingKey, StoreUnavailable) as error:
        return error
    return None


# --- pushes ---


@with_relay
async def test_a_push_is_seen_by_the_next_scrape(relay: Relay) -> None:
    for value in range(20):
        await put(relay, A, f"x {value}")
        assert await samples(relay) == [f'x{{instance="",job="a"}} {value}']


@with_relay
async def test_a_push_sets_the_push_time(relay: Relay) -> None:
    await put(relay, A, "x 1", at=1_500_000_000)
    page = await page_of(relay)
    assert 'push_time_seconds{instance="",job="a"} 1.5\n' in page
    assert 'push_failure_time_seconds{instance="",job="a"} 0\n' in page


@with_relay
async def test_put_replaces_all_of_its_group(relay: Relay) -> None:
    await put(relay, A, "x 1\ny 1")
    await put(relay, B, "x 1")
    await put(relay, A, "z 1")
    assert await samples(relay) == [
        'x{instance="",job="b"} 1',
        'z{instance="",job="a"} 1',
    ]


@with_relay
async def test_post_replaces_families_as_a_whole(relay: Relay) -> None:
    await put(relay, A, 'x{l="1"} 1\nx{l="2"} 1\ny 1', at=1 * SECOND)
    await post(relay, A, 'x{l="3"} 1\nz 1', at=2 * SECOND)
    assert await samples(relay) == [
        'x{instance="",job="a",l="3"} 1',
        'y{instance="",job="a"} 1',
        'z{instance="",job="a"} 1',
    ]
    found = await group(relay, A)
    assert found is not None
    # Untouched families keep their push time.
    pushed = {name: family.pushed_at for name, family in found.families.items()}
    assert pushed == {"x": 2 * SECOND, "y": 1 * SECOND, "z": 2 * SECOND}
    assert found.pushed_at == 2 * SECOND


@with_relay
async def test_put_of_nothing_empties_the_group_and_keeps_it(relay: Relay) -> None:
    await put(relay, A, "x 1", at=1 * SECOND)
    await put(relay, A, "", at=2 * SECOND)
    assert await samples(relay) == []
    assert await times(relay, A) == (2 * SECOND, 0)


@with_relay
async def test_post_of_nothing_refreshes_the_time(relay: Relay) -> None:
    await put(relay, A, "x 1", at=1 * SECOND)
    await post(relay, A, "", at=2 * SECOND)
    assert await samples(relay) == ['x{instance="",job="a"} 1']
    assert await times(relay, A) == (2 * SECOND, 0)


@pytest.mark.parametrize("mode", Mode)
def test_a_push_of_nothing_makes_the_group(tmp_path: Path, mode: Mode) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "", at=3 * SECOND, mode=mode)
            assert await times(relay, A) == (3 * SECOND, 0)

    asyncio.run(test())


@with_relay
async def test_families_keep_the_order_in_which_they_were_pushed(relay: Relay) -> None:
    await put(relay, A, "z 1\nx 1\ny 1")
    await post(relay, A, "a 1\nx 2")
    found = await group(relay, A)
    assert found is not None
    assert list(found.families) == ["z", "x", "y", "a"]


@with_relay
async def test_push_times_in_a_body_are_overridden(relay: Relay) -> None:
    await put(relay, B, "x 1")
    body = "# TYPE push_time_seconds counter\npush_time_seconds 7\ny 1"
    await put(relay, A, f"{body}\npush_failure_time_seconds 8", at=SECOND)
    page = await page_of(relay)
    assert 'push_time_seconds{instance="",job="a"} 1\n' in page
    assert 'push_failure_time_seconds{instance="",job="a"} 0\n' in page
    found = await group(relay, A)
    assert found is not None
    assert list(found.families) == ["y"]


# --- refused pushes ---


@with_relay
async def test_a_refused_push_makes_its_group(relay: Relay) -> None:
    with pytest.raises(InconsistentPush):
        await put(relay, A, "x 1 1", at=2 * SECOND)
    assert await times(relay, A) == (0, 2 * SECOND)
    assert 'push_time_seconds{instance="",job="a"} 0\n' in await page_of(relay)
    found = await group(relay, A)
    assert found is not None
    assert not found.last_push_successful


@with_relay
async def test_a_refused_push_changes_nothing_but_the_failure_time(
    relay: Relay,
) -> None:
    await put(relay, B, GAUGE)
    await put(relay, A, "y 1", at=1 * SECOND)
    for body in (COUNTER, "y 2 5", "y 1\ny 2"):
        with pytest.raises(InconsistentPush):
            await put(relay, A, body, at=2 * SECOND)
    assert await times(relay, A) == (1 * SECOND, 2 * SECOND)
    assert await samples(relay) == [
        'x{instance="",job="b"} 1',
        'y{instance="",job="a"} 1',
    ]


@with_relay
async def test_a_push_that_cannot_all_be_added_adds_nothing(relay: Relay) -> None:
    await put(relay, A, f"{COUNTER}\n# TYPE y counter\ny 1", at=1 * SECOND)
    body = f"{COUNTER}\n# TYPE y counter\ny -1"
    with pytest.raises(InconsistentPush, match="the pushed value -1"):
        await put(relay, A, body, at=2 * SECOND, mode=Mode.ADD)
    assert await times(relay, A) == (1 * SECOND, 2 * SECOND)
    assert await samples(relay) == [
        'x{instance="",job="a"} 1',
        'y{instance="",job="a"} 1',
    ]


@with_relay
async def test_pushes_of_a_batch_are_added_one_to_the_other(relay: Relay) -> None:
    await asyncio.gather(*[put(relay, A, COUNTER, mode=Mode.ADD) for _ in range(50)])
    assert await samples(relay) == ['x{instance="",job="a"} 50']


@with_relay
async def test_series_that_are_merged_are_checked(relay: Relay) -> None:
    await put(relay, A_I, "x 1")
    await put(relay, A, 'x{l="1"} 1')
    with pytest.raises(InconsistentPush, match="was collected before"):
        await put(relay, A, 'x{instance="i"} 2', mode=Mode.MERGE)
    assert await samples(relay) == [
        'x{instance="",job="a",l="1"} 1',
        'x{instance="i",job="a"} 1',
    ]


@pytest.mark.parametrize("body", ["y 1", ""])
def test_a_later_push_keeps_the_failure_time(tmp_path: Path, body: str) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            assert await refusal_of(put(relay, A, "x 1 1", at=2 * SECOND))
            await put(relay, A, body, at=3 * SECOND)
            assert await times(relay, A) == (3 * SECOND, 2 * SECOND)
            found = await group(relay, A)
            assert found is not None
            assert found.last_push_successful

    asyncio.run(test())


@with_relay
async def test_a_refused_push_in_a_batch_does_not_disturb_others(
    relay: Relay,
) -> None:
    pushes = [
        put(relay, A, GAUGE),
        put(relay, B, COUNTER),
        put(relay, key_of("c"), "x 1 1"),
        put(relay, key_of("d"), "y 1"),
        put(relay, A, COUNTER),
        put(relay, B, COUNTER),
    ]
    answers = await asyncio.gather(*map(refusal_of, pushes))
    assert [type(answer) for answer in answers] == [
        type(None),
        InconsistentPush,
        InconsistentPush,
        type(None),
        type(None),  # by now the only group with x
        type(None),
    ]
    assert await samples(relay) == [
        'x{instance="",job="a"} 1',
        'x{instance="",job="b"} 1',
        'y{instance="",job="d"} 1',
    ]
    assert "# TYPE x counter\n" in await page_of(relay)


@with_relay
async def test_a_push_sees_the_deletions_of_its_batch(relay: Relay) -> None:
    await put(relay, A, GAUGE)
    answers = await asyncio.gather(
        refusal_of(put(relay, B, COUNTER)),
        refusal_of(relay.delete(A)),
        refusal_of(put(relay, B, COUNTER)),
        refusal_of(put(relay, A, GAUGE)),
    )
    assert [answer is None for answer in answers] == [False, True, True, False]


@pytest.mark.parametrize(
    ("first", "second"), [(A, key_of("a", instance="")), (key_of("a", instance=""), A)]
)
def test_a_key_with_the_evidence_of_another_group_leaves_no_trace(
    tmp_path: Path, first: GroupingKey, second: GroupingKey
) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, first, "x 1")
            for body in ("y 1", "y 1 1"):
                with pytest.raises(InvalidGroupingKey):
                    await put(relay, second, body)
            assert [found.key for found in groups_of(relay)] == [first]
            # Nor is there a group to delete.
            await relay.delete(second)
            assert await group(relay, first) is not None
            await relay.delete(first)
            await put(relay, second, "x 1")

    asyncio.run(test())


@with_relay
async def test_of_two_ambiguous_keys_in_a_batch_one_is_refused(relay: Relay) -> None:
    answers = await asyncio.gather(
        refusal_of(put(relay, A, "x 1")),
        refusal_of(put(relay, key_of("a", instance=""), "x 1")),
    )
    assert [type(answer) for answer in answers] == [type(None), InvalidGroupingKey]


@with_relay
async def test_a_push_that_cannot_be_decided_does_not_disturb_others(
    relay: Relay,
) -> None:
    broken = prepare_push(key_of("c"), families_of("x 1", key_of("c")), Mode.REPLACE, 1)
    object.__setattr__(broken, "payload", None)
    answers = await asyncio.gather(
        put(relay, A, "x 1"),
        relay.push(broken),
        put(relay, B, "x 1"),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [
        bool,
        AttributeError,
        bool,
    ]
    assert [found.key for found in groups_of(relay)] == [A, B]


# --- deletions ---


@with_relay
async def test_a_deletion_takes_exactly_its_group(relay: Relay) -> None:
    for key in (A, A_I, B):
        await put(relay, key, "x 1")
    await relay.delete(A)
    assert [found.key for found in groups_of(relay)] == [A_I, B]
    await relay.delete(key_of("a", zone="1"))
    await relay.delete(A)
    assert await samples(relay) == [
        'x{instance="i",job="a"} 1',
        'x{instance="",job="b"} 1',
    ]


@with_relay
async def test_a_deletion_takes_the_push_times_with_it(relay: Relay) -> None:
    assert await refusal_of(put(relay, A, "x 1 1"))
    await relay.delete(A)
    assert "push_time_seconds" not in await page_of(relay)
    await put(relay, A, "x 1")
    assert await times(relay, A) == (SECOND, 0)


@with_relay
async def test_a_wipe_takes_all_groups(relay: Relay) -> None:
    await relay.endings.wipe()
    for job in "abc":
        await put(relay, key_of(job), "x 1")
    await asyncio.gather(put(relay, key_of("d"), "x 1"), relay.endings.wipe())
    assert groups_of(relay) == []
    assert await samples(relay) == []
    await asyncio.gather(relay.endings.wipe(), put(relay, A, "x 1"))
    assert [found.key for found in groups_of(relay)] == [A]


@with_relay
async def test_a_wipe_leaves_nothing_that_was_there_before(relay: Relay) -> None:
    await put(relay, A, "x 1")
    await asyncio.gather(relay.endings.wipe(), post(relay, A, "y 1"))
    assert [line for line in await samples(relay) if line.startswith("x")] == []


@with_relay
async def test_groups_that_are_not_wanted_in_their_turn_are_spared(
    relay: Relay,
) -> None:
    await put(relay, A, "x 1", at=SECOND)
    await put(relay, B, "x 1", at=SECOND)
    found = groups_of(relay)
    await put(relay, A, "x 2", at=2 * SECOND)
    wanted = Condition(silent_since=SECOND).matches
    assert await relay.endings.delete_groups(found, wanted) == [B]
    assert await samples(relay) == ['x{instance="",job="a"} 2']
    assert await relay.endings.delete_groups([]) == []
    assert await relay.endings.delete_groups(groups_of(relay)) == [A]


def test_pushes_get_their_turn_between_deletions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each of these groups is more than goes at once.
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", 1)

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            keys = [key_of(f"j{number}") for number in range(8)]
            for key in keys:
                await put(relay, key, "x 1")
            deletion = asyncio.create_task(
                relay.endings.delete_groups(groups_of(relay))
            )
            await asyncio.sleep(0)
            await put(relay, A, COUNTER.replace("x", "y"))
            assert not deletion.done()
            assert await deletion == keys
            assert await samples(relay) == ['y{instance="",job="a"} 1']

    asyncio.run(test())


def test_no_push_is_lost_while_2000_groups_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", 500)
    pushed: dict[GroupingKey, int] = {}

    async def push_until(done: asyncio.Event, relay: Relay, first: int) -> None:
        """Push to some of the groups that are deleted, and to others."""
        value = 0
        while not done.is_set():
            value += 1
            key = key_of(f"j{(first + value * 7) % 2200:04}")
            await put(relay, key, f"x {value}", at=SECOND + value)
            pushed[key] = SECOND + value

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            keys = [key_of(f"j{number:04}") for number in range(2000)]
            for start in range(0, 2000, 500):
                some = keys[start : start + 500]
                await asyncio.gather(*(put(relay, key, "x 0") for key in some))
            found, done = groups_of(relay), asyncio.Event()
            pushers = [
                asyncio.create_task(push_until(done, relay, first))
                for first in (0, 1, 2)
            ]
            wanted = Condition(silent_since=SECOND).matches
            deleted = await relay.endings.delete_groups(found, wanted)
            done.set()
            await asyncio.gather(*pushers)
            assert pushed
            left = {found.key: found.pushed_at for found in groups_of(relay)}
            assert left == pushed
            assert len(deleted) > 1000
            # What was not deleted was pushed to before its turn came.
            assert set(keys) - set(deleted) <= set(pushed)

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_deletion_that_is_broken_off_says_how_far_it_came(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            found = groups_of(relay)
            other = new_database(tmp_path)
            with (
                locked(other),
                pytest.raises(StoreUnavailable, match="0 of 1 groups are deleted; the"),
            ):
                await relay.endings.delete_groups(found)
            other.close()

    asyncio.run(test())


# --- retired jobs, forgotten groups ---


class PodsAreForgotten(Policies):
    """Groups of the job `pods` are forgotten once they are stale, after 100 s."""

    def policy_of(self, key: GroupingKey, stale_after: int | None) -> Policy | None:
        if key.labels[0][1] != "pods":
            return None
        return Policy(stale_after=100 * SECOND, forgets_when_stale=True)


POD_1, POD_2 = key_of("pods", instance="1"), key_of("pods", instance="2")
OF_JOB = 'pushrelay_job_groups{instance="",job="pods"}'


@asynccontextmanager
async def open_relay_with_pods(directory: Path, now: list[int]) -> AsyncIterator[Relay]:
    """A relay whose clock is what `now` holds, with a group that is forgotten after
    100 s and one that is after 150 s."""
    async with open_relay(directory, PodsAreForgotten(), lambda: now[0]) as relay:
        await put(relay, A, "x 1", at=SECOND)
        await put(relay, POD_1, "x 1", at=1 * SECOND)
        await put(relay, POD_2, "x 1", at=51 * SECOND)
        yield relay


def test_a_retired_job_leaves_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        now = [60 * SECOND]
        async with open_relay_with_pods(tmp_path, now) as relay:
            assert f"{OF_JOB} 2\n" in await page_of(relay)
            assert await relay.endings.retire("pods", dry_run=True) == [POD_1, POD_2]
            assert f"{OF_JOB} 2\n" in await page_of(relay)
            assert await relay.endings.retire("pods") == [POD_1, POD_2]
            page = await page_of(relay)
            assert 'job="pods"' not in page
            assert "pushrelay_groups_forgotten_total 2\n" in page
            assert [found.key for found in groups_of(relay)] == [A]

    asyncio.run(test())


def test_a_wipe_leaves_nothing_of_a_job_that_has_just_come(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(
            tmp_path, PodsAreForgotten(), lambda: 60 * SECOND
        ) as relay:
            for _ in range(30):
                await asyncio.gather(put(relay, POD_1, "x 1"), relay.endings.wipe())
                assert 'job="pods"' not in await page_of(relay)

    asyncio.run(test())


def test_retiring_a_job_names_none_of_its_forgotten_groups(tmp_path: Path) -> None:
    async def test() -> None:
        now = [60 * SECOND]
        async with open_relay_with_pods(tmp_path, now) as relay:
            now[0] = 120 * SECOND
            assert await relay.endings.retire("pods", dry_run=True) == [POD_2]
            assert await relay.endings.retire("pods") == [POD_2]
            assert 'job="pods"' not in await page_of(relay)
            # Nor do they come back with an earlier time.
            now[0] = 60 * SECOND
            assert 'job="pods"' not in await page_of(relay)

    asyncio.run(test())


def test_a_job_whose_groups_are_all_forgotten_can_be_retired(tmp_path: Path) -> None:
    async def test() -> None:
        now = [60 * SECOND]
        async with open_relay_with_pods(tmp_path, now) as relay:
            now[0] = 200 * SECOND
            assert f"{OF_JOB} 0\n" in await page_of(relay)
            assert await relay.endings.retire("pods") == []
            assert 'job="pods"' not in await page_of(relay)

    asyncio.run(test())


@with_relay
async def test_retiring_takes_the_groups_of_the_job_and_no_others(
    relay: Relay,
) -> None:
    for key in (A, A_I, B, key_of("ab"), key_of("a/b")):
        await put(relay, key, "x 1")
    assert await relay.endings.retire("nobody") == []
    assert await relay.endings.retire("a") == [A, A_I]
    assert await relay.endings.retire("a/b") == [key_of("a/b")]
    assert [found.key for found in groups_of(relay)] == [key_of("ab"), B]


def test_a_deletion_means_no_forgotten_groups(tmp_path: Path) -> None:
    async def test() -> None:
        now = [60 * SECOND]
        async with open_relay_with_pods(tmp_path, now) as relay:
            found = groups_of(relay)
            now[0] = 120 * SECOND
            wanted = Condition().matches
            assert await relay.endings.delete_groups(found, wanted) == [A, POD_2]

    asyncio.run(test())


# --- concurrency ---


@with_relay
async def test_conflicting_types_are_never_both_admitted(relay: Relay) -> None:
    async def push_one_type(number: int) -> None:
        key = key_of(f"j{number}")
        type_ = "gauge" if number % 2 else "counter"
        for _ in range(15):
            await refusal_of(put(relay, key, f"# TYPE x {type_}\nx 1"))
            await relay.refresh()
            types = {
                found.families["x"].type
                for found in groups_of(relay)
                if "x" in found.families
            }
            assert len(types) <= 1
            await relay.delete(key)

    await asyncio.gather(*(push_one_type(number) for number in range(8)))


@with_relay
async def test_equal_series_are_never_both_admitted(relay: Relay) -> None:
    async def push(number: int) -> None:
        for _ in range(15):
            if number % 2:
                await refusal_of(put(relay, A_I, "x 1"))
                await relay.delete(A_I)
            else:
                await refusal_of(put(relay, A, 'x{instance="i"} 1'))
                await relay.delete(A)

    async def scrape() -> None:
        while not done.is_set():
            lines = [s for s in await samples(relay) if s.startswith("x{")]
            assert len(lines) <= 1
            await asyncio.sleep(0)

    done = asyncio.Event()
    scraping = asyncio.create_task(scrape())
    await asyncio.gather(*(push(number) for number in range(8)))
    done.set()
    await scraping


def test_two_relays_of_a_database_agree(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as one, open_relay(tmp_path) as other:
            for number in range(10):
                key = key_of(f"j{number}")
                await put(one, key, GAUGE)
                with pytest.raises(InconsistentPush):
                    await put(other, B, COUNTER)
                assert await samples(other) == await samples(one)
                await other.delete(key)
                assert await samples(one) == []
            answers = await asyncio.gather(
                *(
                    refusal_of(put(relay, key_of(f"{name}{n}"), body))
                    for n in range(20)
                    for name, relay, body in (
                        ("one", one, GAUGE),
                        ("other", other, COUNTER),
                    )
                )
            )
            admitted = {n % 2 for n, answer in enumerate(answers) if answer is None}
            assert len(admitted) == 1
            assert await samples(one) == await samples(other)

    asyncio.run(test())


def test_what_was_pushed_is_there_after_a_restart(tmp_path: Path) -> None:
    async def push() -> tuple[str, list[Any]]:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "# HELP x Help.\nz 1\nx 2", at=5)
            assert await refusal_of(put(relay, B, "x 1 1", at=6))
            await put(relay, key_of("c"), "x 1")
            await relay.delete(key_of("c"))
            return without_own(await page_of(relay)), state(relay)

    async def look() -> tuple[str, list[Any]]:
        async with open_relay(tmp_path) as relay:
            return without_own(await page_of(relay)), state(relay)

    def without_own(page: str) -> str:
        return "\n".join(line for line in page.split("\n") if "push" not in line[:9])

    def state(relay: Relay) -> list[Any]:
        return [
            (found.key, found.pushed_at, found.failed_at, list(found.families))
            for found in groups_of(relay)
        ]

    before = asyncio.run(push())
    after = asyncio.run(look())
    assert before[1] == after[1]
    for line in before[0].splitlines():
        if 'job="' in line:
            assert line in after[0]


def test_stop_finishes_what_was_accepted(tmp_path: Path) -> None:
    async def test() -> None:
        relay = Relay(new_database(tmp_path), Telemetry())
        relay.start()
        pushes = [
            asyncio.create_task(put(relay, key_of(f"j{n}"), "x 1")) for n in range(100)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(relay.stop)
        await asyncio.gather(*pushes)
        async with open_relay(tmp_path) as again:
            assert len(again.groups()) == 100

    asyncio.run(test())


@with_relay
async def test_a_pusher_that_went_away_disturbs_nobody(relay: Relay) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: complaints.append(context)
    )
    gone = asyncio.create_task(put(relay, A, "x 1 1"))
    await asyncio.sleep(0)
    gone.cancel()
    await put(relay, B, "x 1")
    del gone
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    assert await samples(relay) == ['x{instance="",job="b"} 1']


# --- a database that does not answer ---


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 0.2)
    monkeypatch.setattr(store_health, "READY_SECONDS", 0.0)


async def is_up(relay: Relay) -> bool:
    page = await page_of(relay)
    assert ("pushrelay_store_up 1\n" in page) != ("pushrelay_store_up 0\n" in page)
    return "pushrelay_store_up 1\n" in page


async def recover(relay: Relay) -> None:
    """Wait until all is well, on a machine that may be busy."""
    async with asyncio.timeout(30):
        while not await is_up(relay):
            await asyncio.sleep(0.02)
        while await refusal_of(relay.require_ready()) is not None:
            await asyncio.sleep(0.02)


def test_a_page_says_whether_it_is_newest_and_not_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            assert await is_up(relay)
            # Another scrape found that the store answers, after this one had given up.
            monkeypatch.setattr(StoreHealth, "refresh", give_up)
            assert not await is_up(relay)

    async def give_up(_: StoreHealth) -> bool:
        return False

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_stops_pushes_and_no_scrape(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            other = new_database(tmp_path)
            with locked(other):
                with pytest.raises(StoreUnavailable, match=LOCKED):
                    await put(relay, B, "x 1")
                with pytest.raises(StoreUnavailable):
                    await relay.require_ready()
                relay.require_alive()
                assert len(await samples(relay)) == 1
            other.close()
            await recover(relay)
            await put(relay, B, "x 1")
            assert len(await samples(relay)) == 2

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_write_lock_that_is_not_given_is_unavailable_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_session, "LOCK_SECONDS", 5)

    async def test() -> None:
        limits = Limits(write_seconds=1.5)
        async with open_relay(tmp_path, limits=limits) as relay:
            await put(relay, A, "x 1")
            other = new_database(tmp_path)
            with write_locked(other):
                with pytest.raises(StoreUnavailable, match="in time"):
                    await put(relay, B, "x 1")
                with pytest.raises(StoreUnavailable, match="in time"):
                    await relay.require_ready()
                assert len(await samples(relay)) == 1
            other.close()
            await recover(relay)
            await put(relay, key_of("c"), "x 1")

    asyncio.run(test())


@pytest.mark.sqlite  # of a file
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("damage", ["replaced by garbage", "deleted", "truncated"])
def test_pages_outlive_the_database(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            before = await samples(relay)
            await recover(relay)
            files = list(tmp_path.glob("relay.db*"))
            safe = tmp_path / "safe"
            safe.mkdir()
            for file in files:
                file.rename(safe / file.name)
            if damage != "deleted":
                content = b"garbage " * 1000 if "garbage" in damage else b""
                (tmp_path / "relay.db").write_bytes(content)

            assert not await is_up(relay)
            assert await samples(relay) == before
            with pytest.raises(StoreUnavailable):
                await put(relay, B, "x 1")
            with pytest.raises(StoreUnavailable):
                await relay.require_ready()
            relay.require_alive()
            assert not relay.refresh_blocking()

            for file in tmp_path.glob("relay.db*"):
                file.unlink()
            for file in files:
                (safe / file.name).rename(file)
            await recover(relay)
            await put(relay, B, "x 1")
            assert len(await samples(relay)) == 2

    with caplog.at_level(logging.ERROR):
        asyncio.run(test())
    told = [r for r in caplog.records if "last known state" in r.getMessage()]
    assert len(told) == 1


@pytest.mark.usefixtures("impatient")
def test_a_database_that_hangs_delays_one_scrape_and_not_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 1.0)
    goes_on = threading.Event()

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            read = relay_module.read_snapshot

            def hang(*arguments: Any) -> Any:
                assert goes_on.wait(60)
                return read(*arguments)

            monkeypatch.setattr(relay_module, "read_snapshot", hang)
            try:
                assert not await is_up(relay)
                monkeypatch.setattr(relay_module, "read_snapshot", read)
                # The hanging call is past its deadline: nobody waits for it any more.
                async with asyncio.timeout(30):
                    for _ in range(50):
                        assert not await is_up(relay)
                assert not relay.refresh_blocking()
            finally:
                goes_on.set()
            await recover(relay)

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_database_that_has_become_slow_is_waited_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes later than anybody waits for one that did not answer."""
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 0.6)
    monkeypatch.setattr(store_health, "AGAIN_SECONDS", 0.0)
    seconds = 0.9

    async def test() -> None:
        nonlocal seconds
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            read = relay_module.read_snapshot

            def read_slowly(*arguments: Any) -> Any:
                time.sleep(seconds)
                return read(*arguments)

            monkeypatch.setattr(relay_module, "read_snapshot", read_slowly)
            assert not await is_up(relay)
            seconds = 0.05
            async with asyncio.timeout(30):
                while not await relay.refresh():
                    await asyncio.sleep(0.01)

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_blocking_refresh_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            monkeypatch.setattr(
                relay_module, "read_snapshot", lambda *_: goes_on.wait(60) and None
            )
            assert not await asyncio.to_thread(relay.refresh_blocking)
            goes_on.set()

    asyncio.run(test())


def test_a_row_that_cannot_be_read_leaves_the_last_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            other = new_database(tmp_path)
            broken = to_row(group_of("x 1", B, revision=2)) | {"families": b"\0"}
            with other.migrating() as connection:
                row = {"revision": 2, "nonce": b"n", "at": 0}
                connection.execute(insert(commits), row)
                connection.execute(insert(groups), broken)
            other.close()
            assert len(await samples(relay)) == 1
            assert not await is_up(relay)
            # No push would be taken, either.
            with pytest.raises(StoreUnavailable, match="cannot be read"):
                await relay.require_ready()

    with caplog.at_level(logging.ERROR):
        asyncio.run(test())
    assert "a row of table groups cannot be read (IsalError" in caplog.text


def test_a_fault_of_ours_in_reading_leaves_the_last_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: Any) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1")
            monkeypatch.setattr(relay_module, "read_snapshot", explode)
            assert len(await samples(relay)) == 1
            assert not await is_up(relay)

    with caplog.at_level(logging.ERROR):
        asyncio.run(test())
    assert "reading the store failed" in caplog.text


def test_an_answered_push_is_seen_also_if_the_database_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            deliver = relay._writer._deliver

            def deliver_and_rest(answers: list[tuple[Any, Any]]) -> None:
                deliver(answers)
                time.sleep(0.5)

            monkeypatch.setattr(relay._writer, "_deliver", deliver_and_rest)
            await put(relay, A, "x 1")
            monkeypatch.setattr(relay_module, "read_snapshot", fail)
            assert len(await samples(relay)) == 1
            await put(relay, B, "x 1")
            assert not await asyncio.to_thread(relay.refresh_blocking)
            assert len(relay.groups()) == 2

    asyncio.run(test())


def test_a_push_that_waits_for_a_lookup_delays_no_scrape_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(deciding, "HELD_UP_SECONDS", 0.2)
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 0.2)
    asked, goes_on = threading.Event(), threading.Event()

    def hang(*_: Any) -> None:
        asked.set()
        assert goes_on.wait(60)

    async def test() -> None:
        async with open_relay(tmp_path, clock=clock) as relay:
            await put(relay, A, "x 1", at=clock(), stale_after=SECOND)
            before = await samples(relay)
            monkeypatch.setattr(books, "find_receipt", hang)
            receipt = Receipt(bytes(32), bytes(32), clock())
            pushing = asyncio.create_task(put(relay, B, "x 1", receipt=receipt))
            try:
                assert await asyncio.to_thread(asked.wait, 30)
                clock.go(2)
                async with asyncio.timeout(20):
                    for _ in range(5):
                        assert await samples(relay) == before
                    assert len(await asyncio.to_thread(relay.groups)) == 1
            finally:
                goes_on.set()
            await pushing
            [shown] = [s for s in await samples(relay) if s.startswith("x{")]
            assert shown == 'x{instance="",job="b"} 1'

    asyncio.run(test())


@pytest.mark.usefixtures("impatient")
def test_a_relay_does_not_start_without_its_tables(tmp_path: Path) -> None:
    async def test() -> None:
        database = new_database(tmp_path)
        with database.migrating() as connection:
            connection.execute(text("DROP TABLE groups"))
        with pytest.raises(StoreUnavailable, match=NO_TABLE):
            Relay(database, Telemetry()).start()
        database.close()

    asyncio.run(test())


def test_a_scrape_shows_what_was_committed_before_it_was_asked(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            other = new_database(tmp_path)
            for number in range(20):
                # Refreshes that began before the commit must not be shared.
                earlier = [asyncio.create_task(relay.refresh()) for _ in range(3)]
                await asyncio.sleep(0)
                commit(other, group_of("x 1", key_of(f"j{number:02}")))
                assert len(await samples(relay)) == number + 1
                await asyncio.gather(*earlier)
            other.close()

    asyncio.run(test())


def test_a_blocking_refresh_sees_what_others_wrote(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            other = new_database(tmp_path)
            commit(other, group_of("x 1", A))
            assert await asyncio.to_thread(relay.refresh_blocking)
            assert [found.key for found in groups_of(relay)] == [A]
            other.close()

    asyncio.run(test())


@with_relay
async def test_ready_needs_no_probe_after_a_commit(relay: Relay) -> None:
    await relay.require_ready()
    revision = "pushrelay_store_revision 0\n"
    assert revision in await page_of(relay)
    await put(relay, A, "x 1")
    await relay.require_ready()


def test_own_metrics_tell_of_the_store(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_relay(tmp_path) as relay:
            await put(relay, A, "x 1\ny 2")
            await put(relay, B, "x 1")
            page = await page_of(relay)
            for line in (
                "pushrelay_groups 2",
                "pushrelay_series 7",
                "pushrelay_store_revision 2",
                "pushrelay_store_up 1",
                "pushrelay_store_commit_writes_count 2",
                "pushrelay_store_commit_duration_seconds_count 2",
            ):
                assert f"\n{line}\n" in page

    asyncio.run(test())


def test_series_are_deleted_from_what_the_group_holds_when_that_is_done(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        wide = "".join(f'x{{n="{n}"}} 1\n' for n in range(20_000))
        selectors = [parse_selector('{n=~".*[0-4]"}', of_series=True)]
        async with open_relay(tmp_path) as relay:
            await put(relay, A, wide)
            deletion = asyncio.create_task(relay.delete_series(A, selectors))
            await asyncio.sleep(0.01)
            await put(relay, A, 'x{n="4"} 1\nx{n="5"} 1\ny 1\n')
            assert not deletion.done()
            await deletion
            [held] = groups_of(relay)
            assert held.payload.layout.size == 2
            assert b'n="5"' in held.payload.text

    asyncio.run(main())
