"""Secrets that are planted, and looked for wherever they must not be."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote


def basic(user: str, password: str) -> str:
    """Return what is sent of a user and a password."""
    return encoded_text(f"{user}:{password}")


def encoded_text(text: str) -> str:
    """Return `text` as it is encoded for headers."""
    return base64.b64encode(text.encode()).decode()


def spellings(secret: str) -> set[bytes]:
    """Return how a secret may be written: as it is, for URLs, and in what is encoded
    for headers, whatever stands before and behind it."""
    written = {secret, quote(secret), quote(secret, safe="")}
    for before, begin in enumerate((0, 2, 3)):
        encoded = encoded_text("\0" * before + secret)
        written.add(encoded.rstrip("=")[begin:-1])
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
