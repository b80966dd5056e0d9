"""Long answers, as they reach the server."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pushrelay.config import Limits
from pushrelay.web.exchange import Exchange
from pushrelay.web.interpreter import SHORT_SECONDS
from pushrelay.web.readers import Readers
from pushrelay.web.request_body import ClientGone
from pushrelay.web.streaming import AHEAD_BYTES, PART_BYTES, Streamer

SCOPE = {"method": "GET", "path": "/", "headers": []}


class Client:
    """Takes messages; waits for `resume` before each body from the `stop_at`-th on."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.resume = asyncio.Event()
        self._stop_at = stop_at

    async def send(self, message: Any) -> None:
        if self._stop_at is not None and len(self.messages) > self._stop_at:
            await self.resume.wait()
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def readers(seconds: float = 60, most: int = 10) -> Readers:
    limits = Limits(request_seconds=seconds, slow_readers=most)
    return Readers(limits, lambda _: None)


async def stream(client: Client, chunks: Iterator[bytes], seconds: float = 60) -> None:
    async def receive() -> Any:
        raise AssertionError("nothing is to be read")

    with ThreadPoolExecutor(1) as pool:
        exchange = Exchange(dict(SCOPE), receive, client.send, Limits())
        await Streamer(pool, readers(seconds)).send(exchange, 200, (), chunks)


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [1],
        [10] * 1000,
        [PART_BYTES] * 4,
        [PART_BYTES] * 5,
        [PART_BYTES] * 8,
        [3 * AHEAD_BYTES, 1],
        [100_000] * 50,
    ],
)
def test_all_of_a_body_comes_and_its_last_message_says_so(sizes: list[int]) -> None:
    chunks = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    client = Client()
    asyncio.run(stream(client, iter(chunks)))
    assert client.body == b"".join(chunks)
    more = [message["more_body"] for message in client.messages[1:]]
    assert more == [True] * (len(more) - 1) + [False]


def test_the_server_is_handed_no_more_than_it_can_copy() -> None:
    client = Client()
    asyncio.run(stream(client, iter([b"x", b"y" * 20 * AHEAD_BYTES, b"z"])))
    assert max(len(message.get("body", b"")) for message in client.messages) <= (
        2 * PART_BYTES
    )


def test_no_more_is_made_than_a_slow_client_may_hold() -> None:
    made = 0

    def chunks() -> Iterator[bytes]:
        nonlocal made
        for _ in range(100):
            made += PART_BYTES
            yield bytes(PART_BYTES)

    async def read_slowly() -> None:
        client = Client(stop_at=2)
        streaming = asyncio.create_task(stream(client, chunks()))
        while len(client.messages) < 3:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert made == PART_BYTES + AHEAD_BYTES
        client.resume.set()
        await streaming
        assert len(client.body) == made == 100 * PART_BYTES

    asyncio.run(read_slowly())


def test_what_fails_before_the_first_part_is_no_half_answer() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("broken")

    client = Client()
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(stream(client, chunks()))
    assert client.messages == []


def test_a_client_that_reads_too_slowly_is_given_up() -> None:
    async def read_nothing() -> None:
        await stream(Client(stop_at=1), iter([b"x" * PART_BYTES] * 9), seconds=0.05)

    with pytest.raises(ClientGone):
        asyncio.run(read_nothing())


def test_turns_are_short_while_anything_is_made_and_not_after() -> None:
    usual = sys.getswitchinterval()
    release = threading.Event()

    def make() -> float:
        release.wait(10)
        return sys.getswitchinterval()

    async def make_two() -> None:
        with ThreadPoolExecutor(2) as pool:
            streamer = Streamer(pool, readers())
            slow = asyncio.create_task(streamer.run(make))
            assert await streamer.run(sys.getswitchinterval) == SHORT_SECONDS
            assert sys.getswitchinterval() == SHORT_SECONDS
            release.set()
            assert await slow == SHORT_SECONDS
        assert sys.getswitchinterval() == usual

    asyncio.run(make_two())
    assert usual > SHORT_SECONDS


def test_turns_are_as_usual_after_what_fails() -> None:
    usual = sys.getswitchinterval()

    async def fail() -> None:
        with ThreadPoolExecutor(1) as pool:
            await Streamer(pool, readers()).run(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(fail())
    assert sys.getswitchinterval() == usual
