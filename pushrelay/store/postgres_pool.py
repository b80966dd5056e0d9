"""Connections to a PostgreSQL server that are kept, and those that are in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakSet

from pushrelay.store.postgres_connection import (
    SUSPICIOUS_SECONDS,
    PatientConnection,
)
from pushrelay.store.postgres_session import PostgresSession
from pushrelay.store.server_clock import ServerClock

KEPT_IDLE = 2
"""So many connections of a kind are kept for the next ones who ask."""


class Pool:
    """Sessions that `connect` opens, and keeps for others when they are closed.

    patience: seconds. are_in_turn: whether one whose transaction begins later has to
    wait for those before it, so that what it overtakes is lost.
    """

    def __init__(
        self,
        connect: Callable[[], PatientConnection],
        begin: Callable[[int], list[str]],
        end: list[str],
        clock: ServerClock,
        patience: float,
        are_in_turn: bool = False,
    ) -> None:
        self._connect = connect
        self._begin = begin
        self._end = end
        self._patience = patience
        self._are_in_turn = are_in_turn
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[PostgresSession] = []
        self._connections: WeakSet[PatientConnection] = WeakSet()
        self._is_closed = False

    def take(self) -> PostgresSession:
        """Lend a session."""
        while (session := self._pop()) is not None:
            if session.is_current:
                return session
            session.discard()
        driver = self._connect()
        driver.patience = self._patience
        if self._are_in_turn:
            driver.overtake = self.give_up
        with self._lock:
            self._connections.add(driver)
        begin = self._begin(driver.info.server_version // 10_000)
        return PostgresSession(driver, begin, self._end, self._take_back, self._clock)

    def close(self) -> None:
        """Close those that nobody uses, and others when they are given back: soon, for
        nothing is to be waited for any more."""
        self._is_closed = True
        self.close_idle()
        self.give_up(0)

    def close_idle(self) -> None:
        """Close those that nobody uses."""
        while (session := self._pop()) is not None:
            session.discard()

    def give_up(self, seconds: float) -> None:
        """Have those end that have waited for an answer for longer than `seconds`, and
        for so long that it is suspicious."""
        for connection in self._all():
            if connection.silence > max(seconds, SUSPICIOUS_SECONDS):
                connection.give_up()

    def is_silent(self) -> bool:
        """Whether one of them waits for an answer for suspiciously long."""
        return any(
            connection.silence >= SUSPICIOUS_SECONDS for connection in self._all()
        )

    def _take_back(self, session: PostgresSession) -> None:
        with self._lock:
            is_kept = not self._is_closed and len(self._idle) < KEPT_IDLE
            if is_kept and session.is_current:
                self._idle.append(session)
                return
        session.discard()

    def _all(self) -> list[PatientConnection]:
        with self._lock:
            return list(self._connections)

    def _pop(self) -> PostgresSession | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
