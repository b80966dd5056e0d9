"""Calls Flask for one request, and takes its answer part by part.

A thread is used only while a part of the answer is made. a2wsgi's middleware keeps it
until the client has read all, and for ever once the request is cancelled: four clients
that went away amid a large answer were the end of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from pushrelay.web.exchange import Exchange, Headers

IDENTITY = "pushrelay.identity"
"""Where an application finds who asks."""

HAS_SESSION = "pushrelay.has_session"
"""Where it finds whether they have logged in."""


@dataclass(frozen=True, slots=True)
class FlaskAnswer:
    """An answer; `parts` of its body are made as they are taken. Close it."""

    status: int
    headers: Headers
    parts: Iterator[bytes]

    def close(self) -> None:
        """Give up what is left of the body."""
        close = getattr(self.parts, "close", None)
        if close is not None:
            # A part may still be in the making, if the request was cancelled.
            with suppress(ValueError):
                close()


def call_flask(app: Flask, exchange: Exchange, prefix: str, path: str) -> FlaskAnswer:
    """Return the answer of `app`, which is below the path `prefix`, at `path` (decoded)
    to a request without a body."""
    source = exchange.source
    builder = EnvironBuilder(
        method=exchange.method,
        path=quote(path, errors="surrogateescape"),
        base_url=f"{source.scheme}://{source.host or 'localhost'}{quote(prefix)}/",
        query_string=exchange.query,
        # What was asked for is what a proxy that is trusted says it was.
        headers=[(name, v) for name, v in exchange.headers if name != "host"],
    )
    environ = {
        **builder.get_environ(),
        IDENTITY: exchange.identity,
        HAS_SESSION: exchange.has_session,
    }
    parts, status, headers = run_wsgi_app(app.wsgi_app, environ)
    return FlaskAnswer(int(status[:3]), tuple(headers), iter(parts))
