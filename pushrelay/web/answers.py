"""Answers in JSON: `{"status": "success", "data": {...}}`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pushrelay.errors import InvalidRequest
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.url_base64 import from_base64, to_base64
from pushrelay.web.exchange import Exchange, Headers
from pushrelay.web.query_api import READ_CORS_HEADERS

USUAL_LIMIT = 100
MOST_ENTRIES = 1000
"""On a page of a list."""

JSON: Headers = (("Content-Type", "application/json"),)
READ: Headers = (*JSON, *READ_CORS_HEADERS)
"""Headers of an answer that pages of other origins may read."""

# `json.dumps` would make one for each entry.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


async def answer(
    exchange: Exchange, data: dict[str, Any], headers: Headers = JSON
) -> None:
    """Answer 200 with `data`."""
    body = _dump({"status": "success", "data": data})
    await exchange.answer(200, body, headers=headers)


def listing(
    data: dict[str, Any], name: str, entries: Iterable[dict[str, Any]]
) -> Iterator[bytes]:
    """Yield the answer with `data`, which is not empty, and the list `name` piece by
    piece."""
    head = _dump({"status": "success", "data": data}).removesuffix(b"}}")
    yield head + b"," + _dump(name) + b":["
    for position, entry in enumerate(entries):
        yield (b"," if position else b"") + _dump(entry)
    yield b"]}}"


def seconds(nanoseconds: int | None) -> float | None:
    """Return a time that is 0 or None for never."""
    return nanoseconds / NANOSECONDS if nanoseconds else None


def cursor_of(place: bytes) -> str:
    """Return what stands for `place` in a URL."""
    return to_base64(place)


def place_of(cursor: str) -> bytes:
    """Return what `cursor` stands for. Raises InvalidRequest."""
    try:
        return from_base64(cursor)
    except ValueError:
        raise bad_cursor() from None


def bad_cursor() -> InvalidRequest:
    """Return the error for a cursor that no page gave."""
    return InvalidRequest(
        "the cursor is none that a page gave as its next; begin again without a cursor"
    )


def _dump(value: Any) -> bytes:
    return _to_json(value).encode()
