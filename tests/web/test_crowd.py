"""Who is being served, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pushrelay.config import Limits
from pushrelay.errors import Overloaded
from pushrelay.telemetry import Telemetry
from pushrelay.web.crowd import Crowd
from pushrelay.web.exchange import Exchange
from pushrelay.web.readers import Readers
from pushrelay.web.request_body import ClientGone
from pushrelay.web.streaming import PART_BYTES, Streamer


class Served:
    """A request that is served, whose client reads nothing until `reads` is set."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.reads = asyncio.Event()
        self.sent: list[Any] = []
        scope = {"method": "GET", "path": "/", "headers": []}
        self.exchange = Exchange(scope, self._receive, self._send, Limits())
        self.place = Crowd(1, self.telemetry).enter("metrics")
        self.exchange.request_body.place = self.place

    async def _receive(self) -> Any:
        raise AssertionError("nothing is to be read")

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            await self.reads.wait()

    @property
    def count(self) -> int:
        """How many requests are served."""
        return self.telemetry.requests_in_flight

    async def until_sent(self) -> None:
        while len(self.sent) < 2:
            await asyncio.sleep(0.001)


def test_one_too_many_is_refused_until_there_is_a_place() -> None:
    crowd = Crowd(1, Telemetry())
    place = crowd.enter("push")
    with pytest.raises(Overloaded):
        crowd.enter("delete")
    crowd.enter("metrics").leave()
    crowd.enter("ready").leave()
    place.leave()
    place.leave()
    crowd.enter("delete")
    with pytest.raises(Overloaded):
        crowd.enter("push")


def test_who_does_not_read_the_answer_is_not_being_served() -> None:
    async def answer() -> None:
        served = Served()
        answering = asyncio.create_task(served.exchange.answer(200, b"x"))
        await served.until_sent()
        assert served.count == 0
        served.reads.set()
        await answering
        assert served.count == 0

    asyncio.run(answer())


@pytest.mark.parametrize("parts", [1, 4])
def test_who_does_not_read_a_long_answer_is_not_being_served(parts: int) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(parts):
            yield bytes(PART_BYTES)

    async def answer() -> None:
        served = Served()
        readers = Readers(Limits(), lambda _: None)
        with ThreadPoolExecutor(1) as pool:
            streamer = Streamer(pool, readers)
            answering = asyncio.create_task(
                streamer.send(served.exchange, 200, (), chunks())
            )
            await served.until_sent()
            assert served.count == 0
            served.reads.set()
            await answering
        assert served.count == 0

    asyncio.run(answer())


def test_who_has_left_takes_no_place_again() -> None:
    async def turn() -> None:
        served = Served()
        with served.exchange.request_body.clients_turn():
            assert served.count == 0
        assert served.count == 1
        served.place.leave()
        with served.exchange.request_body.clients_turn():
            assert served.count == 0
        assert served.count == 0

    asyncio.run(turn())


def test_a_small_answer_that_nobody_reads_is_one_of_those_that_wait() -> None:
    hits: list[str] = []

    async def answer() -> None:
        readers = Readers(Limits(slow_readers=1), hits.append)
        with ThreadPoolExecutor(1) as pool:
            streamer = Streamer(pool, readers)
            both = [Served(), Served()]
            answering = [
                asyncio.create_task(streamer.send(each.exchange, 200, (), iter([b"x"])))
                for each in both
            ]
            for each in both:
                await each.until_sent()
            await asyncio.wait(answering, timeout=30, return_when="FIRST_COMPLETED")
            both[0].reads.set()
            both[1].reads.set()
            ends = await asyncio.gather(*answering, return_exceptions=True)
            # The first one has waited for longest.
            assert [type(each) for each in ends] == [ClientGone, type(None)]

    asyncio.run(answer())
    assert hits == ["slow_readers"]
