"""Lists say of runs without an end what the series say: running, or given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databases import database_in
from relay_use import Clock, on_loop, open_relay
from run_builders import run_id
from run_relays import HOUR, A, begun, ended, key_of, report, run_series

from pushrelay import listed_runs
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.runs import REMEMBERED, Outcome
from pushrelay.schedule import Expectation
from pushrelay.store.run_list import ABANDONED, RUNNING, STATES, RunFilter
from pushrelay.store.run_pruning import prune_runs

B = key_of("b")
SECOND = 10**9
LIMITED = Expectation(max_runtime=HOUR)


async def listed(relay: Relay, state: str | None = None, **more: Any) -> list[int]:
    """Return the numbers of the runs that are listed."""
    found = await relay.runs.listed(RunFilter(state=state, **more))
    return [int.from_bytes(each.run.id, "big") for each in found]


async def both(relay: Relay) -> tuple[list[int], list[int]]:
    """Return who is listed as running, and who as abandoned; all other ways to ask say
    the same."""
    running, abandoned = await listed(relay, RUNNING), await listed(relay, ABANDONED)
    found = await relay.runs.listed(RunFilter())
    for each in found:
        assert await relay.runs.find(each.run.id) == each
    assert abandoned == [
        int.from_bytes(each.run.id, "big") for each in found if each.is_abandoned
    ]
    open_ = [each for each in found if each.run.end is None and not each.is_abandoned]
    assert running == [int.from_bytes(each.run.id, "big") for each in open_]
    return running, abandoned


@on_loop
async def test_an_anonymous_start_abandons_the_one_before(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        for number in range(1, 4):
            clock.go(1)
            await report(relay, begun(number, clock()), is_anonymous=True)
        await report(relay, begun(4, clock()))
        await report(relay, begun(5, clock(), B), is_anonymous=True)
        assert await both(relay) == ([5, 4, 3], [2, 1])
        assert await listed(relay, RUNNING, job="b") == [5]
        assert await listed(relay, ABANDONED, job="b") == []
        assert list((await run_series(relay, "running")).values()) == [2, 1]


@on_loop
async def test_a_run_is_abandoned_once_it_has_taken_longer_than_it_may(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), LIMITED)
        await report(relay, begun(2, clock(), B))
        clock.now += HOUR - 1
        assert await both(relay) == ([2, 1], [])
        clock.now += 1
        assert await both(relay) == ([2], [1])
        # Nobody worries about the first any more, but it has not ended.
        await report(relay, ended(3, clock() - SECOND, clock()))
        assert await both(relay) == ([2], [1])
        clock.now += REMEMBERED - HOUR
        assert await both(relay) == ([], [2, 1])


@on_loop
async def test_a_late_end_is_an_end(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()), LIMITED)
        clock.now += 2 * HOUR
        assert await both(relay) == ([], [1])
        await report(relay, ended(1, clock() - 2 * HOUR, clock(), Outcome.FAILURE))
        assert await both(relay) == ([], [])
        assert await listed(relay, "failure") == [1]


@on_loop
async def test_runs_of_what_is_forgotten_are_abandoned(tmp_path: Path) -> None:
    clock = Clock()
    rules = "[[jobs]]\nmatch = 'job=\"a\"'\nforget_after = '1d'\n"
    policies = Policies(None, parse_rules(rules, "rules.toml"))
    async with open_relay(tmp_path, policies, clock) as relay:
        await report(relay, begun(1, clock()))
        clock.now += 24 * HOUR - 1
        assert await both(relay) == ([1], [])
        clock.now += 1
        assert await both(relay) == ([], [1])


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("state", [None, RUNNING, ABANDONED])
def test_pages_are_full_and_join_without_gaps(
    state: str | None,
    limit: int,
    at_once: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listed_runs, "AT_ONCE", at_once)

    @on_loop
    async def test() -> None:
        clock = Clock()
        async with open_relay(tmp_path, clock=clock) as relay:
            for number in range(10):
                # Two at a time, so that ids say which comes first.
                clock.go(number % 2)
                key = A if number % 3 else B
                await report(relay, begun(number, clock(), key), is_anonymous=True)
                await report(relay, begun(number + 20, clock(), key))
            seen: list[int] = []
            lengths: list[int] = []
            after = None
            while found := await relay.runs.listed(
                RunFilter(state=state, after=after, limit=limit)
            ):
                last = found[-1].run
                after = (last.started_at, last.id)
                seen += [int.from_bytes(each.run.id, "big") for each in found]
                lengths.append(len(found))
            assert seen == await listed(relay, state)
            assert {*lengths[:-1]} <= {limit}
            moment = clock() - SECOND
            assert seen == [
                *await listed(relay, state, since=moment),
                *await listed(relay, state, until=moment),
            ]
            of_jobs = [await listed(relay, state, job=job) for job in "ab"]
            assert sorted([*of_jobs[0], *of_jobs[1]]) == sorted(seen)

    test()


@on_loop
async def test_an_end_that_comes_while_a_list_is_made_is_no_abandonment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        await report(relay, begun(1, clock()))
        refresh = relay.refresh

        async def be_overtaken() -> bool:
            await report(relay, ended(1, clock(), clock() + SECOND))
            return await refresh()

        with monkeypatch.context() as patched:
            patched.setattr(relay, "refresh", be_overtaken)
            [found] = await relay.runs.listed(RunFilter())
        assert (found.run.end is None, found.is_abandoned) == (False, False)


@on_loop
async def test_a_page_is_full_though_documents_were_let_go(tmp_path: Path) -> None:
    clock = Clock()
    async with open_relay(tmp_path, clock=clock) as relay:
        for number in (1, 2, 3):
            clock.go(1)
            await report(relay, begun(number, clock()))
        await report(relay, begun(9, clock() - HOUR, B))
        database = database_in(tmp_path)
        assert prune_runs(database, 2, REMEMBERED, clock()) == 1
        database.close()
        assert await listed(relay, RUNNING) == [3, 2, 9]
        assert await listed(relay, RUNNING, limit=3) == [3, 2, 9]
        assert await listed(relay, ABANDONED) == []
        assert await relay.runs.find(run_id(1)) is None


def test_both_states_may_be_chosen() -> None:
    assert {RUNNING, ABANDONED} < {*STATES}
