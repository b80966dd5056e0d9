"""gunicorn's asgi worker, with deadlines for request heads and a goodbye that is quick
and loses no request.

gunicorn holds a half-sent request head for ever, and at shutdown waits for idle
keep-alive connections until its timeout, and resets new ones. All of it is mended here,
in terms of its internals: the version is pinned, and tests watch over it. So is what it
spends on every request and this relay has no use for: a task, and timers that never
fire.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from functools import partial
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.workers import gasgi

from pushrelay.config import Limits
from pushrelay.web.bounded_protocol import BoundedProtocol
from pushrelay.web.connections import Connections, possible
from pushrelay.web.exchange import BODY_IS_HERE, Headers
from pushrelay.web.farewell import end_soon
from pushrelay.web.listening import has_waiting, take_again, take_no_more
from pushrelay.web.request_parser import RelayParser
from pushrelay.web.tls import LiveContext
from pushrelay.web.turns import Turns

HANDSHAKE_SECONDS = 0.2
"""How long a client that has begun to connect may take for it when the worker ends."""

FIRST_REQUEST_SECONDS = 3.0
"""How long one that is connected may take for the head of its request then."""

ACCEPTING_SECONDS = 5.0
"""How long accepting all of them may take then."""

_POLL_SECONDS = 0.02


class RelayProtocol(BoundedProtocol):
    """A connection whose request head must arrive in time.

    At most `idle_seconds` between two bytes, and `request_seconds` for all of it; after
    a request, the next one may be as long in coming as gunicorn's `keepalive`.
    """

    def __init__(self, worker: RelayWorker) -> None:
        super().__init__(worker)
        self._patience: float = self._limits.idle_seconds
        self._awaits_since: float = 0.0
        self._head_began_at: float = 0.0
        self._last_byte_at: float = 0.0
        self._has_answered = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answer; TLS has no such state."""
        if self._is_ssl:
            return False
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
        elif self._is_ssl:
            end_soon(self.transport, lambda: self._conn_lost_handled)

    def close_if_done(self) -> None:
        """Close the connection if it has had an answer and nothing came since."""
        if self._has_answered and not self._head_bytes:
            self.close_if_idle()

    def close_if_idle(self) -> None:
        """Close the connection if no request is under way."""
        if self._awaits_head:
            self._keepalive_timeout()

    # --- a request ---

    async def _serve_http_request(
        self, request: Any, sockname: Any, peername: Any
    ) -> bool:
        # Without the task that lets an application go on after its answer.
        keepalive = await self._handle_http_request(request, sockname, peername)
        self._note_answered()
        if self._is_ahead:
            await self._own_turn()
        return bool(keepalive)

    async def _own_turn(self) -> None:
        """Let others have their turn, before a request that is there already."""
        turn = asyncio.Event()
        self.worker.turns.wait(turn.set)
        await turn.wait()

    def _build_http_scope(self, *arguments: Any) -> Any:
        scope = super()._build_http_scope(*arguments)
        scope[BODY_IS_HERE] = self._body_is_here
        return scope

    def _body_is_here(self) -> bool:
        """Whether the application's next `receive` returns at once."""
        body = self._body_receiver
        return bool(body._chunks) or body._complete

    # --- the deadline of its head ---

    def _feed_callback_parser(self, data: bytes) -> bool:
        # All bytes come this way: new ones, and those held back behind a request.
        awaited_head = self._awaits_head
        going_on = super()._feed_callback_parser(data)
        if not awaited_head or not going_on:
            return going_on
        if self._awaits_head:
            return self._take_part_of_head(len(data))
        self._note_request(len(data))
        return not self._closed

    def _take_part_of_head(self, size: int) -> bool:
        """Note that so many bytes of a head came; return whether more may come."""
        self._last_byte_at = self.worker.loop.time()
        if not self._head_bytes:
            self._head_began_at = self._last_byte_at
        self._note_part_of_head(size)
        self._wake_at(self._due)
        return not self._closed

    @property
    def _awaits_head(self) -> bool:
        ready = self._request_ready
        return ready is not None and not ready.is_set()

    def _await_head(self) -> None:
        self._awaits_since = self.worker.loop.time()
        self._wake_at(self._due)

    def _arm_keepalive_timer(self) -> None:
        self._has_answered = True
        self.worker.connections.now_idle(self)
        self._patience = self._keepalive
        self._await_head()

    def _cancel_keepalive_timer(self) -> None:
        """Leave the timer as it is: most requests come long before it."""

    @property
    def _due(self) -> float:
        """When to give up the head, or the rest before it."""
        if not self._head_bytes:
            return self._awaits_since + self._patience
        return min(
            self._last_byte_at + self._limits.idle_seconds,
            self._head_began_at + self._limits.request_seconds,
        )

    def _wake_at(self, due: float) -> None:
        """Have the head checked at `due` or before, with one timer for many heads."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self.worker.loop.call_at(due, self._check_head)

    def _check_head(self) -> None:
        self._timer = None
        if not self._awaits_head or self._closed:
            return
        now = self.worker.loop.time()
        if now < self._due:
            self._wake_at(self._due)
        elif self._head_bytes:
            is_silent = now >= self._last_byte_at + self._limits.idle_seconds
            self._note_limit("idle_seconds" if is_silent else "request_seconds")
            self._refuse_head(408, "the request's head did not come in time\n")
        else:
            self.close_if_idle()

    def _send_error_response(
        self, status: int, message: str, extra_headers: Headers = ()
    ) -> None:
        headers = (*extra_headers, *self.worker.app.web.headers)
        super()._send_error_response(status, message, headers)


class RelayWorker(gasgi.ASGIWorker):  # type: ignore[misc]  # as above
    """Serves with RelayProtocol.

    At its end, it answers all who have connected, and closes idle connections.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        most = possible(self.app.settings.limits.connections)
        self.connections: Connections[RelayProtocol] = Connections(most)

    def init_process(self) -> None:
        # gunicorn names its own classes in these modules only.
        gasgi.ASGIProtocol = RelayProtocol
        protocol.PythonProtocol = RelayParser
        for listening in self._listening:
            take_again(listening)
        super().init_process()

    def _setup_event_loop(self) -> None:
        super()._setup_event_loop()
        self.turns = Turns(self.loop.call_soon)
        # gunicorn forgets to say it, and then only a hundred clients can come at once.
        self.loop.create_server = partial(
            self.loop.create_server, backlog=self.cfg.backlog
        )

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the worker too; open requests are finished all the same.
        self.loop.add_signal_handler(signal.SIGINT, self.handle_exit_signal)
        # Until the application listens: it is about to read its file anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _get_ssl_context(self) -> LiveContext | None:
        context: LiveContext | None = self.app.web.context
        if context is not None:
            limits: Limits = self.app.settings.limits
            # gunicorn leaves them out.
            self.loop.create_server = partial(
                self.loop.create_server,
                ssl_handshake_timeout=limits.idle_seconds,
                # What is left of an answer must have been taken by then.
                ssl_shutdown_timeout=limits.request_seconds,
            )
            context.admits = partial(self._admits, context)
            self.log.info("connections are made with TLS")
        return context

    def _admits(self, context: LiveContext) -> bool:
        """Whether another handshake may begin."""
        if self.connections.admits(len(context.shaking)):
            return True
        self.asgi.limit_hits.note("connections")
        return False

    async def _shutdown(self) -> None:
        # Who connects to a socket of systemd's waits for the next worker.
        if not self.app.settings.systemd_socket:
            await self._accept_the_last()
        await self._finish_handshakes()
        for connection in list(self.connections):
            connection.close_if_done()
        self.loop.call_later(FIRST_REQUEST_SECONDS, self._close_idle)
        await super()._shutdown()

    @property
    def _listening(self) -> list[socket.socket]:
        return [sock.sock for sock in self.sockets]

    async def _accept_the_last(self) -> None:
        """Let nobody connect any more, and accept all who have."""
        began_at = self.loop.time()
        for listening in self._listening:
            take_no_more(listening)
        await asyncio.sleep(HANDSHAKE_SECONDS)
        while any(map(has_waiting, self._listening)):
            if self.loop.time() > began_at + ACCEPTING_SECONDS:
                return
            await asyncio.sleep(0)

    async def _finish_handshakes(self) -> None:
        """Let those connect who are about it, with TLS."""
        context: LiveContext | None = self.app.web.context
        until = self.loop.time() + FIRST_REQUEST_SECONDS
        while context and context.are_shaking and self.loop.time() < until:
            await asyncio.sleep(_POLL_SECONDS)

    def _close_idle(self) -> None:
        for connection in list(self.connections):
            connection.close_if_idle()
