"""The OpenAPI document of `/api/v1`. It is written in `docs/openapi.yaml`."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path

from pushrelay.web.answers import READ
from pushrelay.web.exchange import Exchange

_FILE = Path(__file__).with_name("openapi.yaml")


async def show_openapi(exchange: Exchange, _rest: str) -> None:
    """Show the document."""
    body = await asyncio.to_thread(openapi_json)
    await exchange.answer(200, body, headers=READ)


@cache
def openapi_json() -> bytes:
    """Return the document as JSON. It is made once, in 20 ms."""
    # Few relays are ever asked for it.
    import yaml

    # The one in C is six times as fast, and not there everywhere.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(_FILE.read_bytes(), loader)  # noqa: S506  # a safe loader
    return json.dumps(document, separators=(",", ":")).encode()
