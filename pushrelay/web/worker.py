"""gunicorn's asgi worker, with deadlines for request heads and a quick goodbye.

gunicorn holds a half-sent request head for ever, and at shutdown waits for idle
keep-alive connections until its timeout. Both are mended here, in terms of its
internals: the version is pinned, and tests watch over both.
"""

from __future__ import annotations

import signal
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from pushrelay.config import Limits

HEADERS_BYTES = 256 * 1024
"""What headers may take beside the request target."""


class RelayProtocol(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose request head must arrive in time.

    At most `idle_seconds` between two bytes, and `request_seconds` for all of it.
    """

    def __init__(self, worker: RelayWorker) -> None:
        super().__init__(worker)
        self._limits: Limits = worker.app.settings.limits
        self._last_byte_at = self._head_began_at = 0.0
        self._head_bytes = 0
        self._head_timer: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.worker.connections.add(self)
        self._expect_head()

    def _feed_callback_parser(self, data: bytes) -> bool:
        # All bytes come this way: new ones, and those held back behind a request.
        self._last_byte_at = self.worker.loop.time()
        if not self._awaits_head:
            return bool(super()._feed_callback_parser(data))
        if self._head_timer is None:
            self._expect_head()
        self._head_bytes += len(data)
        going_on = bool(super()._feed_callback_parser(data))
        if not self._awaits_head:
            self._disarm()
            self._head_bytes = 0
        elif self._head_bytes > self._limits.target_bytes + HEADERS_BYTES:
            self._refuse_head(414, "the request's target or head is too long\n")
            return False
        return going_on

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answer."""
        body = self._body_receiver
        if self._awaits_head or body is None or not body._complete:
            return False
        self._keepalive = 0
        return True

    def _close_transport(self) -> None:
        super()._close_transport()
        # Its farewell to a client that has gone already fails, and then it forgets to
        # close; nothing would ever tell us again that the client has gone.
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.discard(self)
        self._disarm()
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Close the connection if no request is under way."""
        if self._awaits_head:
            self._keepalive_timeout()

    @property
    def _awaits_head(self) -> bool:
        ready = self._request_ready
        return ready is not None and not ready.is_set()

    def _expect_head(self) -> None:
        self._last_byte_at = self._head_began_at = self.worker.loop.time()
        self._arm(self._limits.idle_seconds)

    def _arm(self, seconds: float) -> None:
        self._head_timer = self.worker.loop.call_later(seconds, self._check_head)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _check_head(self) -> None:
        """Refuse a head that is late; runs once in a while, not for every byte."""
        self._head_timer = None
        if not self._awaits_head or self._closed:
            return
        now = self.worker.loop.time()
        due = min(
            self._last_byte_at + self._limits.idle_seconds,
            self._head_began_at + self._limits.request_seconds,
        )
        if now < due:
            self._arm(due - now)
        elif self._head_bytes:
            self._refuse_head(408, "the request's head did not come in time\n")
        else:
            self.close_if_idle()

    def _refuse_head(self, status: int, text: str) -> None:
        self._send_error_response(status, text)
        self.close_if_idle()


class RelayWorker(gasgi.ASGIWorker):  # type: ignore[misc]  # as above
    """Serves with RelayProtocol, and closes idle connections when it ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.connections: set[RelayProtocol] = set()

    def init_process(self) -> None:
        # The worker names its protocol class in this module only.
        gasgi.ASGIProtocol = RelayProtocol
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the worker too; open requests are finished all the same.
        self.loop.add_signal_handler(signal.SIGINT, self.handle_exit_signal)

    async def _shutdown(self) -> None:
        for connection in list(self.connections):
            connection.close_if_idle()
        await super()._shutdown()
