"""What is done to relays and their database while clients write and read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from signal import SIGCONT, SIGSTOP

from postgres_server import FAST, IMMEDIATE
from relay_process import RelayProcess
from tcp_proxy import Link
from torture.history import Fault, History, LostTail
from torture.stage import PATIENCE, PostgresStage, Stage, send_to_all_of

Inflict = Callable[[], None]

LOSING = "a standby promoted without the last commits"
"""The fault that is by itself: its tail must be all that is lost."""

_COMMIT = b"COMMIT\0"


class RelayFaults:
    """Faults of the relays on `stage`, for about `seconds` each."""

    def __init__(self, stage: Stage, chance: random.Random, seconds: float) -> None:
        self._replicas = stage.replicas
        self._chance = chance
        self._seconds = seconds

    @property
    def all(self) -> dict[str, Inflict]:
        return {
            "a replica killed (SIGKILL)": self._kill,
            "a replica drained (SIGTERM)": self._drain,
            "a replica frozen (SIGSTOP)": self._freeze,
        }

    def _kill(self) -> None:
        replica = self._chance.choice(self._replicas)
        replica.kill()
        self._hold(0.3)
        _start(replica)

    def _drain(self) -> None:
        replica = self._chance.choice(self._replicas)
        assert replica.stop() == 0, replica.log
        self._hold(0.3)
        _start(replica)

    def _freeze(self) -> None:
        replica = self._chance.choice(self._replicas)
        send_to_all_of(replica, SIGSTOP)
        try:
            self._hold(self._chance.choice((1, 2, 4)))
        finally:
            send_to_all_of(replica, SIGCONT)

    def _hold(self, share: float = 1.0) -> None:
        time.sleep(self._seconds * share * self._chance.uniform(0.7, 1.3))


def _start(replica: RelayProcess) -> None:
    """Start a replica as a supervisor does: again, if its database is away."""
    deadline = time.monotonic() + PATIENCE
    while not replica.running:
        with suppress(AssertionError):
            replica.start()
        assert time.monotonic() < deadline, replica.log


class DatabaseFaults:
    """Faults of the database of `stage`, and of the ways to it."""

    def __init__(
        self,
        stage: PostgresStage,
        chance: random.Random,
        seconds: float,
        history: History,
    ) -> None:
        self._stage = stage
        self._cluster = stage.cluster
        self._chance = chance
        self._seconds = seconds
        self._history = history

    @property
    def all(self) -> dict[str, Inflict]:
        faults = {
            "PostgreSQL restarted (fast)": lambda: self._restart(FAST),
            "PostgreSQL restarted (immediate)": lambda: self._restart(IMMEDIATE),
            "connections to the database cut": self._cut,
            "commits lost on their way": self._lose_commits,
            "confirmations of commits lost": self._lose_confirmations,
            "connections to the database delayed": self._delay,
        }
        if self._stage.pgbouncer is not None:
            return faults | {"pgbouncer restarted": self._restart_pgbouncer}
        return faults | {
            "a synchronous standby promoted": self._promote_synchronous,
            "a standby promoted that was waited for": self._promote_waiting,
            LOSING: self._promote_losing,
        }

    def _restart(self, how: int) -> None:
        self._cluster.primary.stop(how)
        self._hold(0.3)
        self._cluster.primary.start()

    def _restart_pgbouncer(self) -> None:
        assert self._stage.pgbouncer is not None
        self._stage.pgbouncer.stop()
        self._hold(0.3)
        self._stage.pgbouncer.start()

    def _cut(self) -> None:
        for _ in range(5):
            for way in self._chance.sample(self._stage.ways, 2):
                way.cut()
            self._hold(0.2)

    def _lose_commits(self) -> None:
        def lose(link: Link, data: bytes) -> bool:
            if _COMMIT not in data:
                return True
            link.cut()
            return False

        self._hook(lose)

    def _lose_confirmations(self) -> None:
        def lose(link: Link, data: bytes) -> bool:
            link.loses_answer = link.loses_answer or _COMMIT in data
            return True

        self._hook(lose)

    def _hook(self, before: Callable[[Link, bytes], bool]) -> None:
        """Have what is sent to the database go through `before`, for moments."""
        for _ in range(5):
            way = self._chance.choice(self._stage.ways)
            usual, way.before = way.before, before
            self._hold(0.1)
            way.before = usual
            self._hold(0.1)

    def _delay(self) -> None:
        ways = self._chance.sample(self._stage.ways, 2)
        for way in ways:
            way.delay = self._chance.uniform(0.02, 0.1)
        self._hold()
        for way in ways:
            way.delay = 0.0

    def _promote_synchronous(self) -> None:
        self._require_standby()
        self._cluster.make_synchronous()
        self._hold()
        self._cluster.stop_primary(IMMEDIATE)
        self._stage.block()
        self._cluster.promote()
        self._stage.unblock()

    def _promote_waiting(self) -> None:
        self._require_standby()
        self._stage.block()
        self._cluster.wait_for_replay()
        self._cluster.fail_over(IMMEDIATE)
        self._stage.unblock()

    def _promote_losing(self) -> None:
        self._require_standby()
        safe_at = time.monotonic()
        self._cluster.wait_for_replay()
        self._cluster.cut_replication()
        self._hold()
        self._cluster.stop_primary(IMMEDIATE)
        dead_at = time.monotonic()
        self._stage.block()
        self._cluster.promote()
        revision, survived = self._stage.survived()
        self._stage.unblock()
        self._stage.settle()
        settled_at = time.monotonic()
        tail = LostTail(safe_at, dead_at, settled_at, revision, survived)
        self._history.note(tail)

    def _require_standby(self) -> None:
        if self._cluster.former is not None:
            self._cluster.add_standby()

    def _hold(self, share: float = 1.0) -> None:
        time.sleep(self._seconds * share * self._chance.uniform(0.7, 1.3))


class Nemesis:
    """Inflicts faults on `stage`, in an order that follows from `seed`: each by itself
    at first, but for those of the relays before a pooler, and from then on some of the
    relays' together with others."""

    def __init__(
        self, stage: Stage, seed: int, seconds: float, history: History
    ) -> None:
        self._stage = stage
        self._history = history
        self._chance = random.Random(seed)
        relays, database = random.Random(seed + 1), random.Random(seed + 2)
        self._of_relays = RelayFaults(stage, relays, seconds).all
        self._others: dict[str, Inflict] = {}
        self._is_pooled = False
        if isinstance(stage, PostgresStage):
            self._is_pooled = stage.pgbouncer is not None
            faults = DatabaseFaults(stage, database, seconds, history)
            self._others = faults.all

    def rounds(self) -> Iterator[list[tuple[str, ...]]]:
        """Yield rounds of faults for ever; what is in a tuple happens together."""
        every = [*self._of_relays, *self._others]
        # To relays that end, a pooler makes no difference.
        first = [*self._others] if self._is_pooled else [*every]
        self._chance.shuffle(first)
        yield [(name,) for name in first]
        while True:
            self._chance.shuffle(every)
            yield [self._joined(name) for name in every]

    def inflict(self, names: tuple[str, ...]) -> None:
        """Have these faults, and wait until all is well again."""
        begun = time.monotonic()
        faults = self._of_relays | self._others
        with ThreadPoolExecutor(len(names)) as threads:
            for done in [threads.submit(faults[name]) for name in names]:
                done.result()
        self._stage.settle()
        for name in names:
            self._history.note(Fault(name, begun, time.monotonic()))

    def _joined(self, name: str) -> tuple[str, ...]:
        is_joined = name in self._others and name != LOSING
        if is_joined and self._chance.random() < 0.5:
            return name, self._chance.choice(list(self._of_relays))
        return (name,)
