from __future__ import annotations

import socket
from contextlib import suppress

from waiting import wait_until

from pushrelay.web.farewell import has_unsent


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
