"""Logs who changed what, for those who wonder later."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pushrelay.rights import Right
from pushrelay.web.errors import reason_of
from pushrelay.web.exchange import Exchange

log = logging.getLogger(__name__)

WRITING = (Right.PUSH, Right.ADMIN)
"""Who changes anything has one of these rights."""

_LOGGED_CHARACTERS = 2_000


def note(what: str, exchange: Exchange, asked: Mapping[str, str]) -> None:
    """Log that the client does `what`, and what it asked for."""
    fields = {**_who(exchange), **asked}
    log.info(what, extra={"fields": _shortened(fields)})


def log_write(exchange: Exchange, error: Exception | None) -> None:
    """Log what became of a request that would change something: who sent it and from
    where, what it is about, and the verdict."""
    fields = {
        **_who(exchange),
        "method": exchange.method,
        "about": str(exchange.about) or exchange.raw_path,
        "status": str(exchange.status),
        "reason": "" if error is None else reason_of(error),
        "bytes": str(exchange.size),
    }
    log.info("write", extra={"fields": _shortened(fields)})


def _who(exchange: Exchange) -> dict[str, str]:
    identity = exchange.identity
    return {
        "client": exchange.client,
        identity.kind: identity.name,
        "token_id": identity.id,
    }


def _shortened(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LOGGED_CHARACTERS] for name, value in fields.items() if value}
