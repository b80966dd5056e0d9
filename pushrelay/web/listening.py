"""Listening sockets that end without a connection lost.

The kernel shakes hands with clients before we accept them, and resets those who still
wait when the socket is closed: they have been connected, may have sent a push, and can
not know what became of it. So we have it take no more first, which to a client looks
like a lost packet. It tries again a second later, and is refused.
"""

from __future__ import annotations

import ctypes
import select
import socket
from contextlib import suppress

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
"""Of Linux; Python has no names for them."""

# Instructions of the packet filter: code, where to go on if it holds or not, operand.
_LOAD_FLAGS = (0x30, 0, 0, 13)
_ONLY_SYN_AND_ACK = (0x54, 0, 0, 0x12)
_UNLESS_SYN_ALONE_SKIP_1 = (0x15, 0, 1, 0x02)
_DROP = (0x06, 0, 0, 0)
_PASS = (0x06, 0, 0, 0xFFFFFFFF)

_WITHOUT_NEW = (
    _LOAD_FLAGS,
    _ONLY_SYN_AND_ACK,
    _UNLESS_SYN_ALONE_SKIP_1,
    _DROP,
    _PASS,
)
"""Drops what opens a connection, and lets through what completes one."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_uint16),
        ("instructions", ctypes.POINTER(_Instruction)),
    )


def take_no_more(listening: socket.socket) -> None:
    """Let no new connection begin; those that have begun go on. On a system that can
    not do it, nothing happens."""
    instructions = [_Instruction(*each) for each in _WITHOUT_NEW]
    count = len(instructions)
    program = _Program(count, (_Instruction * count)(*instructions))
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))


def take_again(listening: socket.socket) -> None:
    """Undo it, also if it was done by a process that has ended."""
    # An error means that nothing was done.
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def has_waiting(listening: socket.socket) -> bool:
    """Whether there is a connection to accept."""
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    return bool(waiting.poll(0))
