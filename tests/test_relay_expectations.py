"""What is expected of jobs, from rules and reports to the scrape, as time goes by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import key_of
from relay_use import Clock, on_loop, open_relay
from run_relays import HOUR, A, begun, ended, report, run_lines, run_series

from pushrelay.errors import UnknownJob
from pushrelay.expectations import JobExpectation, Source
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.run_states import State
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.view import view
from pushrelay.writes import ChangeExpectation

pytestmark = pytest.mark.usefixtures("rarely")

HOURLY = Expectation(every=HOUR, grace=0)
OVERDUE = 'overdue{instance="",job="a"}'
MISSED = 'missed_slots{instance="",job="a"}'


def rules(*lines: str) -> Policies:
    """Return the policies of a file with a rule for each of `lines`: what it matches
    and what is expected, in the file's words."""
    text = ""
    for line in lines:
        match, _, expectation = line.partition(": ")
        said = expectation.replace(", ", "\n")
        text += f"[[jobs]]\nmatch = '{{{match}}}'\n{said}\n"
    return Policies(None, parse_rules(text, "rules.toml"))


NAMED = rules('job="a": every = "1h", grace = "5m"')


async def overdue(relay: Relay) -> dict[str, float]:
    return await run_series(relay, "overdue")


async def state(relay: Relay, job: str = "a") -> State:
    states = {each.job: each.state for each in await relay.runs.states()}
    return states[job]


async def change(relay: Relay, changed: Expectation | None) -> JobExpectation:
    return await relay.runs.expect(
        ChangeExpectation("a", lambda known: known.told(Source.API, changed, 1))
    )


# --- overdue, and fine again ---


@on_loop
async def test_a_job_is_overdue_until_its_next_run_on_whichever_replica_it_is_seen(
    tmp_path: Path, clock: Clock
) -> None:
    async with (
        open_relay(tmp_path, clock=clock) as relay,
        open_relay(tmp_path, clock=clock) as reader,
    ):
        for number in range(1, 4):
            await report(relay, ended(number, clock(), clock() + 1), HOURLY)
            for hours, missed in [(0, 0), (0.99, 0), (0.01, 1), (1, 2), (5, 7)]:
                clock.go(3600 * hours)
                for each in (relay, reader):
                    shown = await run_series(each)
                    assert shown[OVERDUE] == (missed > 0)
                    assert shown[MISSED] == missed


@on_loop
async def test_a_job_that_runs_now_is_not_overdue(tmp_path: Path, clock: Clock) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), HOURLY)
        clock.go(3600)
        assert await state(relay) is State.OVERDUE
        await report(relay, begun(2, clock()))
        assert await overdue(relay) == {OVERDUE: 0}
        assert await state(relay) is State.RUNNING


@on_loop
async def test_a_run_is_abandoned_after_its_maximum_runtime(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), Expectation(max_runtime=HOUR))
        names = ("running", "abandoned")
        assert list((await run_series(relay, *names)).values()) == [0, 1]
        clock.go(3600)
        assert list((await run_series(relay, *names)).values()) == [1, 0]
        await report(relay, ended(2, clock(), clock() + 1))
        assert list((await run_series(relay, *names)).values()) == [0, 0]


@on_loop
async def test_many_jobs_that_are_due_at_once_are_all_overdue(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        for number in range(300):
            key = key_of(f"job{number}")
            await report(relay, begun(number, clock(), key), HOURLY)
        assert set((await overdue(relay)).values()) == {0}
        clock.go(3600)
        late = await overdue(relay)
        assert len(late) == 300
        assert set(late.values()) == {1}


@pytest.mark.sqlite  # a scrape is over sooner than reports at a server
@on_loop
async def test_reports_have_their_turn_while_many_jobs_are_due(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    monkeypatch.setattr(view, "PAGES_AT_ONCE", 1)
    async with open_relay(tmp_path, clock=clock) as relay:
        keys = [key_of(f"job{number}") for number in range(100)]
        for number, key in enumerate(keys):
            await report(relay, begun(number, clock(), key), HOURLY)
        await run_lines(relay)
        clock.go(3600)
        scrape = asyncio.create_task(overdue(relay))
        for number, key in enumerate(keys[:10]):
            await report(relay, begun(1000 + number, clock(), key), HOURLY)
        assert not scrape.done()
        await scrape
        assert sum((await overdue(relay)).values()) == 90


@on_loop
async def test_a_clock_that_steps_back_takes_back_what_was_overdue(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), HOURLY)
        clock.go(1800)
        before = await run_lines(relay)
        clock.go(1800)
        assert await overdue(relay) == {OVERDUE: 1}
        clock.go(-1800)
        assert await run_lines(relay) == before
        clock.go(1800)
        assert await overdue(relay) == {OVERDUE: 1}


@on_loop
async def test_a_job_that_moves_is_not_overdue(tmp_path: Path, clock: Clock) -> None:
    old, new = key_of("a", instance="old"), key_of("a", instance="new")
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock(), old), HOURLY)
        clock.go(3599)
        await report(relay, begun(2, clock(), new), HOURLY)
        clock.go(10)
        assert await overdue(relay) == {OVERDUE: 0}


@on_loop
async def test_an_instance_that_is_expected_on_its_own_is_overdue_on_its_own(
    tmp_path: Path, clock: Clock
) -> None:
    each = replace(HOURLY, per_instance=True)
    one, two = 'overdue{instance="1",job="a"}', 'overdue{instance="2",job="a"}'
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock(), key_of("a", instance="1")), each)
        clock.go(3599)
        await report(relay, begun(2, clock(), key_of("a", instance="2")), each)
        clock.go(10)
        assert await overdue(relay) == {one: 1, two: 0}
        clock.go(3600)
        assert await overdue(relay) == {one: 1, two: 1}
        await report(relay, begun(3, clock(), key_of("a", instance="1")), HOURLY)
        assert await overdue(relay) == {OVERDUE: 0}


# --- rules ---


@on_loop
async def test_a_job_in_the_file_that_never_ran_is_overdue_also_over_restarts(
    tmp_path: Path, clock: Clock
) -> None:
    for after in (1, 1800, 1800, 299):
        async with open_relay(tmp_path, NAMED, clock) as relay:
            await relay.runs.note_rules()
            assert await overdue(relay) == {OVERDUE: 0}
            assert await state(relay) is State.NEVER_RAN
        clock.go(after)
    async with open_relay(tmp_path, NAMED, clock) as relay:
        assert await overdue(relay) == {OVERDUE: 1}
        await report(relay, begun(1, clock()))
        assert await overdue(relay) == {OVERDUE: 0}


@on_loop
async def test_other_rules_make_no_job_overdue_for_its_past(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, Policies(), clock) as relay:
        await report(relay, ended(1, clock(), clock() + 1))
        clock.go(10 * 3600)
        await relay.follow(NAMED)
        assert await overdue(relay) == {OVERDUE: 0}
        clock.go(3600 + 300)
        assert await overdue(relay) == {OVERDUE: 1}
        await relay.follow(rules('job="a": every = "30m", grace = "5m"'))
        assert await overdue(relay) == {OVERDUE: 0}
        await relay.follow(Policies())
        assert await overdue(relay) == {}


@on_loop
async def test_a_job_that_never_ran_goes_with_its_rule(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, NAMED, clock) as relay:
        await relay.runs.note_rules()
        assert await state(relay) is State.NEVER_RAN
        await relay.follow(Policies())
        assert await relay.runs.states() == []
    async with open_relay(tmp_path, Policies(), clock) as relay:
        assert await relay.runs.states() == []


@on_loop
async def test_a_rule_that_names_no_job_counts_from_its_first_run(
    tmp_path: Path, clock: Clock
) -> None:
    policies = rules('job=~"a|b": every = "1h", grace = "0s"')
    async with open_relay(tmp_path, policies, clock) as relay:
        await relay.runs.note_rules()
        assert await relay.runs.states() == []
        await report(relay, begun(1, clock()))
        clock.go(3600)
        assert await overdue(relay) == {OVERDUE: 1}


@on_loop
async def test_what_rules_say_of_a_jobs_keys_does_not_depend_on_who_reports(
    tmp_path: Path, clock: Clock
) -> None:
    policies = rules(
        'job="a",zone="1": every = "1h", grace = "0s"',
        'job="a",zone="2": every = "2h", grace = "0s"',
    )

    async def interval(relay: Relay) -> list[float]:
        return list((await run_series(relay, "interval_seconds")).values())

    async with open_relay(tmp_path, policies, clock) as relay:
        await relay.runs.note_rules()
        for number, zone in enumerate("2121"):
            await report(relay, begun(number, clock(), key_of("a", zone=zone)))
            clock.go(1)
            assert await interval(relay) == [7200]
    async with open_relay(tmp_path, policies, clock) as relay:
        await relay.runs.note_rules()
        assert await interval(relay) == [7200]
        clock.go(7200)
        assert await overdue(relay) == {OVERDUE: 1}


@on_loop
async def test_each_instance_that_a_rule_names_is_expected(
    tmp_path: Path, clock: Clock
) -> None:
    each = 'every = "1h", grace = "0s", per_instance = true'
    policies = rules(f'job="a",instance="1": {each}', f'job="a",instance="2": {each}')
    async with open_relay(tmp_path, policies, clock) as relay:
        await relay.runs.note_rules()
        clock.go(1800)
        await report(relay, begun(1, clock(), key_of("a", instance="2")))
        clock.go(1800)
        assert await overdue(relay) == {
            'overdue{instance="1",job="a"}': 1,
            'overdue{instance="2",job="a"}': 0,
        }


# --- what is said at the API ---


@on_loop
async def test_a_pause_hides_slots_and_ends_by_itself(
    tmp_path: Path, clock: Clock
) -> None:
    paused_until = 'paused_until_timestamp_seconds{instance="",job="a"}'
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, ended(1, clock(), clock() + 1), HOURLY)
        end = clock() + 5 * HOUR
        await relay.runs.expect(ChangeExpectation("a", lambda e: e.paused(end)))
        clock.go(5 * 3600 - 1)
        shown = await run_series(relay)
        assert (shown[OVERDUE], shown[MISSED]) == (0, 0)
        assert shown[paused_until] == end / 1e9
        assert await state(relay) is State.PAUSED
        clock.go(1)
        shown = await run_series(relay)
        assert paused_until not in shown
        assert shown[OVERDUE] == 0
        assert await state(relay) is State.OK
        clock.go(3600)
        assert (await run_series(relay))[MISSED] == 1


@on_loop
async def test_after_a_pause_that_was_cut_short_only_new_slots_count(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, ended(1, clock(), clock() + 1), HOURLY)
        end = clock() + 50 * HOUR
        await relay.runs.expect(ChangeExpectation("a", lambda e: e.paused(end)))
        clock.go(5 * 3600)
        assert await overdue(relay) == {OVERDUE: 0}
        now = clock()
        await relay.runs.expect(ChangeExpectation("a", lambda e: e.resumed(now)))
        assert await overdue(relay) == {OVERDUE: 0}
        clock.go(3600)
        assert (await run_series(relay))[MISSED] == 1


@on_loop
async def test_of_a_job_that_nobody_knows_nothing_can_be_expected_by_mistake(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        with pytest.raises(UnknownJob, match='"a"'):
            await change(relay, HOURLY)
        await report(relay, ended(1, clock(), clock() + 1, Outcome.SKIPPED))
        assert (await change(relay, HOURLY)).effective == HOURLY
        assert (await change(relay, None)).effective is None
        assert await overdue(relay) == {}


@on_loop
async def test_a_job_may_be_made_known_and_is_no_more_once_nothing_is_expected(
    tmp_path: Path, clock: Clock
) -> None:
    def told(said: Expectation | None) -> ChangeExpectation:
        return ChangeExpectation("a", lambda e: e.told(Source.API, said, clock()), True)

    async with open_relay(tmp_path, clock=clock) as relay:
        await relay.runs.expect(told(HOURLY))
        assert await state(relay) is State.NEVER_RAN
        await relay.runs.expect(told(None))
        assert await relay.runs.states() == []
        with pytest.raises(UnknownJob):
            await change(relay, HOURLY)


@on_loop
async def test_a_report_of_one_key_leaves_the_pages_of_others_as_they_are(
    tmp_path: Path, clock: Clock
) -> None:
    keys: list[GroupingKey] = [A, key_of("a", instance="1"), key_of("b")]
    async with open_relay(tmp_path, clock=clock) as relay:
        for number, key in enumerate(keys):
            await report(relay, ended(number, clock(), clock() + 1, key=key), HOURLY)
        before = await run_lines(relay)
        clock.go(1)
        await report(relay, ended(9, clock(), clock() + 1, key=key_of("c")), HOURLY)
        left = [line for line in await run_lines(relay) if 'job="c"' not in line]
        assert left == before
