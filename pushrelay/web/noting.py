"""Logs who changed what, for those who wonder later."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pushrelay.errors import InconsistentPush, InvalidRequest
from pushrelay.findings import told_to
from pushrelay.grouping_key import GroupingKey
from pushrelay.recent_rejections import Rejection
from pushrelay.relay import Relay
from pushrelay.rights import Right
from pushrelay.web.errors import reason_of, text_of
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


def log_refusal(
    what: str,
    level: int,
    exchange: Exchange,
    error: Exception,
    told: Mapping[str, str],
) -> None:
    """Log at `level` that a push or a report was refused; told: of it, beside that."""
    # All of it, whatever the client was told.
    whole = error.__cause__ if isinstance(error, InconsistentPush) else None
    fields = {
        "method": exchange.method,
        "path": exchange.raw_path,
        "client": exchange.client,
        "reason": str(whole or error),
        **told,
    }
    log.log(level, what, extra={"fields": _shortened(fields)})


def keep_refusal(
    what: str, relay: Relay, exchange: Exchange, error: Exception, job: str | None
) -> None:
    """Keep with the recent rejections of `relay` that something was refused; job: that
    it is about, if it may be named."""
    key = exchange.about if isinstance(exchange.about, GroupingKey) else None
    text, safe_text = _texts(error)
    relay.rejections.note(
        Rejection(
            what,
            relay.now(),
            reason_of(error),
            text,
            safe_text,
            key,
            job if key is None else key.job,
            exchange.client,
        )
    )


def _texts(error: Exception) -> tuple[str, str]:
    """Return what may be told of `error` to who sees all groups, and to others."""
    if isinstance(error, InconsistentPush):
        # All of it, whatever the client was told.
        whole = error.__cause__ or error
        return str(whole), str(told_to(error, lambda _: False))
    text = text_of(error)
    # Of what is wrong with a request, it tells nothing else.
    return text, text if isinstance(error, InvalidRequest) else ""


def _who(exchange: Exchange) -> dict[str, str]:
    identity = exchange.identity
    return {
        "client": exchange.client,
        identity.kind: identity.name,
        "token_id": identity.id,
    }


def _shortened(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LOGGED_CHARACTERS] for name, value in fields.items() if value}
