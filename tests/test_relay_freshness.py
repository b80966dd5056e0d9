"""A relay whose clock and rules are the test's: what is shown of groups, and when."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

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
)

from pushrelay import relay as relay_module
from pushrelay import store_health
from pushrelay.aggregation import Mode
from pushrelay.config import Freshness
from pushrelay.errors import InconsistentPush, InvalidGroupingKey
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies

A, B = key_of("a"), key_of("b")
A_I = key_of("a", instance="i")
MINUTE, HOUR = 60, 3600
STALE = 'pushrelay_group_stale{instance="",job="a"}'
STALE_AT = 'pushrelay_group_stale_timestamp_seconds{instance="",job="a"}'
STALENESS = {"pushrelay_group_stale", "pushrelay_group_stale_timestamp_seconds"}
PUSHED = 'push_time_seconds{instance="",job="a"}'
FAILED = 'push_failure_time_seconds{instance="",job="a"}'


def rules(text: str) -> Policies:
    return Policies(None, parse_rules(text, "rules.toml"))


def stale_after(hours: float) -> Policies:
    return Policies(Freshness(stale_after=round(hours * HOUR * SECOND)))


HOURLY = stale_after(1)


# --- going stale ---


# freshness.md: 3, 4
@on_loop
async def test_what_was_pushed_goes_and_what_tells_of_it_stays(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        body = "x 1\n# TYPE last_timestamp_seconds gauge\nlast_timestamp_seconds 7"
        await put(relay, A, body, at=clock())
        pushed_at = clock() / SECOND
        clock.go(HOUR - 0.001)
        assert await names_shown(relay) == {"x", "last_timestamp_seconds", *STALENESS}
        assert (await shown(relay))[STALE] == 0
        clock.go(0.001)
        page = await page_of(relay)
        assert await names_shown(relay) == {"last_timestamp_seconds", *STALENESS}
        assert "# TYPE x " not in page
        assert "# TYPE last_timestamp_seconds gauge\n" in page
        series = await shown(relay)
        assert (series[STALE], series[STALE_AT]) == (1, pushed_at + HOUR)
        assert series[PUSHED] == pushed_at
        assert await group(relay, A)
        clock.go(1000 * HOUR)
        assert await shown(relay) == series
        await put(relay, A, body, at=clock())
        assert await names_shown(relay) == {"x", "last_timestamp_seconds", *STALENESS}


# freshness.md: 8
@on_loop
async def test_a_relay_without_policies_shows_nothing_of_all_this(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, None, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        clock.go(1000 * HOUR)
        assert await names_shown(relay) == {"x"}


# freshness.md: 8
@on_loop
async def test_the_push_says_more_than_the_rule_and_the_rule_more_than_the_flag(
    tmp_path: Path, clock: Clock
) -> None:
    of_a = parse_rules(
        '[[jobs]]\nmatch = \'job="a"\'\nstale_after = "2h"', "rules.toml"
    )
    policies = HOURLY.with_rules(of_a)
    async with open_relay(tmp_path, policies, clock) as relay:
        for key in (A, B):
            await put(relay, key, f"from_{key.labels[0][1]} 1", at=clock())
        await put(
            relay,
            key_of("a", zone="1"),
            "from_push 1",
            at=clock(),
            stale_after=3 * HOUR * SECOND,
        )
        for expected in (
            {"from_a", "from_push", *STALENESS},
            {"from_push", *STALENESS},
            STALENESS,
        ):
            clock.go(HOUR)
            assert await names_shown(relay) == expected


# freshness.md: 9
@on_loop
async def test_a_push_that_says_nothing_takes_back_what_the_one_before_said(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, None, clock) as relay:
        await put(relay, A, "x 1", at=clock(), stale_after=HOUR * SECOND)
        # A refused one does not.
        with pytest.raises(InconsistentPush):
            await put(relay, A, "x 1 1", at=clock())
        assert await names_shown(relay) == {"x", *STALENESS}
        await put(relay, A, "x 1", at=clock())
        assert await names_shown(relay) == {"x"}


# freshness.md: 1
@on_loop
async def test_a_push_of_one_family_does_not_revive_the_others(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1\ny 1\n", at=clock())
        clock.go(HOUR / 2)
        await post(relay, A, "y 2", at=clock())
        clock.go(HOUR / 2)
        assert await names_shown(relay) == {"y", *STALENESS}
        assert (await shown(relay))[STALE] == 0
        clock.go(HOUR / 2)
        assert await names_shown(relay) == STALENESS
        assert (await shown(relay))[STALE] == 1
        await post(relay, A, "z 1", at=clock())
        assert await names_shown(relay) == {"z", *STALENESS}
        # Nor does one without families.
        await post(relay, A, "", at=clock())
        assert await names_shown(relay) == {"z", *STALENESS}


# freshness.md: 5
@on_loop
async def test_a_group_that_only_ever_failed_is_stale_from_the_beginning(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        began = clock() / SECOND
        with pytest.raises(InconsistentPush):
            await put(relay, A, "x 1 1", at=clock())
        expected = {PUSHED: 0, FAILED: began, STALE: 1, STALE_AT: began}
        assert await shown(relay) == expected
        clock.go(HOUR)
        with pytest.raises(InconsistentPush):
            await put(relay, A, "x 1 1", at=clock())
        assert await shown(relay) == expected | {FAILED: began + HOUR}
        await put(relay, A, "x 1", at=clock())
        assert (await shown(relay))[STALE] == 0


# freshness.md: 4
@on_loop
async def test_counters_that_are_added_up_go_on_after_they_were_stale(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        for total in (1, 2):
            await put(relay, A, "# TYPE x counter\nx 1", at=clock(), mode=Mode.ADD)
            assert (await shown(relay))['x{instance="",job="a"}'] == total
            clock.go(2 * HOUR)
            assert await names_shown(relay) == STALENESS


# freshness.md: 4
@on_loop
async def test_what_is_withheld_still_counts_in_the_checks(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, '# TYPE x gauge\nx{instance="i"} 1', at=clock())
        clock.go(HOUR)
        assert await names_shown(relay) == STALENESS
        with pytest.raises(InconsistentPush, match="not a GAUGE"):
            await put(relay, B, "# TYPE x counter\nx 1", at=clock())
        with pytest.raises(InconsistentPush, match="was collected before"):
            await put(relay, A_I, "# TYPE x gauge\nx 1", at=clock())
        with pytest.raises(InvalidGroupingKey):
            await put(relay, key_of("a", instance=""), "y 1", at=clock())


# freshness.md: 19
@on_loop
async def test_the_gauges_count_stale_groups_and_no_withheld_series(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, 'x{l="1"} 1\nx{l="2"} 1\ny_timestamp_seconds 1', at=clock())
        for series in (7, 5):
            page = await page_of(relay)
            assert "\npushrelay_groups 1\n" in page
            assert f"\npushrelay_series {series}\n" in page
            assert len(await shown(relay)) == series
            clock.go(HOUR)


# --- clocks and rules that change ---


# freshness.md: 17
@on_loop
async def test_after_a_step_back_of_the_clock_all_is_as_it_was_then(
    tmp_path: Path, clock: Clock
) -> None:
    policies = Policies(Freshness(3 * HOUR * SECOND, 5 * HOUR * SECOND))
    async with open_relay(tmp_path, policies, clock) as relay:
        pages = []
        await put(relay, A, "x 1\ny 1", at=clock())
        for _ in range(3):
            await post(relay, A, "x 1", at=clock())
            clock.go(HOUR)
        for _ in range(6):
            pages.append(await shown(relay))
            clock.go(HOUR)
        assert pages[0].keys() > pages[2].keys() > pages[5].keys()
        for back in (2, 6, 3):
            clock.go(-back * HOUR)
            for page in pages[-back:]:
                assert await shown(relay) == page
                clock.go(HOUR)


# freshness.md: 17
@on_loop
async def test_a_clock_that_trembles_brings_nothing_back(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        clock.go(HOUR)
        assert await names_shown(relay) == STALENESS
        before = relay._view.snapshot()
        for milliseconds in (-5, 3, -400, -500):
            clock.go(milliseconds / 1000)
            assert await names_shown(relay) == STALENESS
        assert relay._view.snapshot() is before
        clock.go(-0.1)
        assert await names_shown(relay) == {"x", *STALENESS}


@on_loop
async def test_a_push_from_before_a_step_back_of_the_clock_is_fresh_for_longer(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        clock.go(-5 * HOUR)
        await put(relay, B, "y 1", at=clock())
        clock.go(HOUR)
        assert await names_shown(relay) == {"x", *STALENESS}
        clock.go(5 * HOUR)
        assert await names_shown(relay) == STALENESS


# freshness.md: 10
@on_loop
async def test_other_rules_hold_at_once_for_groups_that_are_stale(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, stale_after(2), clock) as relay:
        await put(relay, A, "x 1", at=clock())
        clock.go(HOUR)
        for policies, expected in [
            (stale_after(2), {"x", *STALENESS}),
            (stale_after(1), STALENESS),
            (stale_after(1.5), {"x", *STALENESS}),
            (stale_after(0.5), STALENESS),
            (Policies(), {"x"}),
            (rules('[[jobs]]\nmatch = \'job="b"\'\nstale_after = "1m"'), {"x"}),
            (rules('[[jobs]]\nmatch = \'job="a"\'\nstale_after = "1m"'), STALENESS),
        ]:
            await relay.follow(policies)
            assert await names_shown(relay) == expected
        await relay.follow(stale_after(3))
        clock.go(2 * HOUR)
        assert await names_shown(relay) == STALENESS


# --- several relays, restarts, what costs nothing ---


@on_loop
async def test_states_and_evidence_are_the_same_after_a_restart(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1\nlast_timestamp_seconds 7", at=clock())
        with pytest.raises(InconsistentPush):
            await put(relay, B, "x 1 1", at=clock())
        await put(relay, A_I, "z 1", at=clock(), stale_after=5 * HOUR * SECOND)
        clock.go(HOUR / 2)
        await post(relay, A, "y 1", at=clock())
        clock.go(HOUR / 2)
        before = await shown(relay)
    assert {head.partition("{")[0] for head in before} == {
        *("y", "z", "last_timestamp_seconds"),
        *("push_time_seconds", "push_failure_time_seconds", *STALENESS),
    }
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        assert await shown(relay) == before
        clock.go(HOUR)
        assert await names_shown(relay) == {"z", "last_timestamp_seconds", *STALENESS}


@on_loop
async def test_two_relays_of_a_database_agree_on_what_is_stale(
    tmp_path: Path, clock: Clock
) -> None:
    async with (
        open_relay(tmp_path, HOURLY, clock) as one,
        open_relay(tmp_path, HOURLY, clock) as other,
    ):
        for relay in (one, other):
            await post(relay, A, "x 1", at=clock())
            clock.go(HOUR / 2)
            await post(relay, A, "y 1", at=clock())
            for _ in range(4):
                assert await shown(one) == await shown(other)
                clock.go(HOUR / 2)
            assert await names_shown(other) == STALENESS


@on_loop
async def test_a_scrape_of_what_has_not_changed_makes_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        await put(relay, B, "y 1", at=clock(), stale_after=HOUR // 2 * SECOND)
        for _ in range(2):
            await shown(relay)
            before = relay._view.snapshot()
            for _ in range(5):
                clock.go(MINUTE)
                await shown(relay)
                assert relay._view.snapshot() is before
            clock.go(HOUR / 2)
            await shown(relay)
            assert relay._view.snapshot() is not before


@on_loop
async def test_many_groups_go_stale_between_two_scrapes(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, HOURLY, clock) as relay:
        keys = [key_of(f"j{number}") for number in range(1_200)]
        await asyncio.gather(
            *(put(relay, key, "x 1", at=clock()) for key in keys[:600])
        )
        await asyncio.gather(
            *(put(relay, key, "x 1", at=clock()) for key in keys[600:])
        )
        clock.go(HOUR)
        series = await shown(relay)
        stale = [head for head in series if head.startswith("pushrelay_group_stale{")]
        assert [series[head] for head in stale] == [1] * 1_200
        assert await names_shown(relay) == STALENESS


# freshness.md: 20
@on_loop
async def test_a_database_that_hangs_keeps_nothing_from_going_stale(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_health, "CLOCK_DEADLINE_SECONDS", 0.05)
    read = relay_module.read_snapshot

    def hang(*arguments: Any) -> Any:
        time.sleep(0.3)
        return read(*arguments)

    async with open_relay(tmp_path, HOURLY, clock) as relay:
        await put(relay, A, "x 1", at=clock())
        assert await names_shown(relay) == {"x", *STALENESS}
        monkeypatch.setattr(relay_module, "read_snapshot", hang)
        clock.go(HOUR)
        page = await page_of(relay)
        assert "\npushrelay_store_up 0\n" in page
        assert f"\n{STALE} 1\n" in page
        assert "\nx{" not in page


@on_loop
async def test_the_help_of_what_is_withheld_counts_at_once(
    tmp_path: Path, clock: Clock
) -> None:
    """The text that most groups give is shown, and those that show nothing are asked
    too."""
    first, other = "# HELP x First.\nx 1", "# HELP x Other.\nx 1"
    async with open_relay(tmp_path, clock=clock) as relay:
        await put(relay, key_of("shown"), first, at=clock())
        for job in "abc":
            await put(relay, key_of(job), first, at=clock(), stale_after=0)
        assert "# HELP x First.\n" in await page_of(relay)
        for job in "abc":
            await put(relay, key_of(job), other, at=clock(), stale_after=0)
        assert "# HELP x Other.\n" in await page_of(relay)
        for job in "abc":
            await relay.delete(key_of(job))
        assert "# HELP x First.\n" in await page_of(relay)
