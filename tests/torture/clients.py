"""Threads that write to relays, and note what was answered."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count

from relay_process import HTTPClient
from torture import requests
from torture.connection import DOUBTFUL, Connection
from torture.history import History, Operation, Outcome
from torture.requests import Request
from torture.scrapers import Scraper

PATIENCE = 120.0
"""How long it tries what it must know; then the run has failed."""

_GROUPS = 2
_CURIOUS = 0.15
"""How often a client scrapes at once after an answer."""

_IMPATIENT = 0.1
"""How often a client that may try again does so at once, without waiting."""


class Client:
    """Writes to cells of its own, one operation after the other.

    servers: the first is asked, and the others in turn where it must be tried again.
    scraper: by which it looks at times whether what was acknowledged is there.
    """

    def __init__(
        self,
        number: int,
        servers: Sequence[HTTPClient],
        scraper: Scraper,
        history: History,
        seed: int,
    ) -> None:
        self._number = number
        self._name = f"c{number}"
        self._connections = [Connection(server) for server in servers]
        self._scraper = scraper
        self._history = history
        self._chance = random.Random(f"{seed}/{number}")
        self._values = count(1)
        self._made = count(1)
        self._groups = [self._new_instance() for _ in range(_GROUPS)]
        self._contest = self._new_instance()

    def run(self, is_over: Callable[[], bool]) -> None:
        """Write until it is over."""
        steps = (self._write, self._write, self._contend, self._add, self._report)
        while not is_over():
            self._chance.choice(steps)()
            if self._chance.random() < _CURIOUS:
                self._scraper.scrape()
        for connection in self._connections:
            connection.close()
        self._scraper.close()

    def _write(self) -> None:
        number = self._chance.randrange(_GROUPS)
        instance = self._groups[number]
        fate = self._chance.random()
        if fate < 0.2:
            request = requests.delete(instance)
        elif fate < 0.6:
            request = requests.put(instance, self._value())
        else:
            request = requests.post(instance, self._value(), self._chance)
        if self._once(request) is Outcome.UNKNOWN:
            self._groups[number] = self._new_instance()
            self._leave(requests.delete(instance))

    def _contend(self) -> None:
        instance = self._contest
        if self._chance.random() < 0.4:
            request = requests.delete(instance, "contests")
        else:
            request = requests.contest(instance, self._value(), self._chance)
        if self._once(request) is Outcome.UNKNOWN:
            self._contest = self._new_instance()
            self._leave(requests.delete(instance, "contests"))

    def _add(self) -> None:
        self._until_known(
            requests.add(self._name, self._chance.randrange(1, 100), self._chance)
        )

    def _report(self) -> None:
        for request in requests.run(self._name):
            self._until_known(request)

    def _leave(self, request: Request) -> None:
        """Have no more to do with a group of which nobody knows what is in it."""
        self._until_known(request)

    def _value(self) -> int:
        """Return a value that nobody else ever writes."""
        return next(self._values) * 100 + self._number

    def _new_instance(self) -> str:
        return f"{self._name}.{next(self._made)}"

    def _once(self, request: Request) -> Outcome:
        begun = time.monotonic()
        outcome, told = self._try(self._connections[0], request)
        self._note(request, begun, begun, outcome, told, 1)
        return outcome

    def _until_known(self, request: Request) -> None:
        begun = last_begun = time.monotonic()
        for tries in count(1):
            connection = self._connections[(tries - 1) % len(self._connections)]
            last_begun = time.monotonic()
            if tries == 1 and self._chance.random() < _IMPATIENT:
                self._try_and_leave(connection, request)
                continue
            outcome, told = self._try(connection, request)
            if outcome is not Outcome.UNKNOWN:
                self._note(request, begun, last_begun, outcome, told, tries)
                return
            assert last_begun - begun < PATIENCE, f"no answer at all: {request} {told}"
            time.sleep(self._chance.uniform(0.02, 0.2))

    def _try(self, connection: Connection, request: Request) -> tuple[Outcome, str]:
        try:
            status, text = connection.send(
                request.method, request.target, request.body, request.headers
            )
        except (OSError, http.client.HTTPException) as error:
            return Outcome.UNKNOWN, f"{type(error).__name__} {error}"
        told = f"{status} {text[:200].strip()}"
        if status == request.accepted:
            return Outcome.ACKNOWLEDGED, str(status)
        if status in DOUBTFUL:
            return Outcome.UNKNOWN, told
        return Outcome.REFUSED, told

    def _try_and_leave(self, connection: Connection, request: Request) -> None:
        with suppress(OSError, http.client.HTTPException):
            connection.send_and_leave(
                request.method, request.target, request.body, request.headers
            )

    def _note(
        self,
        request: Request,
        begun: float,
        last_begun: float,
        outcome: Outcome,
        told: str,
        tries: int,
    ) -> None:
        self._history.note(
            Operation(
                client=self._number,
                kind=request.kind,
                cell=request.cell,
                pushed=request.pushed,
                begun=begun,
                ended=time.monotonic(),
                outcome=outcome,
                tries=tries,
                last_begun=last_begun,
                told=told,
                id=request.id,
            )
        )
