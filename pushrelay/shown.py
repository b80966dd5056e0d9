"""How messages show what was given, and hint at what may have been meant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches

from pushrelay.quoting import quote

_SHOWN_CHARACTERS = 100


def shown(value: object) -> str:
    """Return a value from JSON for a message, long ones cut short."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, str):
        return quote(_cut(value))
    if isinstance(value, Decimal):
        return _cut(str(value))
    return _cut(json.dumps(value, default=str))


def shown_name(name: str) -> str:
    """Return a name that a client chose for a message, in quotes only if it needs
    them."""
    return _cut(name) if name and name.isprintable() else shown(name)


def meant(name: str, known: Iterable[str]) -> str:
    """Return a question for the `known` name that is close to `name`; empty if none
    is."""
    near = get_close_matches(name[:_SHOWN_CHARACTERS], known, 1)
    return f"did you mean {near[0]}?" if near else ""


def _cut(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return text[:_SHOWN_CHARACTERS] + "..."
