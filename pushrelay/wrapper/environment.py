"""The environment of the command: that which we were started with, and a little more.

What is imported here is imported before the command runs, so that it is little.
"""

from __future__ import annotations

import os


class Environment:
    """Environment variables, in their order, for `os.posix_spawn` and `os.execve`.

    Those take a mapping, but only its length, keys and values; so that a name may be
    there twice, if we were started so. What they refuse is left out: entries without a
    name or without "=", which no program finds by a name.
    """

    def __init__(self, entries: list[bytes]) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        for entry in entries:
            # Names may begin with "=".
            name, equals, value = entry[1:].partition(b"=")
            if equals:
                self._pairs.append((entry[:1] + name, value))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, name: bytes) -> bytes:
        if (value := self.get(name)) is None:
            raise KeyError(name)
        return value

    def keys(self) -> list[bytes]:
        """Return all names."""
        return [name for name, _ in self._pairs]

    def values(self) -> list[bytes]:
        """Return the values of all names."""
        return [value for _, value in self._pairs]

    def get(self, name: bytes) -> bytes | None:
        """Return the value that programs find; None for none."""
        return next((value for other, value in self._pairs if other == name), None)

    def remove(self, name: bytes) -> None:
        """Remove `name`, as often as it is there."""
        self._pairs = [pair for pair in self._pairs if pair[0] != name]

    def set(self, name: bytes, value: bytes) -> None:
        """Let `name` have `value` only."""
        self.remove(name)
        self._pairs.append((name, value))


def own_environment() -> Environment:
    """Return the environment that we were started with.

    Python's own has a LC_CTYPE more where the locale was C (PEP 538).
    """
    try:
        with open("/proc/self/environ", "rb", buffering=0) as file:
            entries = (file.readall() or b"").split(b"\0")
    except OSError:
        entries = [b"=".join(pair) for pair in os.environb.items()]
    return Environment(entries)
