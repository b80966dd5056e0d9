"""What is expected of a job, whoever said so, and since when.

The one who runs the relay may say it at the API, the job with its reports, and the job
rules. The first of these that speaks of slots decides about them (when they are, in
which zone, with which grace); of all else, likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from pushrelay.schedule import Expectation


class Source(Enum):
    """Who says what is expected, the first before the others."""

    API = "api"
    REPORT = "report"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class JobExpectation:
    """All that was said of what is expected of a job; immutable.

    api, report, rule: what each source says. reported_at: the start of the run whose
    report said so. since: when the slots became what they are; none before it were
    expected. paused_until: nothing is expected before. Unix nanoseconds.
    instances: those that a rule names. last_start: of the runs that are forgotten.
    """

    api: Expectation | None = None
    report: Expectation | None = None
    rule: Expectation | None = None
    reported_at: int = 0
    since: int = 0
    paused_until: int = 0
    instances: tuple[str, ...] = ()
    last_start: int = 0

    @property
    def effective(self) -> Expectation | None:
        """What is expected, all sources together; None if nobody says anything."""
        return _together(self._said)

    @property
    def slots_from(self) -> Source | None:
        """Who decides when runs are expected."""
        for source in Source:
            said: Expectation | None = getattr(self, source.value)
            if said is not None and said.has_slots:
                return source
        return None

    def told(
        self, source: Source, expectation: Expectation | None, at: int
    ) -> JobExpectation:
        """Return what is expected once `source` says `expectation`, or nothing, `at` a
        moment. Slots that are new are expected from then on."""
        match source:
            case Source.API:
                after = replace(self, api=expectation)
            case Source.REPORT:
                after = replace(self, report=expectation)
            case Source.RULE:
                after = replace(self, rule=expectation)
        if _slots_of(after.effective) == _slots_of(self.effective):
            return after
        return replace(after, since=at)

    def reported(self, expectation: Expectation, started_at: int) -> JobExpectation:
        """Return what is expected once a run that began at `started_at` says so; the
        last run decides, in whatever order reports come."""
        if started_at < self.reported_at:
            return self
        after = self.told(Source.REPORT, expectation, started_at)
        return replace(after, reported_at=started_at)

    def paused(self, until: int) -> JobExpectation:
        """Return the same with nothing expected before `until`, in the future."""
        return replace(self, paused_until=until)

    def resumed(self, at: int) -> JobExpectation:
        """Return the same with runs expected again from `at`, now; what did not come
        during the pause is not missed."""
        return replace(self, paused_until=min(self.paused_until, at))

    def having_run(self, last_start: int) -> JobExpectation:
        """Return the same once runs are forgotten of which the last began then."""
        return replace(self, last_start=max(self.last_start, last_start))

    @property
    def _said(self) -> list[Expectation]:
        said = (self.api, self.report, self.rule)
        return [expectation for expectation in said if expectation is not None]


def _together(said: list[Expectation]) -> Expectation | None:
    if len(said) < 2:
        return said[0] if said else None
    timed = next((each for each in said if each.has_slots), said[0])
    limits = [each.max_runtime for each in said if each.max_runtime is not None]
    intervals = [each.min_interval for each in said if each.min_interval is not None]
    return replace(
        timed,
        max_runtime=limits[0] if limits else None,
        min_interval=intervals[0] if intervals else None,
    )


def _slots_of(expectation: Expectation | None) -> tuple[object, ...] | None:
    if expectation is None or not expectation.has_slots:
        return None
    written = expectation.schedule, expectation.on_calendar, expectation.every
    return *written, expectation.tz
