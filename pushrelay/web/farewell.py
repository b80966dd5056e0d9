"""How connections with TLS end: without waiting for a client's goodbye."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from collections.abc import Callable

FAREWELL_SECONDS = 1.0
"""How long a client may take to say that it has seen the end, once it has received
everything."""


def end_soon(transport: asyncio.Transport, is_over: Callable[[], bool]) -> None:
    """End a connection that is being closed, when its client has all that was sent;
    is_over: whether it has ended by itself."""
    loop = asyncio.get_running_loop()
    loop.call_later(FAREWELL_SECONDS, _part, loop, transport, is_over)


def _part(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.Transport,
    is_over: Callable[[], bool],
) -> None:
    if is_over():
        return
    if has_unsent(transport.get_extra_info("socket")):
        loop.call_later(FAREWELL_SECONDS, _part, loop, transport, is_over)
    else:
        transport.abort()


def has_unsent(connected: socket.socket) -> bool:
    """Whether there is something that the other side has not received yet."""
    count = bytearray(4)
    try:
        fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return False  # it is closed
    return bool(int.from_bytes(count, sys.byteorder))
