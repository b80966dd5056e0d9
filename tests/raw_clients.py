"""Clients that send bytes, whatever they mean, and see what comes back."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack

from relay_process import RelayProcess

PATIENCE = 10.0
"""Generous: what hangs, hangs for longer, or at least for as long as its clients."""


class Clients:
    """Opens connections to `relay` that are closed with `stack`."""

    def __init__(self, relay: RelayProcess, stack: ExitStack) -> None:
        self._relay = relay
        self._stack = stack

    def send(self, data: bytes, *, receive_buffer: int = 0) -> socket.socket:
        client = socket.socket()
        self._stack.enter_context(client)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE)
        client.connect((self._relay.host, self._relay.port))
        client.sendall(data)
        return client


def received(client: socket.socket) -> bytes:
    """Return all that comes until the relay closes the connection."""
    data = b""
    try:
        while part := client.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def is_waiting(client: socket.socket) -> bool:
    """Whether the relay has neither sent anything nor closed the connection."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    finally:
        client.settimeout(PATIENCE)
    return False


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of some answers, which have no such lines in their bodies."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
