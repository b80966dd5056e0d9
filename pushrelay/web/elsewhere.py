"""Answers to requests that no handler is for."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import Exchange
from pushrelay.web.routing import Redirected, Refused


async def redirect(exchange: Exchange, redirected: Redirected) -> None:
    """Say where the request belongs."""
    location = redirected.location
    if exchange.query:
        location += f"?{exchange.query}"
    body, content_type = b"", None
    if exchange.method == "GET":
        phrase = {301: "Moved Permanently", 307: "Temporary Redirect"}
        text = f'<a href="{escape(location)}">{phrase[redirected.status]}</a>.\n\n'
        body, content_type = text.encode(), "text/html; charset=utf-8"
    headers = (("Location", location),)
    await exchange.answer(redirected.status, body, content_type, headers)


async def refuse(exchange: Exchange, refused: Refused) -> None:
    """Say which methods the path has. Raises HTTPError unless that was asked for."""
    allowed = refused.allowed
    headers = {"Allow": ", ".join(allowed)} if allowed else {}
    if exchange.method != "OPTIONS":
        text = "Method Not Allowed"
        if refused.is_ours:
            usable = [method for method in allowed if method != "OPTIONS"]
            text += f"; use {' or '.join(usable)}"
        raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, text, headers=headers)
    await exchange.answer(200, headers=tuple(headers.items()))
