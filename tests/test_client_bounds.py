"""Servers that never come to an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from waiting import DEADLINE

from pushrelay.client import RelayClient
from pushrelay.errors import RelayUnavailable

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MOST = 256 * 1024


@contextmanager
def sending(
    first: bytes, again: bytes = b"", pause: float = 0.0, *, hangs_up: bool = False
) -> Iterator[str]:
    """Yield the URL of a server that answers with `first`, and then with `again` for
    ever, byte by byte if there is a pause; if there is nothing to send again, it keeps
    silent or hangs up."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(DEADLINE)
            connection.recv(65536)
            connection.sendall(first)
            while again and not over.wait(pause):
                for start in range(len(again)):
                    connection.sendall(again[start : start + 1] if pause else again)
                    if not pause or over.wait(pause):
                        break
            if not hangs_up:
                over.wait(DEADLINE)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                answer(listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (OK + b"\r\n", b"x" * 65536),
        (OK + b"Content-Length: 1000000000000000\r\n\r\n", b"x" * 65536),
        (CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (CHUNKED, b"1\r\nx\r\n" * 1000),
        (CHUNKED + b"7fffffffffffffff\r\n", b"x" * 65536),
        (b"", CONTINUE * 1000),
    ],
    ids=["unknown length", "length", "chunks", "small chunks", "large chunk", "heads"],
)
def test_an_answer_without_an_end_is_given_up(first: bytes, again: bytes) -> None:
    with (
        sending(first, again) as url,
        RelayClient(url, most_bytes=MOST) as relay,
        pytest.raises(RelayUnavailable, match="it has more than 262,144 bytes"),
    ):
        relay.request("GET", "/")


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", OK),
        (b"", CONTINUE),
        (OK, b"X-Header: x\r\n"),
        (OK + b"Content-Length: 100000\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (OK + b"\r\n", b"x"),
    ],
    ids=["status", "continues", "headers", "body", "chunks", "unknown length"],
)
def test_an_answer_that_comes_byte_by_byte_is_given_up(
    first: bytes, again: bytes
) -> None:
    began = time.monotonic()
    with (
        sending(first, again, pause=0.01) as url,
        RelayClient(url, answer_seconds=0.1) as relay,
        pytest.raises(RelayUnavailable, match="does not answer in time"),
    ):
        relay.request("GET", "/")
    assert time.monotonic() - began < DEADLINE


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 1000000000000000\r\n\r\n",
        CHUNKED + b"7fffffffffffffff\r\n",
        CHUNKED + b"ffffffffffffffffffffffff\r\n",
    ],
)
def test_an_answer_that_is_cut_off_is_none_however_long_it_says_it_is(
    head: bytes,
) -> None:
    with (
        sending(head + b"abc", hangs_up=True) as url,
        RelayClient(url) as relay,
        pytest.raises(RelayUnavailable),
    ):
        relay.request("GET", "/")


def test_answers_that_are_long_together_are_none_of_them_too_long() -> None:
    body = b"x" * 200_000
    answer = OK + b"Content-Length: 200000\r\n\r\n" + body
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for _ in range(3):
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with RelayClient(url, most_bytes=MOST) as relay:
            for _ in range(3):
                assert relay.request("GET", "/").body == body
        thread.join()
