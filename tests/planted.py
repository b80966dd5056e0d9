"""Secrets that are planted, and looked for wherever they must not be."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote


def basic(user: str, password: str) -> str:
    """Return what is sent of a user and a password."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def spellings(secret: str) -> set[bytes]:
    """Return how a secret may be written: as it is, and for URLs and headers."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    written = {secret, quote(secret), quote(secret, safe=""), encoded}
    return {each.encode() for each in written}


def leaks(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Return which of `secrets` are in which of `places`, both by their names."""
    return [
        f"{secret} is in {place}"
        for secret, text in secrets.items()
        for place, content in places.items()
        if any(spelling in content for spelling in spellings(text))
    ]


def files_below(*directories: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names of all files, and names with contents."""
    for directory in directories:
        for path in directory.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            yield str(path), str(path).encode() + b"\n" + content


def command_line(pid: int | str) -> bytes:
    """Return the command line of a process, as others see it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
