"""What runs leave is forgotten in the end, and jobs with it unless one is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import key_of
from relay_use import SECOND, Clock, on_loop, open_relay, page_of
from run_relays import (
    HOUR,
    begun,
    chosen,
    ended,
    report,
    run_lines,
    run_series,
    stored_runs,
)

from pushrelay import endings
from pushrelay.config import Freshness
from pushrelay.errors import UnknownJob
from pushrelay.expectations import Source
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.store.run_list import RunFilter
from pushrelay.writes import ChangeExpectation

pytestmark = pytest.mark.usefixtures("rarely")

HOURLY = Expectation(every=HOUR, grace=0)
EACH = Expectation(every=HOUR, grace=0, per_instance=True)
WEEKLY = Expectation(every=168 * HOUR, grace=0)
DAILY_FORGOTTEN = Policies(Freshness(forget_after=24 * HOUR))
POD_1, POD_2 = key_of("pods", instance="1"), key_of("pods", instance="2")
OVERDUE = 'overdue{instance="",job="pods"}'
RUNS_1 = 'runs_total{instance="1",job="pods",outcome="success"}'
DAY = 24 * 3600


async def names(relay: Relay) -> list[str]:
    return [state.job for state in await relay.runs.states()]


@on_loop
async def test_evidence_is_forgotten_whether_or_not_its_row_is(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        start = clock()
        await report(relay, ended(1, start, start + 60 * SECOND, key=POD_1))
        clock.go(DAY + 59)
        assert RUNS_1 in await run_series(relay)
        clock.go(1)
        assert await run_lines(relay) == []
        assert await names(relay) == []
        assert 'job="pods"' not in await page_of(relay)
        assert stored_runs(tmp_path) == {POD_1}
        await relay.endings.remove_forgotten()
        assert stored_runs(tmp_path) == set()
        assert await names(relay) == []


# freshness.md: 21
@on_loop
async def test_a_start_and_a_skip_are_signs_of_life(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        await report(relay, begun(1, clock(), POD_1))
        clock.go(DAY - 1)
        now = clock()
        await report(relay, ended(2, now, now, Outcome.SKIPPED, key=POD_1))
        clock.go(DAY - 1)
        assert await names(relay) == ["pods"]
        clock.go(1)
        assert await names(relay) == []


@on_loop
async def test_a_group_rule_that_forgets_what_is_stale_holds_for_runs(
    tmp_path: Path, clock: Clock
) -> None:
    rule = '[[jobs]]\nmatch = \'job="pods"\'\nstale_after = "1h"\non_stale = "forget"'
    policies = Policies(None, parse_rules(rule, "rules.toml"))
    async with open_relay(tmp_path, policies, clock) as relay:
        await report(relay, ended(1, clock(), clock(), key=POD_1))
        await report(relay, ended(2, clock(), clock(), key=key_of("others")))
        clock.go(3600)
        assert await names(relay) == ["others"]


@pytest.mark.parametrize("is_removed", [False, True])
def test_who_reports_after_being_forgotten_begins_anew(
    is_removed: bool, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
            for number in range(3):
                await report(relay, ended(number, clock(), clock(), key=POD_1))
            clock.go(DAY)
            if is_removed:
                await relay.endings.remove_forgotten()
            await report(relay, ended(4, clock(), clock() + SECOND, key=POD_1))
            assert (await run_series(relay))[RUNS_1] == 1
            assert len(await relay.runs.listed(RunFilter())) == 4

    test()


@on_loop
async def test_what_is_known_already_brings_nothing_back(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        run = ended(1, clock(), clock(), key=POD_1)
        await report(relay, run)
        clock.go(DAY)
        await relay.endings.remove_forgotten()
        assert (await report(relay, run)).is_replay
        assert await run_lines(relay) == []


# freshness.md: 22
@pytest.mark.parametrize("is_removed", [False, True])
def test_a_job_whose_keys_are_all_forgotten_is_overdue_as_it_was_expected(
    is_removed: bool, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        first = clock()
        async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
            await report(relay, ended(1, first, first, key=POD_1), WEEKLY)
            clock.go(6 * DAY)
            # Another pod, which would be missed from here on.
            await report(relay, ended(2, clock(), clock(), key=POD_2))
            clock.go(2 * DAY)
            if is_removed:
                await relay.endings.remove_forgotten()
            assert await names(relay) == ["pods"]
            assert (await run_series(relay))[OVERDUE] == 0
            before = await run_lines(relay)
        async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
            assert await run_lines(relay) == before
            clock.go(5 * DAY)
            assert (await run_series(relay))[OVERDUE] == 1
            [state] = await relay.runs.states()
            assert state.last_start == first + 6 * 24 * HOUR
            await report(relay, ended(3, clock(), clock(), key=POD_2))
            assert (await run_series(relay))[OVERDUE] == 0

    test()


@on_loop
async def test_the_last_start_outlives_evidence_that_begins_anew(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        start = clock()
        await report(relay, ended(1, start, start, key=POD_1), WEEKLY)
        clock.go(2 * DAY)
        # A late report of a run before.
        await report(relay, ended(2, start - HOUR, clock(), key=POD_1))
        slot = 'next_expected_timestamp_seconds{instance="",job="pods"}'
        assert (await run_series(relay))[slot] == (start + 168 * HOUR) / 1e9


@on_loop
async def test_a_forgotten_instance_is_not_expected_any_more(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        await report(relay, ended(1, clock(), clock(), key=POD_1), EACH)
        clock.go(DAY // 2)
        await report(relay, ended(2, clock(), clock(), key=POD_2), EACH)
        overdue = await run_series(relay, "overdue")
        assert overdue == {
            'overdue{instance="1",job="pods"}': 1,
            'overdue{instance="2",job="pods"}': 0,
        }
        clock.go(DAY // 2)
        overdue = await run_series(relay, "overdue")
        assert overdue == {'overdue{instance="2",job="pods"}': 1}


@on_loop
async def test_of_a_forgotten_job_nothing_can_be_expected_by_mistake(
    tmp_path: Path, clock: Clock
) -> None:
    change = ChangeExpectation("pods", lambda e: e.told(Source.API, HOURLY, 1))
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        await report(relay, ended(1, clock(), clock(), key=POD_1))
        clock.go(DAY)
        with pytest.raises(UnknownJob):
            await relay.runs.expect(change)


@on_loop
async def test_other_rules_do_not_end_what_is_expected_of_forgotten_keys(
    tmp_path: Path, clock: Clock
) -> None:
    rule = '[[jobs]]\nmatch = \'{job="pods",zone="z"}\'\nevery = "48h"\ngrace = "0s"\n'
    policies = Policies(
        Freshness(forget_after=24 * HOUR), parse_rules(rule, "rules.toml")
    )
    async with open_relay(tmp_path, policies, clock) as relay:
        await report(relay, begun(1, clock(), key_of("pods", zone="z")))
        clock.go(2 * DAY)
        await relay.endings.remove_forgotten()
    async with open_relay(tmp_path, policies, clock) as relay:
        await relay.runs.note_rules()
        assert (await run_series(relay))[OVERDUE] == 1
        await relay.follow(DAILY_FORGOTTEN)
        assert await names(relay) == []


@on_loop
async def test_a_longer_time_brings_back_what_still_has_its_row(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        await report(relay, ended(1, clock(), clock(), key=POD_1))
        before = await run_lines(relay)
        clock.go(DAY)
        assert await run_lines(relay) == []
        await relay.follow(Policies())
        assert await run_lines(relay) == before
        await relay.follow(DAILY_FORGOTTEN)
        assert await run_lines(relay) == []
        clock.go(-1)
        assert await run_lines(relay) == []
        clock.go(-5)
        assert await run_lines(relay) == before


@on_loop
async def test_many_forgotten_keys_are_removed_in_portions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    monkeypatch.setattr(endings, "FORGOTTEN_AT_ONCE", 3)
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        keys = [key_of("pods", instance=str(number)) for number in range(10)]
        for number, key in enumerate(keys):
            await report(relay, ended(number, clock(), clock(), key=key))
        clock.go(DAY)
        survivor = ended(20, clock(), clock(), key=keys[0])
        await relay.refresh()
        await report(relay, survivor)
        await relay.endings.remove_forgotten()
        assert stored_runs(tmp_path) == {keys[0]}
        assert len(await run_series(relay, "running")) == 1


@on_loop
async def test_retiring_a_forgotten_job_removes_its_history(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, DAILY_FORGOTTEN, clock) as relay:
        for end in (relay.endings.retire("pods"), relay.endings.wipe()):
            await report(relay, ended(1, clock(), clock(), key=POD_1))
            clock.go(DAY)
            await relay.endings.remove_forgotten()
            assert len(await relay.runs.listed(RunFilter())) == 1
            await end
            assert await relay.runs.listed(RunFilter()) == []


# --- scrapes of some ---


@on_loop
async def test_a_scrape_of_some_shows_the_runs_that_it_chooses(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        for number, key in enumerate([POD_1, POD_2, key_of("other")]):
            await report(relay, ended(number, clock(), clock(), key=key), HOURLY)
        everything = set(await run_lines(relay))
        of_job = await chosen(relay, '{job="pods"}')
        assert of_job == {line for line in everything if 'job="pods"' in line}
        of_one = await chosen(relay, '{instance="1"}')
        assert of_one == {line for line in everything if 'instance="1"' in line}
        assert await chosen(relay, '{job="nobody"}') == set()
        both = await chosen(relay, '{job="other"}', '{instance="1"}')
        assert both == of_one | await chosen(relay, '{job="other"}')


@on_loop
async def test_a_scrape_of_some_shows_instances_that_are_expected_each(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        for number, key in enumerate([POD_1, POD_2]):
            await report(relay, ended(number, clock(), clock(), key=key), EACH)
        of_one = await chosen(relay, '{job="pods",instance="2"}')
        assert 'pushrelay_job_overdue{instance="2",job="pods"} 0' in of_one
        assert not any('instance="1"' in line for line in of_one)
