"""The ASGI application: everything that is hot or has the Pushgateway's exact grammar.

Pushes, scrapes and probes are answered here, on the event loop; work that takes long
goes to a few threads. The pages and the query API are Flask's, behind it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pushrelay.config import Settings
from pushrelay.errors import PushrelayError
from pushrelay.exposition.compression import check_encoding
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.web.app import create_app
from pushrelay.web.authentication import Authentication
from pushrelay.web.authorisation import require_known, require_right
from pushrelay.web.bodies import Bodies
from pushrelay.web.crowd import Crowd
from pushrelay.web.discovery import Discovery
from pushrelay.web.elsewhere import redirect, refuse
from pushrelay.web.errors import HTTPError, forget_frames, limit_of
from pushrelay.web.exchange import Exchange, Handlers, Headers
from pushrelay.web.failures import Failures
from pushrelay.web.flask_bridge import call_flask
from pushrelay.web.groups import Groups
from pushrelay.web.head import check_head
from pushrelay.web.importing import Importing
from pushrelay.web.incoming import Incoming
from pushrelay.web.jobs import Jobs
from pushrelay.web.lifecycle import Lifecycle
from pushrelay.web.limit_hits import LimitHits
from pushrelay.web.live_web_config import LiveWebConfig
from pushrelay.web.login import Login
from pushrelay.web.noting import WRITING, log_write
from pushrelay.web.openapi import show_openapi
from pushrelay.web.origin import require_own_origin
from pushrelay.web.page_actions import PageActions
from pushrelay.web.pings import Pings
from pushrelay.web.proxies import Proxies
from pushrelay.web.pushes import Pushes
from pushrelay.web.query_api import CORS_HEADERS, READ_CORS_HEADERS
from pushrelay.web.reloading import Reloader
from pushrelay.web.reports import Reports
from pushrelay.web.request_body import ClientGone
from pushrelay.web.routing import (
    PAGES,
    Found,
    Redirected,
    Refused,
    Resolution,
    Router,
)
from pushrelay.web.runs import Runs
from pushrelay.web.scraping import Scraping
from pushrelay.web.sessions import Sessions
from pushrelay.web.streamers import Streamers

log = logging.getLogger(__name__)


class Gateway:
    """Serves `relay` over ASGI.

    terminate: called once a client has asked for the end of the process. web: what the
        web configuration file says; None without one.
    """

    def __init__(
        self,
        settings: Settings,
        relay: Relay,
        terminate: Callable[[], None],
        web: LiveWebConfig | None = None,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._relay = relay
        self._telemetry = relay.telemetry
        self._web = web or LiveWebConfig(None, relay.telemetry)
        self.limit_hits = LimitHits(self._telemetry)
        self.incoming = Incoming(self._limits.incoming_bytes)
        self._crowd = Crowd(self._limits.requests, self._telemetry)
        streamers = Streamers(self._limits, self.limit_hits.note)
        self._streamer, chooser = streamers.page, streamers.chooser
        self._proxies = Proxies(settings.trusted_proxies)
        self._router = Router(settings)
        tokens, failures = relay.tokens, Failures()
        sessions = Sessions(settings, tokens, failures)
        self._authentication = Authentication(
            settings, tokens, sessions, lambda: self._web.users, failures
        )
        self._flask = create_app(settings, relay)
        self._login = Login(self._authentication, sessions, tokens, self._flask)
        bodies = Bodies()
        reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
        self._pushes = Pushes(settings, relay, bodies, reader)
        reports = Reports(settings, relay, bodies, reader)
        file = settings.config_file
        self._reloader = Reloader(Path(file) if file else None, relay)
        self._handlers: Handlers = {
            **self._pushes.handlers,
            **Scraping(relay, streamers.scrape, chooser).handlers,
            **Groups(relay, chooser).handlers,
            **Runs(settings, relay, bodies, reports, chooser).handlers,
            **Pings(settings, relay, bodies, reports).handlers,
            **Jobs(settings, relay, bodies, chooser).handlers,
            **Lifecycle(settings, relay, self._reloader, terminate).handlers,
            **self._login.handlers,
            **PageActions(settings, relay, chooser, self._flask).handlers,
            "import": Importing(settings, relay).take_over,
            "openapi": show_openapi,
            "sd": Discovery(settings, chooser).show,
            "api/v1/options": partial(self._api_options, CORS_HEADERS),
            "read_options": partial(self._api_options, READ_CORS_HEADERS),
            "api/v1/status": partial(self._call_flask, "/api/v1/status"),
            "api/v1/metrics": partial(self._call_flask, "/api/v1/metrics"),
            **{name: partial(self._call_flask, path) for name, path in PAGES.items()},
            "static": partial(self._call_flask, "/static/"),
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            send = self._web.sending(send)
            exchange = Exchange(
                *(scope, receive, send, self._limits, self._proxies, self.incoming)
            )
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
        self._web.take_request()
        check_head(exchange, self._limits)
        resolution = self._router.resolve(exchange.method, exchange.raw_path)
        if isinstance(resolution, Found):
            return await self._handle(exchange, resolution)
        require_own_origin(exchange, self._settings.external_origin)
        exchange.identity = await self._authentication.identify(exchange)
        require_known(exchange.identity)
        await self._check_encoding(exchange, resolution)
        match resolution:
            case Redirected():
                await redirect(exchange, resolution)
            case Refused():
                await refuse(exchange, resolution)
            case _:
                raise HTTPError(HTTPStatus.NOT_FOUND, "404 page not found")
        return "other"

    async def _admit(self, exchange: Exchange, found: Found) -> None:
        """Raise what keeps the request from its handler."""
        require_own_origin(exchange, self._settings.external_origin)
        if found.right is not None:
            exchange.identity = await self._authentication.identify(exchange)
            require_right(exchange.identity, found.right)
        exchange.is_admitted = True
        await self._check_encoding(exchange, found)

    async def _check_encoding(self, exchange: Exchange, resolution: Resolution) -> None:
        encoding = exchange.header("content-encoding")
        if encoding is not None and not self._is_free_of_encoding(exchange, resolution):
            check_encoding(await exchange.body(), encoding)

    def _is_free_of_encoding(self, exchange: Exchange, resolution: Resolution) -> bool:
        """Whether a compressed body with a bad head is none of our business."""
        if isinstance(resolution, Redirected) and resolution.by_cleaning:
            return True
        return self._router.is_api(exchange.raw_path)

    async def _handle(self, exchange: Exchange, found: Found) -> str:
        """Answer; return who is to be named as the one that did."""
        name, error = "other", None
        try:
            place = exchange.request_body.place = self._crowd.enter(found.name)
            try:
                await self._admit(exchange, found)
                name = found.name
                if compatible := _COMPATIBLE.get(name):
                    exchange.on_status = partial(
                        self._telemetry.compatible_request, compatible, exchange.method
                    )
                await self._handlers[name](exchange, found.rest)
            finally:
                place.leave()
        except ClientGone:
            raise
        except Exception as refusal:  # noqa: BLE001  # the boundary to the client
            error = refusal
            if found.name in PAGES and self._login.invites(exchange, error):
                await self._login.invite(exchange)
            else:
                await self._answer_error(exchange, error)
            forget_frames(error)
        self._note(exchange, found, error)
        return name

    def _note(self, exchange: Exchange, found: Found, error: Exception | None) -> None:
        """Count and log what became of a request."""
        if error is not None and found.name in _PUSHES:
            self._pushes.note_rejection(exchange, found.rest, error)
        elif error is not None and found.name in _REPORTS:
            self._pushes.note_refused_report(exchange, error)
        if found.right in WRITING and self._is_logged:
            log_write(exchange, error)

    @property
    def _is_logged(self) -> bool:
        """Whether each write has a line in the log."""
        if self._settings.log_writes == "auto":
            return self._authentication.is_required
        return self._settings.log_writes == "on"

    async def _answer_error(self, exchange: Exchange, error: Exception) -> None:
        if not isinstance(error, PushrelayError):
            log.error("internal error", exc_info=error)
        if limit := limit_of(error):
            self.limit_hits.note(limit)
        if exchange.status:
            # The head is out already; the server closes the connection.
            raise error
        await exchange.error(error)

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


_COMPATIBLE = {
    name: name
    for name in (
        *("push", "delete", "wipe", "healthy", "ready", "status", "static"),
        *("api/v1/status", "api/v1/metrics", "api/v1/options"),
    )
} | {"board": "status"}
"""Handlers that the Pushgateway has and counts, and their names there."""

_SUMMARISED = ("push", "delete")
"""Handlers whose requests the Pushgateway summarises."""

_PUSHES = (*_SUMMARISED, "push_groups")
_REPORTS = ("report_run", "ping")
"""Handlers whose refusals are counted and logged."""
