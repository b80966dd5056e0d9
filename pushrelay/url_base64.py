"""Bytes as addresses carry them: in URL-safe base64 without padding."""

from __future__ import annotations

import base64


def to_base64(data: bytes) -> str:
    """Return what stands for `data` in an address."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64(written: str) -> bytes:
    """Return what `written` stands for, padded or not. Raises ValueError if it
    stands for nothing."""
    padded = written + "=" * (-len(written) % 4)
    return base64.b64decode(padded, b"-_", validate=True)
