from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from noting_relay import NotingRelay
from python_jobs import silent_relay

from pushrelay import run
from pushrelay.wrapper.spool import Spool


def test_each_call_of_a_function_is_a_run(noting_relay: NotingRelay) -> None:
    @run("called", every="1d")
    def division(dividend: int, *, by: int) -> float:
        """Divide."""
        return dividend / by

    assert (division.__name__, division.__doc__) == ("division", "Divide.")
    assert division(6, by=4) == 1.5
    with pytest.raises(ZeroDivisionError):
        division(1, by=0)
    ends = noting_relay.ends()
    assert [end["outcome"] for end in ends] == ["success", "failure"]
    assert ends[0]["id"] != ends[1]["id"]
    assert ends[0]["expectation"] == {"every": "1d"}


def test_a_function_may_call_itself(noting_relay: NotingRelay) -> None:
    @run("recursive")
    def countdown(number: int) -> int:
        return countdown(number - 1) if number else 0

    assert countdown(2) == 0
    assert len(noting_relay.ends()) == 3


def test_a_method_may_be_a_job(noting_relay: NotingRelay) -> None:
    class Import:
        rows = 5

        @run("import")
        def start(self) -> int:
            return self.rows

    assert Import().start() == 5
    assert noting_relay.end()["job"] == "import"


def test_calls_of_coroutine_functions_are_runs_until_they_end(
    noting_relay: NotingRelay,
) -> None:
    @run("awaited")
    async def job(number: int) -> int:
        await asyncio.sleep(0.01)
        if number == 2:
            raise LookupError(number)
        return number

    async def jobs() -> list[Any]:
        return await asyncio.gather(*map(job, range(3)), return_exceptions=True)

    assert asyncio.iscoroutinefunction(job)
    first, second, error = asyncio.run(jobs())
    assert (first, second, type(error)) == (0, 1, LookupError)
    ends = noting_relay.ends()
    assert sorted(end["outcome"] for end in ends) == ["failure", "success", "success"]
    assert all(end["duration_seconds"] >= 0.01 for end in ends)


def test_a_task_that_is_cancelled_is_a_failure(noting_relay: NotingRelay) -> None:
    @run("cancelled")
    async def job() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(job())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert noting_relay.end()["outcome"] == "failure"


def test_other_tasks_go_on_while_the_end_waits(job_state: Path) -> None:
    async def jobs(url: str) -> int:
        rounds = 0

        async def count() -> None:
            nonlocal rounds
            while True:
                await asyncio.sleep(0.01)
                rounds += 1

        async with run("waiting", url=url, report_timeout=1) as r:
            assert r.run_id
            counting = asyncio.create_task(count())
        counting.cancel()
        return rounds

    with silent_relay() as url:
        assert asyncio.run(jobs(url)) > 2
    assert len(Spool([str(job_state)]).waiting()) == 1


def test_an_end_is_not_lost_with_who_waits_for_it(job_state: Path) -> None:
    async def jobs(url: str) -> None:
        async def job() -> None:
            async with run("waiting", url=url, report_timeout=0.5):
                left.set()

        left = asyncio.Event()
        task = asyncio.create_task(job())
        await left.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with silent_relay() as url:
        asyncio.run(jobs(url))
        [thread] = [each for each in threading.enumerate() if each.name == "end"]
        thread.join(30)
    assert len(Spool([str(job_state)]).waiting()) == 1


def test_generators_are_no_jobs() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    for function in (generator, async_generator):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            run("never")(function)
