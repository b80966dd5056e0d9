"""The token for a relay."""

from __future__ import annotations

from collections.abc import Mapping


def read_token(file: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the token in `file`, or else that of PUSHRELAY_TOKEN; None for none.

    Raises OSError.
    """
    if file is None:
        return environ.get("PUSHRELAY_TOKEN") or None
    with open(file, encoding="utf-8", errors="surrogateescape") as opened:
        return opened.read().strip() or None
