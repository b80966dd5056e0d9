"""What is counted and measured of the relay and its store, for scrapes and for people.

Nothing here waits for the database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pushrelay.config import Limits
from pushrelay.model import MetricFamily
from pushrelay.room import used_of
from pushrelay.store.database_size import DatabaseSize
from pushrelay.store.engine import Database
from pushrelay.store_health import StoreHealth
from pushrelay.telemetry import Gauges, Telemetry
from pushrelay.view.snapshot import Snapshot
from pushrelay.view.view import View


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit of what is stored, by its name in `Limits`, and how much there is."""

    name: str
    limit: int
    used: int

    @property
    def flag(self) -> str:
        """The flag that sets it."""
        return f"--limit.{self.name.replace('_', '-')}"

    @property
    def is_bytes(self) -> bool:
        """Whether it counts bytes."""
        return self.name.endswith("_bytes")

    @property
    def share(self) -> float:
        """How much of it is used, from 0; more than 1 if there is more than it lets
        in."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What is known of the store at some moment.

    kind: SQLite or PostgreSQL. name: of the database, without a password. size: bytes,
    as it said last; None if it has not. revision: of the last write that is known.
    groups, series: as scrapes count them. jobs: that have groups, or runs, or should.
    commit_median, commit_p99: about how many seconds half, and 99 of 100, commits of
    this relay took at most since it started; None before the first. is_readable: it
    answered when it was asked last. is_writable: it took the last write.
    """

    kind: str
    name: str
    size: int | None
    revision: int
    groups: int
    series: int
    jobs: int
    commit_median: float | None
    commit_p99: float | None
    is_readable: bool
    is_writable: bool
    limits: tuple[LimitUse, ...]


class Figures:
    """Reads the figures of a relay from its parts. May be used on any thread."""

    def __init__(
        self,
        view: View,
        database: Database,
        size: DatabaseSize,
        health: StoreHealth,
        telemetry: Telemetry,
        limits: Limits,
    ) -> None:
        self._view = view
        self._database = database
        self._size = size
        self._health = health
        self._telemetry = telemetry
        self._limits = limits

    def families(self, snapshot: Snapshot, *, is_newest: bool) -> list[MetricFamily]:
        """Return the families that tell of the relay itself, and of what is in
        `snapshot`; is_newest: whether that is all that was committed by now."""
        uses = self._uses()
        gauges = Gauges(
            groups=snapshot.groups,
            series=snapshot.series,
            revision=snapshot.position.revision,
            # Others may have found that it answers while this scrape had given it up.
            store_up=is_newest and self._health.is_up,
            clock_skew=self._database.clock_skew() / 10**9,
            limits={use.name: use.limit for use in uses},
            used={use.name: use.used for use in uses},
        )
        return self._telemetry.families(gauges, time.monotonic())

    def facts(self) -> StoreFacts:
        """Return what is known of the store."""
        view, commits = self._view, self._telemetry.commit_seconds
        snapshot = view.snapshot()
        return StoreFacts(
            kind=self._database.kind,
            name=self._database.name,
            size=self._size.bytes or None,
            revision=snapshot.position.revision,
            groups=snapshot.groups,
            series=snapshot.series,
            jobs=len(view.stock.jobs() | view.board.job_names()),
            commit_median=commits.quantile(0.5),
            commit_p99=commits.quantile(0.99),
            is_readable=self._health.is_readable,
            is_writable=self._health.is_writable,
            limits=self._uses(),
        )

    def _uses(self) -> tuple[LimitUse, ...]:
        used = used_of(self._view, self._size.bytes)
        return tuple(
            [LimitUse(name, getattr(self._limits, name), used[name]) for name in used]
        )
