"""A connection of the driver that is given up when the server says nothing.

The driver itself waits for ever: for a server whose processes are stopped, and for a
network that loses what is sent. Its waiting goes by steps; they are counted here, so
that the time in which this process itself is stopped is not the server's silence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

Result = TypeVar("Result")

STEP_SECONDS = 0.1

SUSPICIOUS_SECONDS = 1.0
"""From so much silence on, other connections are not trusted either."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which the server may be silent for `patience` seconds.

    silence: for how long it has been, while it is waited for. is_given_up: whether
    another thread knows that no answer will come. suspect: called when the silence
    becomes suspicious, on the thread that waits. overtake: called when a transaction
    has succeeded, with the seconds it took.
    """

    patience = float("inf")
    silence = 0.0
    is_given_up = False
    suspect: Callable[[], None] | None = None
    overtake: Callable[[float], None] | None = None

    def wait(
        self,
        gen: PQGen[Result],
        interval: float = STEP_SECONDS,
        timeout: float | None = None,
    ) -> Result:
        return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, waiting: PQGen[Result]) -> PQGen[Result]:
        """Do what `waiting` does, until it has waited for too long."""
        try:
            wanted = next(waiting)
            while True:
                ready = yield wanted
                if ready:
                    self.silence = 0.0
                    wanted = waiting.send(ready)
                else:
                    wanted = self._endure(waiting, ready)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            self.silence = 0.0

    def _endure(self, waiting: Generator[Any, Any, Any], ready: Any) -> Any:
        before, self.silence = self.silence, self.silence + STEP_SECONDS
        if before < SUSPICIOUS_SECONDS <= self.silence and self.suspect is not None:
            self.suspect()
        if self.silence < self.patience and not self.is_given_up:
            return waiting.send(ready)
        said = f"the server has not answered for {self.silence:.0f} seconds"
        self.pgconn.finish()
        return waiting.throw(psycopg.OperationalError(said))
