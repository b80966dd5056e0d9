"""The token for a relay."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EFBIG

_MOST_BYTES = 64 * 1024


def read_token(file: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the token in `file`, or else that of PUSHRELAY_TOKEN; None for none.

    Raises OSError, also for what cannot be the file of a token.
    """
    if file is None:
        return environ.get("PUSHRELAY_TOKEN") or None
    from pushrelay.wrapper.reading import read_file  # most have none

    try:
        content = read_file(file, _MOST_BYTES, follow=True)
    except ValueError as error:
        raise OSError(EFBIG, f"it {error}", file) from error
    return content.decode(errors="surrogateescape").strip() or None
