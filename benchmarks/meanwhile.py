"""What goes on beside the pushes that are measured, in a process of its own.

In the process that measures, a busy second thread would make every push wait for the
interpreter and falsify its time.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import load
from client import Connection, request
from load import SCRAPES, LargePushes

SLOW_ROOM = 64 * 1024
SLOW_PAUSE = 0.02
"""A slow reader takes SLOW_ROOM bytes and waits so many seconds: 3 MB/s."""

_BEGIN_DEADLINE = 60.0

Moved = Callable[[int], None]
Work = Callable[[int, Moved], None]
"""Talks to the server at a port without an end; tells how many bytes have moved."""


def _read(scrape: bytes, port: int, moved: Moved) -> None:
    """Scrape again and again, as fast as the server can."""
    with Connection(port) as connection:
        while True:
            connection.send(scrape)
            connection.drain(lambda part: moved(len(part)))


def _read_slowly(scrape: bytes, port: int, moved: Moved) -> None:
    """Scrape so slowly that the server has to wait."""

    def take(part: memoryview) -> None:
        moved(len(part))
        time.sleep(SLOW_PAUSE)

    with Connection(port, SLOW_ROOM) as connection:
        while True:
            connection.send(scrape)
            connection.drain(take)


def _push(port: int, moved: Moved) -> None:
    """Replace one group by 100,000 samples again and again."""
    pushes = LargePushes(load.HUGE)
    with Connection(port) as connection:
        while True:
            push = pushes.next()
            connection.ask(push)
            moved(len(push))


STREAMS: dict[str, Work] = {
    "while a plain scrape streams": partial(_read, SCRAPES["plain"]),
    "while a plain scrape is read slowly": partial(_read_slowly, SCRAPES["plain"]),
    "while a gzip scrape streams": partial(_read, SCRAPES["gzip"]),
    "while a gzip scrape is read slowly": partial(_read_slowly, SCRAPES["gzip"]),
    "while another client pushes 100,000 samples": _push,
}


@contextmanager
def going_on(work: Work, port: int) -> Iterator[Callable[[], int]]:
    """Do `work` while the block runs; yield what tells how many bytes it has moved.

    The block begins when the first have. Raises RuntimeError if the work ends early.
    """
    context = multiprocessing.get_context("fork")
    total = context.Value("Q", 0)

    def moved(size: int) -> None:
        total.value += size

    process = context.Process(target=work, args=(port, moved), daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + _BEGIN_DEADLINE
        while not total.value:
            if not process.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("what should go on meanwhile did not begin")
            time.sleep(0.005)
        yield lambda: total.value
        if not process.is_alive():
            raise RuntimeError("what should go on meanwhile has ended")
    finally:
        process.terminate()
        process.join()


def remove_large(port: int) -> None:
    """Delete the group that large pushes went to."""
    with Connection(port) as connection:
        connection.ask(request("DELETE", load.LARGE_PATH))
