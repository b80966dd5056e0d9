"""A connection of the driver that is given up when the server says nothing.

The driver itself waits for ever: for a server whose processes are stopped, and for a
network that loses what is sent. Its waiting goes by steps; they are counted here, so
that the time in which this process itself is stopped is not the server's silence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from pushrelay.store.engine import (
    ConstraintBroken,
    DriverError,
    ValueTooLarge,
    one_line,
)

Result = TypeVar("Result")

STEP_SECONDS = 0.1

SUSPICIOUS_SECONDS = 1.0
"""From so much silence on, other connections are not trusted either."""

LAST_CHANCE_SECONDS = 0.3


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which the server may be silent for `patience` seconds.

    silence: for how long it has been, while it is waited for. suspect: called when the
    silence becomes suspicious, on the thread that waits. overtake: called when a
    transaction has succeeded, with the seconds it took.
    """

    patience = float("inf")
    silence = 0.0
    suspect: Callable[[], None] | None = None
    overtake: Callable[[float], None] | None = None
    _latest = float("inf")

    def give_up(self) -> None:
        """Wait no longer, unless an answer comes now; called by another thread, which
        knows that there is none."""
        self._latest = self.silence + LAST_CHANCE_SECONDS

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
                    self._heard()
                    wanted = waiting.send(ready)
                else:
                    wanted = self._endure(waiting, ready)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            self._heard()

    def _heard(self) -> None:
        self.silence = 0.0
        self._latest = float("inf")

    def _endure(self, waiting: Generator[Any, Any, Any], ready: Any) -> Any:
        silence = self.silence + STEP_SECONDS
        is_new = self.silence < SUSPICIOUS_SECONDS <= silence
        if is_new and self.suspect is not None:
            # Before others see that it is so, and take another connection.
            self.suspect()
        self.silence = silence
        if self.silence < min(self.patience, self._latest):
            return waiting.send(ready)
        said = f"the server has not answered for {self.silence:.1f} s"
        self.pgconn.finish()
        return waiting.throw(psycopg.OperationalError(said))


@contextmanager
def driver_errors() -> Iterator[None]:
    """Let errors of the driver be those that the store knows."""
    try:
        yield
    except psycopg.Error as error:
        # What follows in others may have the values in it.
        told = error.diag.message_primary or one_line(error) or type(error).__name__
        if isinstance(error, (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)):
            raise ValueTooLarge(told) from error
        if isinstance(error, psycopg.IntegrityError):
            raise ConstraintBroken(told) from error
        raise DriverError(told) from error
