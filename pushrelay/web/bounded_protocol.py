"""A client's connection that takes no more than its share: of open files, and of memory
for what it sends."""

from __future__ import annotations

import asyncio
from typing import Any

from gunicorn.asgi import protocol

from pushrelay.config import Limits
from pushrelay.web.errors import RETRY_AFTER_SECONDS
from pushrelay.web.incoming import FREE_BYTES

HEADERS_BYTES = 256 * 1024
"""What headers may take beside the request target."""


class BoundedProtocol(protocol.ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """A connection that counts, and may have to make room for others."""

    _callback_parser: Any
    _body_receiver: Any
    _current_request: Any

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self._limits: Limits = worker.app.settings.limits
        self._head_bytes = 0
        self._held_bytes = 0
        self._awaits_turn = False
        self._reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connections = self.worker.connections
        if connections.is_full:
            self._note_limit("connections")
            if not connections.make_room():
                self._refuse("the relay has as many connections as it can")
                return
        connections.now_idle(self)
        self._note_connections()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.discard(self)
        self._note_connections()
        self.app.incoming.release(self)
        self._stop_reading_timer()
        super().connection_lost(exc)
        # Who still waits for a request need not do so until gunicorn's patience ends.
        self._request_ready.set()

    async def _handle_connection(self) -> None:
        try:
            await super()._handle_connection()
        finally:
            # They know this connection, too: with what its client has sent, all of it
            # would stay until somebody looks for garbage.
            self._callback_parser = self._body_receiver = self._current_request = None

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client can go on with its request or its answer."""
        body, flow = self._body_receiver, self._flow_control
        return flow.write_paused or (body is not None and not body._complete)

    def make_room(self) -> None:
        """Close at once, for another connection."""
        if self._head_bytes:
            self._refuse("the relay has as many connections as it can")
        # What is still to be written would keep it open.
        self.transport.abort()

    def give_up(self) -> None:
        """Refuse the head, for the memory of all heads and bodies is used up."""
        self._note_limit("incoming_bytes")
        self._refuse("the requests on their way take as much memory as they may")

    def _refuse(self, why: str) -> None:
        headers = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
        self._send_error_response(503, f"{why}; try again later\n", headers)
        self._keepalive_timeout()

    def _refuse_head(self, status: int, text: str) -> None:
        self._send_error_response(status, text)
        self._keepalive_timeout()

    def _note_limit(self, limit: str) -> None:
        self.app.limit_hits.note(limit)

    def _note_connections(self) -> None:
        self.app.note_connections(len(self.worker.connections))

    # --- what it reads ---

    def pause_writing(self) -> None:
        """Have the client read on in time. Answers that are streamed end before."""
        super().pause_writing()
        if self._reading_timer is None:
            self._reading_timer = self.worker.loop.call_later(
                self._limits.request_seconds, self._stop_waiting
            )

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading_timer()

    def _stop_waiting(self) -> None:
        if not self._closed:
            self._note_limit("request_seconds")
        self.transport.abort()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    # --- what it sends ---

    def _note_answered(self) -> None:
        """Note that a request has its answer: nothing of it is held."""
        self._head_bytes = self._held_bytes = 0
        self.app.incoming.release(self)

    def _note_part_of_head(self, size: int) -> None:
        """Note that so many bytes of a head came; it may be refused on return."""
        self._head_bytes += size
        if self._head_bytes > FREE_BYTES:
            self.app.incoming.hold(self, self._head_bytes - self._held_bytes)
            self._held_bytes = self._head_bytes
        is_long = self._head_bytes > self._limits.target_bytes + HEADERS_BYTES
        if is_long and not self._closed:
            self._note_limit("target_bytes")
            self._refuse_head(414, "the request's target or head is too long\n")

    def _note_request(self, size: int) -> None:
        """Note that a head is complete with so many more bytes, a part of its body
        among them; it may be refused on return."""
        if self._head_bytes + size > FREE_BYTES:
            behind = self._body_receiver.buffered + len(self._callback_parser._buffer)
            self._note_part_of_head(max(size - behind, 0))
        self._head_bytes = 0
        self.app.incoming.keep(self)
        if not self._closed:
            self.worker.connections.now_busy(self)

    def _feed_callback_parser(self, data: bytes) -> bool:
        if self._closed:
            # What was sent ahead, by a client that has gone meanwhile: nobody would
            # ever note its end.
            return False
        going_on = bool(super()._feed_callback_parser(data))
        if going_on:
            self._pace(len(data))
        return going_on

    def _pace(self, size: int) -> None:
        """Decide whether to read on, after so many bytes."""
        if self._is_ahead:
            # A client that sends one request after the other in small pieces would
            # else have the loop take each of them, in vain.
            self._pause_reading()
        elif size > FREE_BYTES and not self.worker.turns.take(size):
            self._awaits_turn = True
            self._pause_reading()
            self.worker.turns.wait(self._take_turn)
        elif self._reading_paused:
            # For a request that was held back, and of which not all is here.
            self._resume_reading()

    def _take_turn(self) -> None:
        self._awaits_turn = False
        self._maybe_resume_reading()

    def _resume_reading(self) -> None:
        # gunicorn reads more after each request, however much waits behind it.
        if not self._is_ahead and not self._awaits_turn:
            super()._resume_reading()

    @property
    def _is_ahead(self) -> bool:
        """Whether something waits already behind the request under way."""
        parser = self._callback_parser
        return parser is not None and parser.is_complete and bool(parser._buffer)
