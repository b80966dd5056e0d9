from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from weakref import ref

import pytest
from waiting import wait_until

from pushrelay.web import farewell
from pushrelay.web.farewell import end_soon, has_unsent


def test_what_the_other_side_has_not_received_is_unsent() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as ours,
        listening.accept()[0] as theirs,
    ):
        assert not has_unsent(ours)
        ours.setblocking(False)
        size = 0
        with suppress(BlockingIOError):
            while True:
                size += ours.send(b"x" * 65536)
        assert has_unsent(ours)
        while size:
            size -= len(theirs.recv(1 << 20))
        wait_until(lambda: not has_unsent(ours))
        ours.close()
        assert not has_unsent(ours)


def test_what_is_over_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "FAREWELL_SECONDS", 0.0)

    class IsOver:
        asked = 0

        def __call__(self) -> bool:
            IsOver.asked += 1
            return True

    async def check() -> None:
        is_over = IsOver()
        kept = ref(is_over)
        end_soon(asyncio.Transport(), is_over)
        del is_over
        while not IsOver.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert kept() is None

    gc.disable()
    try:
        asyncio.run(check())
    finally:
        gc.enable()
