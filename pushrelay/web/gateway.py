"""The ASGI application: everything that is hot or has the Pushgateway's exact grammar.

Pushes, scrapes and probes are answered here, on the event loop; work that takes long
goes to a few threads. The page and the query API are Flask's, behind it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pushrelay.config import Settings
from pushrelay.errors import PushrelayError
from pushrelay.exposition.compression import check_encoding
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.web.app import create_app
from pushrelay.web.bodies import Bodies
from pushrelay.web.crowd import Crowd
from pushrelay.web.errors import HTTPError, limit_of
from pushrelay.web.exchange import TEXT, Exchange, Handlers, Headers
from pushrelay.web.flask_bridge import call_flask
from pushrelay.web.groups import Groups
from pushrelay.web.head import check_head
from pushrelay.web.importing import Importing
from pushrelay.web.incoming import Incoming
from pushrelay.web.jobs import Jobs
from pushrelay.web.limit_hits import LimitHits
from pushrelay.web.pings import Pings
from pushrelay.web.pushes import Pushes
from pushrelay.web.query_api import CORS_HEADERS, READ_CORS_HEADERS
from pushrelay.web.readers import Readers
from pushrelay.web.reloading import Reloader
from pushrelay.web.reports import Reports
from pushrelay.web.request_body import ClientGone
from pushrelay.web.routing import Found, Redirected, Refused, Resolution, Router
from pushrelay.web.runs import Runs
from pushrelay.web.scraping import Scraping
from pushrelay.web.streaming import Streamer

log = logging.getLogger(__name__)

PAGE_THREADS = 2
SCRAPE_THREADS = max(2, min(os.cpu_count() or 1, 4))
"""Apart, for scrapes must not wait behind pages that anybody asks for. More threads make
no more pages, and pushes have to wait for each: with 500 clients that asked for pages,
four and four made them take twice as long as two and two."""

ASKED_THREADS = 2
"""For requests with selectors, which take half a minute if they have a hundred regular
expressions for 50,000 groups: whole pages must not wait behind them."""


class Gateway:
    """Serves `relay` over ASGI.

    terminate: called once a client has asked for the end of the process.
    """

    def __init__(
        self, settings: Settings, relay: Relay, terminate: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._relay = relay
        self._telemetry = relay.telemetry
        self.limit_hits = LimitHits(self._telemetry)
        self.incoming = Incoming(self._limits.incoming_bytes)
        self._crowd = Crowd(self._limits.requests, self._telemetry)
        self._terminate = terminate
        self._router = Router(settings)
        readers = Readers(self._limits, self.limit_hits.note)

        def streamer(threads: int, name: str) -> Streamer:
            return Streamer(
                ThreadPoolExecutor(threads, thread_name_prefix=name), readers
            )

        self._streamer = streamer(PAGE_THREADS, "page")
        scraped = streamer(SCRAPE_THREADS, "scrape")
        chooser = streamer(ASKED_THREADS, "asked")
        self._flask = create_app(settings, relay)
        bodies = Bodies()
        reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
        self._pushes = Pushes(settings, relay, bodies, reader)
        reports = Reports(settings, relay, bodies, reader)
        file = settings.config_file
        self._reloader = Reloader(Path(file) if file else None, relay)
        self._handlers: Handlers = {
            **self._pushes.handlers,
            **Scraping(relay, scraped, chooser).handlers,
            **Groups(relay, chooser).handlers,
            **Runs(settings, relay, bodies, reports, chooser).handlers,
            **Pings(settings, relay, bodies, reports).handlers,
            **Jobs(settings, relay, bodies, chooser).handlers,
            "import": Importing(settings, relay).take_over,
            "healthy": self._healthy,
            "ready": self._ready,
            "reload": self._reload,
            "quit": self._quit,
            "quit_refused": self._quit_refused,
            "api/v1/options": partial(self._api_options, CORS_HEADERS),
            "read_options": partial(self._api_options, READ_CORS_HEADERS),
            "api/v1/status": partial(self._call_flask, "/api/v1/status"),
            "api/v1/metrics": partial(self._call_flask, "/api/v1/metrics"),
            "status": partial(self._call_flask, "/status"),
            "static": partial(self._call_flask, "/static/"),
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            exchange = Exchange(scope, receive, send, self._limits, self.incoming)
            try:
                await self._serve(exchange)
            finally:
                exchange.request_body.release()

    def note_connections(self, number: int) -> None:
        """Note how many connections are open."""
        self._telemetry.connections = number

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            self._relay.start()
        except PushrelayError as error:
            log.error("cannot start: %s", error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._reload_on_signal()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Accepted writes are committed before the process ends.
        await asyncio.to_thread(self._relay.stop)
        await send({"type": "lifespan.shutdown.complete"})

    def _reload_on_signal(self) -> None:
        loop = asyncio.get_running_loop()
        # Nobody else would keep a task.
        tasks: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(self._reloader.try_reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)

    async def _serve(self, exchange: Exchange) -> None:
        handler = "other"
        try:
            handler = await self._route(exchange)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the boundary to the client
            await self._answer_error(exchange, error)
        self._record(exchange, handler)
        if exchange.status >= 400:
            await exchange.request_body.drain()

    def _record(self, exchange: Exchange, handler: str) -> None:
        now, method, size = time.monotonic(), exchange.method, exchange.size
        seconds = now - exchange.started_at
        self._telemetry.request(handler, method, exchange.status, seconds, size)
        if handler in _SUMMARISED:
            self._telemetry.push(method, seconds, size, now)

    async def _route(self, exchange: Exchange) -> str:
        """Answer; return the name of the handler that did."""
        check_head(exchange, self._limits)
        resolution = self._router.resolve(exchange.method, exchange.raw_path)
        encoding = exchange.header("content-encoding")
        if encoding is not None and not self._is_free_of_encoding(exchange, resolution):
            check_encoding(await exchange.body(), encoding)
        match resolution:
            case Found(name, rest):
                await self._handle(exchange, name, rest)
                return name
            case Redirected():
                await _redirect(exchange, resolution)
            case Refused():
                await _refuse(exchange, resolution)
            case _:
                raise HTTPError(HTTPStatus.NOT_FOUND, "404 page not found")
        return "other"

    def _is_free_of_encoding(self, exchange: Exchange, resolution: Resolution) -> bool:
        """Whether a compressed body with a bad head is none of our business."""
        if isinstance(resolution, Redirected) and resolution.by_cleaning:
            return True
        return self._router.is_api(exchange.raw_path)

    async def _handle(self, exchange: Exchange, name: str, rest: str) -> None:
        if name in _COMPATIBLE:
            exchange.on_status = partial(self._count_compatible, exchange, name)
        try:
            await self._serve_in_place(exchange, name, rest)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001  # the boundary to the client
            await self._answer_error(exchange, error)
            if name in _PUSHES:
                self._pushes.note_rejection(exchange, rest, error)
            elif name in _REPORTS:
                self._pushes.note_refused_report(exchange, error)

    async def _serve_in_place(self, exchange: Exchange, name: str, rest: str) -> None:
        place = exchange.request_body.place = self._crowd.enter(name)
        try:
            await self._handlers[name](exchange, rest)
        finally:
            place.leave()

    def _count_compatible(self, exchange: Exchange, name: str) -> None:
        self._telemetry.compatible_request(name, exchange.method, exchange.status)

    async def _answer_error(self, exchange: Exchange, error: Exception) -> None:
        if not isinstance(error, PushrelayError):
            log.error("internal error", exc_info=error)
        if limit := limit_of(error):
            self.limit_hits.note(limit)
        if exchange.status:
            # The head is out already; the server closes the connection.
            raise error
        await exchange.error(error)

    async def _healthy(self, exchange: Exchange, _rest: str) -> None:
        self._relay.require_alive()
        await exchange.answer(200, b"OK", TEXT)

    async def _ready(self, exchange: Exchange, _rest: str) -> None:
        await self._relay.require_ready()
        await exchange.answer(200, b"OK", TEXT)

    async def _reload(self, exchange: Exchange, _rest: str) -> None:
        self._require_lifecycle()
        await self._reloader.reload()
        await exchange.answer(200)

    def _require_lifecycle(self) -> None:
        if not self._settings.enable_lifecycle:
            text = "Lifecycle API is not enabled."
            raise HTTPError(HTTPStatus.FORBIDDEN, text, plain=text)

    async def _quit(self, exchange: Exchange, _rest: str) -> None:
        self._require_lifecycle()
        await exchange.answer(200, b"Requesting termination... Goodbye!", TEXT)
        log.warning("a client asked for termination: %s", exchange.client)
        self._terminate()

    async def _quit_refused(self, _exchange: Exchange, _rest: str) -> None:
        text = "Only POST or PUT requests allowed."
        raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, text, plain=text)

    async def _api_options(
        self, headers: Headers, exchange: Exchange, _rest: str
    ) -> None:
        await exchange.answer(200, headers=headers)

    async def _call_flask(self, path: str, exchange: Exchange, rest: str) -> None:
        prefix = self._settings.route_prefix
        answer = await self._streamer.run(
            call_flask, self._flask, exchange, prefix, path + rest
        )
        try:
            await self._streamer.send(
                exchange, answer.status, answer.headers, answer.parts
            )
        finally:
            self._streamer.discard(answer.close)


_COMPATIBLE = frozenset(
    {
        *("push", "delete", "wipe", "healthy", "ready", "status", "static"),
        *("api/v1/status", "api/v1/metrics", "api/v1/options"),
    }
)
"""Handlers that the Pushgateway has and counts."""

_SUMMARISED = ("push", "delete")
"""Handlers whose requests the Pushgateway summarises."""

_PUSHES = (*_SUMMARISED, "push_groups")
_REPORTS = ("report_run", "ping")
"""Handlers whose refusals are counted and logged."""


async def _redirect(exchange: Exchange, redirected: Redirected) -> None:
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


async def _refuse(exchange: Exchange, refused: Refused) -> None:
    allowed = refused.allowed
    headers = {"Allow": ", ".join(allowed)} if allowed else {}
    if exchange.method != "OPTIONS":
        text = "Method Not Allowed"
        if refused.is_ours:
            usable = [method for method in allowed if method != "OPTIONS"]
            text += f"; use {' or '.join(usable)}"
        raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, text, headers=headers)
    await exchange.answer(200, headers=tuple(headers.items()))
