"""The ASGI application: everything that is hot or has the Pushgateway's exact grammar.

Pushes, scrapes and probes are answered here, on the event loop; work that takes long
goes to a small pool of threads. The page and the query API are Flask's, behind it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from typing import Any

from pushrelay.aggregation import Mode
from pushrelay.config import Settings
from pushrelay.errors import (
    InconsistentPush,
    InvalidRequest,
    LimitExceeded,
    PushrelayError,
    StoreUnavailable,
)
from pushrelay.exposition.compression import check_encoding, decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import (
    PushFormat,
    accepts_gzip,
    negotiate,
    push_format,
)
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.relay import Push, Relay, prepare_push
from pushrelay.web.app import CORS_HEADERS, create_app
from pushrelay.web.errors import (
    RETRY_AFTER_SECONDS,
    status_of,
    text_of,
)
from pushrelay.web.exchange import TEXT, ClientGone, Exchange
from pushrelay.web.flask_bridge import Headers, call_flask
from pushrelay.web.routing import Found, Redirected, Refused, Router

log = logging.getLogger(__name__)

INLINE_BODY_BYTES = 64 * 1024
INLINE_ENCODED_BYTES = 8 * 1024
INLINE_PAGE_SERIES = 2_000
PART_BYTES = 256 * 1024
POOL_THREADS = 4

Handler = Callable[[Exchange, str], Awaitable[None]]


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
        self._terminate = terminate
        self._router = Router(settings)
        self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="pool")
        self._flask = create_app(settings, relay)
        self._handlers: dict[str, Handler] = {
            "push": self._push,
            "delete": self._delete,
            "metrics": self._metrics,
            "healthy": self._healthy,
            "ready": self._ready,
            "quit": self._quit,
            "quit_refused": self._quit_refused,
            "wipe": self._wipe,
            "api/v1/options": self._api_options,
            "api/v1/status": self._page,
            "api/v1/metrics": self._page,
            "status": self._page,
            "static": self._page,
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send, self._limits))

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            self._relay.start()
        except PushrelayError as error:
            log.error("cannot start: %s", error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # Accepted writes are committed before the process ends.
        await asyncio.to_thread(self._relay.stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, exchange: Exchange) -> None:
        handler = "other"
        try:
            handler = await self._route(exchange)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the boundary to the client
            await self._answer_error(exchange, error)
        seconds = time.monotonic() - exchange.started_at
        self._telemetry.request(
            handler, exchange.method, exchange.status, seconds, exchange.size
        )
        if exchange.status >= 400:
            await exchange.drain()

    async def _route(self, exchange: Exchange) -> str:
        """Answer; return the name of the handler that did."""
        target_bytes = len(exchange.raw_path) + len(exchange.query)
        if target_bytes > self._limits.target_bytes:
            raise LimitExceeded(
                "target_bytes",
                f"the request target is longer than the limit of "
                f"{self._limits.target_bytes} bytes",
            )
        if exchange.header("host") is None and exchange.scope["http_version"] == "1.1":
            raise InvalidRequest("missing required Host header")
        if _MALFORMED_ESCAPE.search(exchange.raw_path):
            raise InvalidRequest("the path has a % without two hexadecimal digits")
        if (exchange.header("expect") or "100-continue").lower() != "100-continue":
            await exchange.answer(417)
            return "other"
        method, path = exchange.method, exchange.raw_path
        resolution = self._router.resolve(method, path)
        is_final = isinstance(resolution, Redirected) and resolution.by_cleaning
        if not is_final and not self._router.is_api(path):
            await self._check_encoding(exchange)
        match resolution:
            case Found(name, rest):
                await self._handle(exchange, name, rest)
                return name
            case Redirected():
                await _redirect(exchange, resolution)
            case Refused(allowed):
                await _refuse(exchange, allowed)
            case _:
                await exchange.error(404, "404 page not found\n")
        return "other"

    async def _check_encoding(self, exchange: Exchange) -> None:
        """Refuse a compressed body with a bad head, as for every path but the API."""
        encoding = exchange.header("content-encoding")
        if encoding is not None:
            check_encoding(await exchange.body(), encoding)

    async def _handle(self, exchange: Exchange, name: str, rest: str) -> None:
        if name not in _UNCOUNTED:
            exchange.on_status = partial(self._count_compatible, exchange, name)
        try:
            await self._handlers[name](exchange, rest)
        except PushrelayError as error:
            await self._answer_error(exchange, error)
            if name in ("push", "delete"):
                self._note_rejection(exchange, error)
        if name in ("push", "delete"):
            now = time.monotonic()
            seconds = now - exchange.started_at
            self._telemetry.push(exchange.method, seconds, exchange.size, now)

    def _count_compatible(self, exchange: Exchange, name: str) -> None:
        self._telemetry.compatible_request(name, exchange.method, exchange.status)

    async def _answer_error(self, exchange: Exchange, error: Exception) -> None:
        status = status_of(error)
        if status == 500:
            log.error("internal error", exc_info=error)
        if exchange.status:
            # The head is out already; the server closes the connection.
            raise error
        headers: Headers = ()
        if isinstance(error, StoreUnavailable):
            headers = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
        await exchange.error(status, text_of(error), headers)

    def _note_rejection(self, exchange: Exchange, error: Exception) -> None:
        self._telemetry.rejected(getattr(error, "reason", "internal"))
        level = logging.ERROR if isinstance(error, InconsistentPush) else logging.DEBUG
        fields = {
            "method": exchange.method,
            "path": exchange.raw_path[:_LOGGED_CHARACTERS],
            "client": exchange.client,
            "reason": str(error)[:_LOGGED_CHARACTERS],
        }
        log.log(level, "push refused", extra={"fields": fields})

    # --- pushes ---

    async def _push(self, exchange: Exchange, path: str) -> None:
        now = time.time_ns()
        mode = Mode.REPLACE if exchange.method == "PUT" else Mode.UPDATE
        key = parse_path(path, utf8_names=self._settings.utf8_names)
        check_grouping_labels(key, self._limits)
        body = await exchange.body()
        read = partial(self._read_push, exchange, key, body, mode, now)
        encoded = exchange.header("content-encoding") is not None
        if len(body) <= (INLINE_ENCODED_BYTES if encoded else INLINE_BODY_BYTES):
            push = read()
        else:
            push = await self._in_pool(read)
        await self._relay.push(push)
        await exchange.answer(200)

    def _read_push(
        self, exchange: Exchange, key: GroupingKey, body: bytes, mode: Mode, now: int
    ) -> Push:
        encoding = exchange.header("content-encoding")
        body = decode_body(body, encoding, self._limits.body_bytes)
        if push_format(exchange.header("content-type")) is PushFormat.PROTOBUF:
            families = parse_protobuf(body, key, self._limits)
        else:
            families = parse_text(
                body, key, self._limits, utf8_names=self._settings.utf8_names
            )
        return prepare_push(key, families, mode, now)

    async def _delete(self, exchange: Exchange, path: str) -> None:
        key = parse_path(path, utf8_names=self._settings.utf8_names)
        await self._relay.delete(key)
        await exchange.answer(202)

    async def _wipe(self, exchange: Exchange, _rest: str) -> None:
        await self._relay.wipe()
        await exchange.answer(202)

    # --- scrapes ---

    async def _metrics(self, exchange: Exchange, _rest: str) -> None:
        format_ = negotiate(exchange.header("accept"))
        page = await self._relay.page(format_)
        gzip = accepts_gzip(exchange.header("accept-encoding"))
        chunks = page.gzip_chunks() if gzip else page.chunks()
        headers: Headers = (("Content-Type", format_.content_type),)
        if gzip:
            headers += (("Content-Encoding", "gzip"),)
        if page.series <= INLINE_PAGE_SERIES:
            body = b"".join(chunks)
            await exchange.begin(200, (*headers, ("Content-Length", str(len(body)))))
            await exchange.send(body, more=False)
            return
        await self._stream(exchange, 200, headers, chunks)

    async def _stream(
        self,
        exchange: Exchange,
        status: int,
        headers: Headers,
        chunks: Iterator[bytes],
    ) -> None:
        # The first part is made before the head is sent: what fails until then is a
        # proper error and not half a page.
        part = await self._in_pool(_next_part, chunks)
        await exchange.begin(status, headers)
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                while part:
                    await exchange.send(part, more=True)
                    part = await self._in_pool(_next_part, chunks)
                await exchange.send(b"", more=False)
        except TimeoutError:
            log.info("a client read too slowly: %s", exchange.client)
            raise ClientGone from None

    async def _in_pool(self, call: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, call, *arguments)

    # --- probes, lifecycle, the rest ---

    async def _healthy(self, exchange: Exchange, _rest: str) -> None:
        self._relay.require_alive()
        await exchange.answer(200, b"OK", TEXT)

    async def _ready(self, exchange: Exchange, _rest: str) -> None:
        await self._relay.require_ready()
        await exchange.answer(200, b"OK", TEXT)

    async def _quit(self, exchange: Exchange, _rest: str) -> None:
        if not self._settings.enable_lifecycle:
            await exchange.answer(403, b"Lifecycle API is not enabled.", TEXT)
            return
        await exchange.answer(200, b"Requesting termination... Goodbye!", TEXT)
        log.warning("a client asked for termination: %s", exchange.client)
        self._terminate()

    async def _quit_refused(self, exchange: Exchange, _rest: str) -> None:
        await exchange.answer(405, b"Only POST or PUT requests allowed.", TEXT)

    async def _api_options(self, exchange: Exchange, _rest: str) -> None:
        await exchange.answer(200, headers=CORS_HEADERS)

    async def _page(self, exchange: Exchange, _rest: str) -> None:
        prefix = self._settings.route_prefix
        answer = await self._in_pool(call_flask, self._flask, exchange, prefix)
        try:
            await self._stream(exchange, answer.status, answer.headers, answer.parts)
        finally:
            self._pool.submit(answer.close)


_UNCOUNTED = ("metrics", "quit", "quit_refused")
"""Handlers that the Pushgateway's request counter leaves out."""

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")

_LOGGED_CHARACTERS = 2_000


def _next_part(chunks: Iterator[bytes]) -> bytes:
    """Return about PART_BYTES of `chunks`; nothing at their end."""
    part: list[bytes] = []
    size = 0
    for chunk in chunks:
        part.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            break
    return b"".join(part)


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


async def _refuse(exchange: Exchange, allowed: tuple[str, ...]) -> None:
    headers = (("Allow", ", ".join(allowed)),) if allowed else ()
    if exchange.method == "OPTIONS":
        await exchange.answer(200, headers=headers)
    else:
        await exchange.error(405, "Method Not Allowed\n", headers)
