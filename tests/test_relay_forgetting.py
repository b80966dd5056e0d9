"""What is forgotten: when, what of it can come back, and what is known of its job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from builders import key_of
from relay_use import (
    SECOND,
    Clock,
    group,
    names_shown,
    on_loop,
    open_relay,
    page_of,
    post,
    put,
    shown,
    stored_groups,
)

from pushrelay import deletions, janitor
from pushrelay.aggregation import Mode
from pushrelay.config import Freshness
from pushrelay.errors import InconsistentPush
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay

A, B = key_of("a"), key_of("b")
POD_1, POD_2 = key_of("pods", instance="1"), key_of("pods", instance="2")
HOUR = 3600
LAST_PUSH = 'pushrelay_job_last_push_timestamp_seconds{instance="",job="pods"}'
GROUPS = 'pushrelay_job_groups{instance="",job="pods"}'
STALENESS = {"pushrelay_group_stale", "pushrelay_group_stale_timestamp_seconds"}


def after(stale: float, forget: float) -> Policies:
    """Policies of all groups, in hours."""
    return Policies(
        Freshness(round(stale * HOUR * SECOND), round(forget * HOUR * SECOND))
    )


WITHHELD_THEN_FORGOTTEN = after(1, 2)
PODS = Policies(
    None,
    parse_rules(
        """
        [[jobs]]
        match = '{job="pods"}'
        stale_after = "1h"
        on_stale = "forget"
        """,
        "rules.toml",
    ),
)


@pytest.fixture(autouse=True)
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows stay until a test wants them removed."""
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 3600)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rows of forgotten groups go soon."""
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 0.02)


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


async def refused(push: Awaitable[None]) -> None:
    with pytest.raises(InconsistentPush):
        await push


# --- forgetting ---


# freshness.md: 18
@on_loop
async def test_a_forgotten_group_is_gone_whether_or_not_its_row_is(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "x 1\nlast_timestamp_seconds 7", at=clock())
        clock.go(2 * HOUR - 1)
        assert await names_shown(relay) == {"last_timestamp_seconds", *STALENESS}
        clock.go(1)
        assert await shown(relay) == {}
        assert "\npushrelay_groups 0\n" in await page_of(relay)
        assert await group(relay, A) is None
        assert stored_groups(tmp_path).keys() == {A}


# freshness.md: 6
@on_loop
async def test_a_refused_push_is_a_sign_of_life(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        for _ in range(3):
            clock.go(1.5 * HOUR)
            await refused(put(relay, A, "x 1 1", at=clock()))
            assert await names_shown(relay) == STALENESS
        clock.go(2 * HOUR)
        assert await shown(relay) == {}


# freshness.md: 7
@on_loop
async def test_a_push_to_a_forgotten_group_begins_it_anew(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        for _ in range(2):
            await refused(put(relay, A, "x 1 1", at=clock()))
            body = "# TYPE x counter\nx 1"
            await put(relay, A, body, at=clock(), mode=Mode.ADD)
            found = await group(relay, A)
            assert found is not None
            assert found.created_at == found.pushed_at == found.failed_at == clock()
            assert (await shown(relay))['x{instance="",job="a"}'] == 1
            clock.go(2 * HOUR)
        await put(relay, A, "", at=clock())
        found = await group(relay, A)
        assert found is not None
        assert (found.created_at, found.failed_at) == (clock(), 0)
        assert not found.families


# freshness.md: 7
@on_loop
async def test_what_is_forgotten_stands_in_nobodys_way(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, '# TYPE x gauge\nx{instance="i"} 1', at=clock())
        clock.go(2 * HOUR)
        await put(relay, B, "# TYPE y gauge\ny 1", at=clock())
        await put(relay, key_of("a", instance="i"), "# TYPE x counter\nx 1", at=clock())
        twin = key_of("a", instance="")
        await put(relay, twin, "# TYPE y gauge\ny 1", at=clock())
        assert await names_shown(relay) == {"x", "y", *STALENESS}


# --- coming back ---


# freshness.md: 18
@on_loop
async def test_a_longer_time_brings_back_what_still_has_its_row(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        before = await shown(relay)
        clock.go(2 * HOUR)
        for policies, names in [
            (after(1, 2), set()),
            (after(1, 3), STALENESS),
            (after(3, 4), {"x", *STALENESS}),
            (after(0.5, 1), set()),
        ]:
            await relay.follow(policies)
            assert await names_shown(relay) == names
        clock.go(-2 * HOUR)
        await relay.follow(WITHHELD_THEN_FORGOTTEN)
        assert await shown(relay) == before


# freshness.md: 17, 18
@pytest.mark.usefixtures("soon")
@on_loop
async def test_nothing_brings_back_what_was_removed(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        clock.go(2 * HOUR)
        await wait_until(lambda: not stored_groups(tmp_path))
        await relay.follow(after(1, 1000))
        assert await shown(relay) == {}
        clock.go(-2 * HOUR)
        assert await shown(relay) == {}


# freshness.md: 18
@pytest.mark.parametrize(
    ("key", "body"),
    [
        (B, "# TYPE x counter\nx 2"),
        (B, "# TYPE x summary\nx_sum 2\nx_count 2"),
        (B, "# TYPE y gauge\ny 1\n# TYPE h_count gauge\nh_count 2"),
        (key_of("a", instance="i"), "# TYPE x gauge\nx 2"),
        (key_of("a", instance=""), "# TYPE y gauge\ny 2"),
        # Even where all that is left of it is when it failed.
        (key_of("a", instance=""), "# TYPE y gauge\ny 2 1"),
    ],
)
@on_loop
async def test_what_was_pushed_against_a_forgotten_group_keeps_it_away(
    key: GroupingKey, body: str, tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        gauge = '# TYPE x gauge\nx{instance="i"} 1'
        histogram = '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1'
        await put(relay, A, f"{gauge}\n{histogram}", at=clock())
        clock.go(2 * HOUR)
        assert await shown(relay) == {}
        with suppress(InconsistentPush):
            await put(relay, key, body, at=clock())
        pushed = (await shown(relay)).keys()
        assert pushed
        await relay.follow(after(100, 100))
        assert (await shown(relay)).keys() == pushed
        clock.go(-2 * HOUR)
        assert (await shown(relay)).keys() == pushed


@on_loop
async def test_what_was_pushed_beside_a_forgotten_group_lets_it_come_back(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "# TYPE x gauge\nx 1", at=clock())
        clock.go(2 * HOUR)
        await put(relay, B, "# TYPE x gauge\nx 1", at=clock())
        await relay.follow(after(100, 100))
        assert {'x{instance="",job="a"}', 'x{instance="",job="b"}'} <= set(
            await shown(relay)
        )


# --- rows ---


@pytest.mark.usefixtures("soon")
@on_loop
async def test_rows_go_of_what_is_forgotten_and_of_nothing_else(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        fresh, failing, stale = key_of("c"), key_of("d"), key_of("e")
        for key in (A, B, fresh, failing, stale):
            await put(relay, key, "x 1", at=clock())
        clock.go(HOUR)
        await put(relay, stale, "x 1", at=clock())
        await refused(put(relay, failing, "x 1 1", at=clock()))
        await put(relay, fresh, "x 1", at=clock(), stale_after=100 * HOUR * SECOND)
        clock.go(HOUR)
        await wait_until(lambda: A not in stored_groups(tmp_path))
        assert stored_groups(tmp_path).keys() == {fresh, failing, stale}
        assert "\npushrelay_groups_forgotten_total 2\n" in await page_of(relay)
        await put(relay, A, "x 1", at=clock())
        await asyncio.sleep(0.1)
        assert A in stored_groups(tmp_path)


# freshness.md: 18
@pytest.mark.usefixtures("soon")
@on_loop
async def test_rows_go_in_batches_between_which_pushes_have_their_turn(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten groups of one family.
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", 10 * (5 + 1))
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        keys = [key_of(f"j{number}") for number in range(100)]
        await asyncio.gather(*(put(relay, key, "x 1", at=clock()) for key in keys))
        clock.go(2 * HOUR)
        left = {100}
        while left != {0} | left:
            await put(relay, B, "x 1", at=clock())
            left.add(len(stored_groups(tmp_path)) - 1)
        assert len(left) > 5
        assert all(number % 10 == 0 for number in left)
        assert "\npushrelay_groups_forgotten_total 100\n" in await page_of(relay)


# --- jobs whose groups come and go ---


# freshness.md: 14
@on_loop
async def test_the_last_push_to_a_job_outlives_its_groups(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, PODS, clock) as relay:
        await put(relay, POD_1, "x 1", at=clock())
        clock.go(HOUR / 2)
        await put(relay, POD_2, "x 1", at=clock())
        last = clock() / SECOND
        job = {LAST_PUSH: last}
        assert (await shown(relay)).items() >= {**job, GROUPS: 2}.items()
        clock.go(HOUR / 2)
        series = await shown(relay)
        assert series.items() >= {**job, GROUPS: 1}.items()
        assert not [head for head in series if 'instance="1"' in head]
        clock.go(HOUR / 2)
        assert await shown(relay) == {**job, GROUPS: 0}
        clock.go(1000 * HOUR)
        assert await shown(relay) == {**job, GROUPS: 0}
        await put(relay, POD_1, "x 1", at=clock())
        assert (await shown(relay)).items() >= {
            LAST_PUSH: clock() / SECOND,
            GROUPS: 1,
        }.items()


async def delete_it(relay: Relay, clock: Clock) -> None:
    await relay.delete(POD_1)


async def let_it_be_forgotten(relay: Relay, clock: Clock) -> None:
    clock.go(HOUR)


async def let_its_row_go(relay: Relay, clock: Clock) -> None:
    clock.go(HOUR)
    await shown(relay)
    await relay.delete(POD_1)


async def begin_it_anew(relay: Relay, clock: Clock) -> None:
    clock.go(HOUR)
    await refused(put(relay, POD_1, "x 1 1", at=clock()))
    clock.go(HOUR)


async def push_in_the_past(relay: Relay, clock: Clock) -> None:
    await put(relay, POD_1, "x 1", at=clock() - HOUR * SECOND)


# freshness.md: 14
@pytest.mark.parametrize(
    "leave",
    [delete_it, let_it_be_forgotten, let_its_row_go, begin_it_anew, push_in_the_past],
)
@on_loop
async def test_what_is_known_of_a_job_is_known_after_a_restart(
    leave: Callable[[Relay, Clock], Awaitable[None]], tmp_path: Path, clock: Clock
) -> None:
    last = clock() / SECOND
    async with open_relay(tmp_path, PODS, clock) as relay:
        await put(relay, POD_1, "x 1", at=clock())
        await leave(relay, clock)
        before = await shown(relay)
        assert before[LAST_PUSH] == last
    for _ in range(2):
        async with open_relay(tmp_path, PODS, clock) as relay:
            assert await shown(relay) == before


@on_loop
async def test_all_deletions_of_a_batch_leave_the_latest_push_of_the_job(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, PODS, clock) as relay:
        await asyncio.gather(
            put(relay, POD_1, "x 1", at=clock()),
            put(relay, POD_2, "x 1", at=clock() - 60 * SECOND),
            relay.delete(POD_1),
            relay.delete(POD_2),
        )
        before = await shown(relay)
        assert before == {LAST_PUSH: clock() / SECOND, GROUPS: 0}
    async with open_relay(tmp_path, PODS, clock) as relay:
        assert await shown(relay) == before


# freshness.md: 15
@on_loop
async def test_a_retired_job_leaves_nothing(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, PODS, clock) as relay:
        # One is forgotten and has its row, one had it, one is fresh.
        for key in (POD_1, POD_2):
            await put(relay, key, "x 1", at=clock())
        await relay.delete(POD_2)
        clock.go(HOUR)
        await put(relay, key_of("pods", instance="3"), "x 1", at=clock())
        await put(relay, A, "x 1", at=clock())
        others = {head for head in await shown(relay) if 'job="a"' in head}
        await relay.endings.retire("pods")
        assert (await shown(relay)).keys() == others
        assert stored_groups(tmp_path).keys() == {A}
        await relay.endings.retire("pods")
        await relay.endings.retire("unknown")
    async with open_relay(tmp_path, PODS, clock) as relay:
        assert (await shown(relay)).keys() == others
        clock.go(HOUR)
        await put(relay, POD_1, "x 1", at=clock())
        assert (await shown(relay))[LAST_PUSH] == clock() / SECOND


# freshness.md: 15
@on_loop
async def test_a_retired_job_leaves_no_push_times_either(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, WITHHELD_THEN_FORGOTTEN, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        await put(relay, key_of("a", zone="1"), "y_timestamp_seconds 1", at=clock())
        clock.go(HOUR)
        await relay.endings.retire("a")
        assert await shown(relay) == {}


# freshness.md: 13
@on_loop
async def test_the_failures_of_a_pod_are_shown_until_it_is_silent(
    tmp_path: Path, clock: Clock
) -> None:
    failed = 'push_failure_time_seconds{instance="1",job="pods"}'
    async with open_relay(tmp_path, PODS, clock) as relay:
        for _ in range(3):
            await refused(put(relay, POD_1, "x 1 1", at=clock()))
            assert (await shown(relay))[failed] == clock() / SECOND
            clock.go(HOUR - 1)
        clock.go(1)
        assert await shown(relay) == {LAST_PUSH: 0, GROUPS: 0}


# One name begins with the other, so that their keys have another order.
@on_loop
async def test_jobs_with_like_names_are_told_apart_after_a_restart(
    tmp_path: Path, clock: Clock
) -> None:
    rules = "[[jobs]]\nmatch = 'job=~\"pods.*\"'\nstale_after = '1h'\n"
    policies = Policies(None, parse_rules(rules + "on_stale = 'forget'\n", "r.toml"))
    async with open_relay(tmp_path, policies, clock) as relay:
        await put(relay, POD_1, "x 1", at=clock())
        await put(relay, key_of("pods-2"), "x 1", at=clock())
        before = list(await shown(relay))
    async with open_relay(tmp_path, policies, clock) as relay:
        assert list(await shown(relay)) == before
        clock.go(1)
        for key in (POD_1, key_of("pods-2")):
            await put(relay, key, "x 1", at=clock())
        lines = (await page_of(relay)).splitlines()
        assert len([line for line in lines if line.startswith(LAST_PUSH)]) == 1
        await relay.endings.retire("pods")
        await relay.endings.retire("pods-2")
        assert await shown(relay) == {}


@on_loop
async def test_a_job_without_such_a_rule_has_no_evidence_of_its_own(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, PODS, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        await post(
            relay,
            A,
            "y 1",
            at=clock(),
        )
        assert await names_shown(relay) == {"x", "y"}
        await relay.follow(PODS.with_rules(parse_rules("", "rules.toml")))
        await put(relay, POD_1, "x 1", at=clock())
        assert await names_shown(relay) == {"x", "y"}
