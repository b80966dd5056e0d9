"""The processes that a command started, and those that they started."""

from __future__ import annotations

import os

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let what our descendants leave behind become children of ours, not of init."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(strangers: frozenset[int] = frozenset()) -> list[int]:
    """Return the ids of all living processes that come from us, parents before their
    children, without `strangers` and what comes from these."""
    children: dict[int, list[int]] = {}
    for entry in _listed("/proc"):
        if entry.isdigit() and (parent := _living_parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry))
    found = [os.getpid()]
    for process in found:
        found.extend([c for c in children.get(process, ()) if c not in strangers])
    return found[1:]


def send(number: int, processes: list[int]) -> None:
    """Send the signal `number` to `processes`, of which some may be gone."""
    for process in processes:
        try:
            os.kill(process, number)
        except (ProcessLookupError, PermissionError):
            continue  # gone, or of another user by now


def is_stopped(process: int) -> bool:
    """Return whether a signal has stopped `process`, and none continued it."""
    return _state_and_parent(process)[0] == b"T"


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []  # as in a chroot that has none


def _living_parent(process: str) -> int | None:
    """Return the parent of `process`; None if it is gone, or has only not been waited
    for."""
    state, parent = _state_and_parent(process)
    return None if state in (b"", b"Z", b"X") else int(parent)


def _state_and_parent(process: str | int) -> tuple[bytes, bytes]:
    """Return both as the kernel writes them; nothing if `process` is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            # Its name is in parentheses, and may be anything.
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return b"", b""
    return state, parent
