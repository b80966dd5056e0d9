"""What is stored is limited: what would grow beyond is refused, all else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import families_of, group_of, key_of
from relay_use import (
    SECOND,
    Clock,
    group,
    on_loop,
    open_relay,
    page_of,
    post,
    put,
    samples,
    series_of,
)
from run_relays import HOUR, begun, ended, report

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.errors import InconsistentPush, LimitExceeded
from pushrelay.expectations import Source
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.schedule import Expectation
from pushrelay.writes import ChangeExpectation, Import, Push, PushAll, receipt_of

A, B, C = key_of("a"), key_of("b"), key_of("c")
TWO = Limits(stored_groups=2)
EVERY_HOUR = Expectation(every=HOUR)


def policies_of(rules: str) -> Policies:
    return Policies(None, parse_rules(rules, "rules.toml"))


def push_of(key: GroupingKey, body: str = "x 1", mode: Mode = Mode.REPLACE) -> Push:
    return prepare_push(key, families_of(body, key), mode, SECOND)


async def limit_hit(doing: Awaitable[Any]) -> str:
    """Return the name of the limit that `doing` is refused for."""
    with pytest.raises(LimitExceeded) as refused:
        await doing
    assert "raise the limit" in str(refused.value)
    return refused.value.limit


async def expect(relay: Relay, job: str) -> None:
    change = ChangeExpectation(
        job, lambda known: known.told(Source.API, EVERY_HOUR, SECOND), makes_known=True
    )
    await relay.runs.expect(change)


@on_loop
async def test_a_group_too_many_is_refused_until_one_is_gone(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=TWO) as relay:
        await put(relay, A, "x 1")
        await put(relay, B, "x 1")
        assert await limit_hit(put(relay, C, "x 1")) == "stored_groups"
        await put(relay, A, "x 2\ny 3")
        assert await samples(relay) == [
            'x{instance="",job="a"} 2',
            'x{instance="",job="b"} 1',
            'y{instance="",job="a"} 3',
        ]
        await relay.delete(B)
        await put(relay, C, "x 1")


@on_loop
async def test_a_restarted_relay_counts_what_is_stored(tmp_path: Path) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, "x 1")
        await put(relay, B, "x 1")
    async with open_relay(tmp_path, limits=TWO) as relay:
        assert await limit_hit(put(relay, C, "x 1")) == "stored_groups"


@on_loop
async def test_replicas_count_what_others_wrote(tmp_path: Path) -> None:
    async with (
        open_relay(tmp_path, limits=TWO) as one,
        open_relay(tmp_path, limits=TWO) as other,
    ):
        await put(one, A, "x 1")
        await put(other, B, "x 1")
        assert await limit_hit(put(one, C, "x 1")) == "stored_groups"
        await other.delete(A)
        await put(one, C, "x 1")
        assert await limit_hit(put(other, A, "x 1")) == "stored_groups"


@on_loop
async def test_writes_of_one_batch_count_each_other(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=TWO) as relay:
        too_many = PushAll(tuple(map(push_of, (A, B, C))))
        assert await limit_hit(relay.push(too_many)) == "stored_groups"
        assert await samples(relay) == []
        # Nothing of what was refused is counted.
        await relay.push(PushAll(tuple(map(push_of, (A, B)))))


@on_loop
async def test_series_are_counted_over_all_groups(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=Limits(stored_series=4)) as relay:
        await put(relay, A, "x 1\ny 1")
        await put(relay, B, "x 1\ny 1")
        assert await limit_hit(post(relay, A, "z 1")) == "stored_series"
        await put(relay, A, "z 1\ny 1")
        await put(relay, A, "z 1")
        await post(relay, B, "z 1")
        assert await limit_hit(put(relay, C, "z 1")) == "stored_series"


@on_loop
async def test_stale_series_are_stored_as_well(tmp_path: Path, clock: Clock) -> None:
    policies = policies_of("[[jobs]]\nmatch = 'job=\"a\"'\nstale_after = '1h'")
    limits = Limits(stored_series=2)
    async with open_relay(tmp_path, policies, clock, limits=limits) as relay:
        await put(relay, A, "x 1\ny 1", at=clock.now)
        clock.go(7200)
        assert 'x{instance="",job="a"}' not in await series_of(relay)
        assert await limit_hit(put(relay, B, "x 1")) == "stored_series"


@on_loop
async def test_what_is_forgotten_makes_room_at_once(
    tmp_path: Path, clock: Clock
) -> None:
    policies = policies_of("[[jobs]]\nmatch = 'job=\"a\"'\nforget_after = '1h'")
    limits = Limits(stored_groups=1)
    async with open_relay(tmp_path, policies, clock, limits=limits) as relay:
        await put(relay, A, "x 1", at=clock.now)
        assert await limit_hit(put(relay, B, "x 1", at=clock.now)) == "stored_groups"
        clock.go(7200)
        await put(relay, B, "x 1", at=clock.now)
        assert await limit_hit(put(relay, A, "x 1", at=clock.now)) == "stored_groups"


@on_loop
async def test_bytes_are_counted_and_values_may_take_some_more(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=Limits(stored_bytes=2_000)) as relay:
        long = f'x{{a="{"v" * 1_800}"}}'
        await put(relay, A, f"{long} 1")
        assert await limit_hit(put(relay, B, f"{long} 1")) == "stored_bytes"
        await put(relay, A, f"{long} 1.2345678901234567e+25")
        more = "v" * 400
        for _ in range(2):
            too_long = f'x{{a="{"v" * 1_800}{more}"}} 1'
            assert await limit_hit(put(relay, A, too_long)) == "stored_bytes"
        await put(relay, A, "x 1")
        await put(relay, B, 'x{a="1"} 1')


@on_loop
async def test_a_job_has_limits_of_its_own(tmp_path: Path) -> None:
    policies = policies_of(
        "[[jobs]]\nmatch = 'job=\"a\"'\n[jobs.limits]\njob_groups = 2\njob_series = 3\n"
    )
    async with open_relay(tmp_path, policies) as relay:
        pods = [key_of("a", instance=f"pod-{number}") for number in range(3)]
        await put(relay, pods[0], "x 1")
        await put(relay, pods[1], "x 1")
        assert await limit_hit(put(relay, pods[2], "x 1")) == "job_groups"
        await put(relay, pods[1], "x 1\ny 1")
        assert await limit_hit(put(relay, pods[0], "x 1\ny 1")) == "job_series"
        for number in range(3):
            await put(relay, key_of("b", instance=str(number)), "x 1\ny 1")
        await relay.endings.retire("a")
        await put(relay, pods[2], "x 1")


@on_loop
async def test_all_jobs_have_the_limits_of_flags(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=Limits(job_groups=1)) as relay:
        await put(relay, A, "x 1")
        await put(relay, B, "x 1")
        pod = key_of("a", instance="pod")
        assert await limit_hit(put(relay, pod, "x 1")) == "job_groups"


@on_loop
async def test_where_there_is_no_room_no_group_is_made_to_note_a_failure(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path, limits=TWO) as relay:
        await put(relay, A, "x 1")
        await put(relay, B, "x 1")
        for key in (A, C):
            with pytest.raises(InconsistentPush):
                await put(relay, key, "x 1 1", at=2 * SECOND)
        found = await group(relay, A)
        assert found is not None
        assert found.failed_at == 2 * SECOND
        assert await group(relay, C) is None


@on_loop
async def test_a_dry_run_says_that_there_is_no_room(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=Limits(stored_groups=1)) as relay:
        await put(relay, A, "x 1")
        tried = replace(push_of(B), dry_run=True)
        assert await limit_hit(relay.push(tried)) == "stored_groups"


@on_loop
async def test_an_import_takes_as_many_groups_as_there_is_room_for(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path, limits=TWO) as relay:
        groups = Import(tuple(group_of(key=key) for key in (A, B, C)))
        *taken, refused = await relay.import_groups(groups)
        assert taken == [None, None]
        assert refused is not None
        assert "stored-groups" in refused


@on_loop
async def test_metrics_of_a_run_without_room_are_refused_and_its_end_is_kept(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path, limits=Limits(stored_groups=1)) as relay:
        await put(relay, B, "x 1")
        reported = await report(relay, ended(1, SECOND, 2 * SECOND), metrics="x 1")
        assert isinstance(reported.refusal, LimitExceeded)
        assert reported.run.end is not None
        assert "stored-groups" in reported.run.end.problems[0]
        assert await group(relay, A) is None
        assert "pushrelay_job_runs_total" in await page_of(relay)


@on_loop
async def test_keys_with_runs_are_limited_as_groups_are(tmp_path: Path) -> None:
    rules = "[[jobs]]\nmatch = 'job=\"a\"'\n[jobs.limits]\njob_groups = 1\n"
    async with open_relay(tmp_path, policies_of(rules), limits=TWO) as relay:
        pod = key_of("a", instance="pod")
        await report(relay, begun(1, SECOND))
        assert await limit_hit(report(relay, begun(2, SECOND, pod))) == "job_groups"
        await report(relay, begun(3, SECOND, B))
        full = report(relay, ended(4, SECOND, 2 * SECOND, key=C))
        assert await limit_hit(full) == "stored_groups"
        # What is known goes on.
        await report(relay, ended(1, SECOND, 2 * SECOND))
        await relay.endings.retire("b")
        await report(relay, ended(4, SECOND, 2 * SECOND, key=C))


@on_loop
async def test_long_keys_of_runs_are_limited_by_bytes(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=Limits(stored_bytes=100_000)) as relay:
        long = key_of("a", host="v" * 3_000)
        assert await limit_hit(report(relay, begun(1, SECOND, long))) == "stored_bytes"
        await report(relay, begun(1, SECOND))


@on_loop
async def test_jobs_that_are_expected_to_run_are_limited(tmp_path: Path) -> None:
    async with open_relay(tmp_path, limits=TWO) as relay:
        await expect(relay, "a")
        await report(relay, begun(1, SECOND, B), EVERY_HOUR)
        assert await limit_hit(expect(relay, "c")) == "stored_groups"
        assert await limit_hit(report(relay, begun(2, SECOND, C), EVERY_HOUR))
        await expect(relay, "b")
        await relay.endings.retire("a")
        await expect(relay, "c")


@on_loop
async def test_jobs_that_outlive_their_groups_are_limited(
    tmp_path: Path, clock: Clock
) -> None:
    policies = policies_of(
        "[[jobs]]\nmatch = 'job!=\"\"'\nstale_after = '1h'\non_stale = 'forget'"
    )
    async with open_relay(tmp_path, policies, clock, limits=TWO) as relay:
        for key in (A, B):
            await put(relay, key, "x 1", at=clock.now)
        clock.go(7200)
        assert await limit_hit(put(relay, C, "x 1", at=clock.now)) == "stored_groups"
        await put(relay, A, "x 1", at=clock.now)
        await relay.endings.retire("b")
        await put(relay, C, "x 1", at=clock.now)


def adding(relay: Relay) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What adds a row to the database, and to which table."""
    receipt = receipt_of(A, "key", b"x 2\n", SECOND)
    return {
        "groups": lambda: put(relay, B, "x 1"),
        "receipts": lambda: put(relay, A, "x 2", receipt=receipt),
        "runs": lambda: report(relay, begun(2, SECOND)),
        "expectations": lambda: expect(relay, "b"),
    }


async def until_measured(relay: Relay) -> None:
    """Wait until the relay knows how large its database is."""
    used = 'pushrelay_limit_used{limit="database_bytes"}'
    async with asyncio.timeout(30):
        while not (await series_of(relay))[used]:
            await asyncio.sleep(0.01)


@on_loop
async def test_nothing_new_is_added_to_a_database_that_is_too_large(
    tmp_path: Path,
) -> None:
    async with open_relay(tmp_path) as relay:
        await put(relay, A, "x 1")
        await report(relay, begun(1, SECOND))
    async with open_relay(tmp_path, limits=Limits(database_bytes=1)) as relay:
        await until_measured(relay)
        for add in adding(relay).values():
            assert await limit_hit(add()) == "database_bytes"
        await put(relay, A, "x 2\ny 1")
        await report(relay, ended(1, SECOND, 2 * SECOND))
        await relay.delete(A)
    # As large as it may be, and not larger.
    async with open_relay(tmp_path, limits=Limits(database_bytes=2**40)) as relay:
        await until_measured(relay)
        for add in adding(relay).values():
            await add()


@on_loop
async def test_metrics_tell_how_much_of_the_limits_is_used(tmp_path: Path) -> None:
    limits = Limits(stored_groups=7, stored_series=9, stored_bytes=10**6)
    async with open_relay(tmp_path, limits=limits) as relay:
        await put(relay, A, "x 1\ny 1")
        await put(relay, B, "x 1")
        with suppress(InconsistentPush):
            await put(relay, C, "x 1 1")
        await until_measured(relay)
        series = await series_of(relay)

    def shown(name: str, limit: str) -> float:
        return series[f'{name}{{limit="{limit}"}}']

    assert shown("pushrelay_limit", "stored_groups") == 7
    assert shown("pushrelay_limit_used", "stored_groups") == 3
    assert shown("pushrelay_limit", "stored_series") == 9
    assert shown("pushrelay_limit_used", "stored_series") == 3
    assert 50 < shown("pushrelay_limit_used", "stored_bytes") < 500
    assert shown("pushrelay_limit_used", "database_bytes") > 10_000
