"""Logs who changed what, for those who wonder later."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pushrelay.web.exchange import Exchange

log = logging.getLogger(__name__)

_LOGGED_CHARACTERS = 2_000


def note(what: str, exchange: Exchange, asked: Mapping[str, str]) -> None:
    """Log that the client does `what`, and what it asked for."""
    told = {name: value[:_LOGGED_CHARACTERS] for name, value in asked.items() if value}
    log.info(what, extra={"fields": {"client": exchange.client, **told}})
