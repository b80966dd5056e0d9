"""What groups that one thread writes to may show, going by the answers it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from compat.exposition_page import read_page
from pushed_kinds import Families, Series, shown_value
from random_history import Operation

from pushrelay.model import PUSH_EVIDENCE

CLOCK_ERROR = 1e-3
_NOT_BOOKED = ("cannot exist beside", "become the same once")


@dataclass(frozen=True)
class Held:
    """What a group holds; is_stale: by what its last push said."""

    families: Families
    is_stale: bool = False

    def may_show(self, seen: frozenset[Series] | None) -> bool:
        """Whether a scrape may show just this; one that comes early shows also what is
        about to go stale."""
        everything = frozenset[Series]().union(*self.families.values())
        return seen == everything or (self.is_stale and seen == frozenset())


@dataclass
class Event:
    """An operation and what came of it; times in Unix seconds."""

    operation: Operation
    began: float
    ended: float = inf
    status: int = 0
    text: str = ""

    @property
    def is_booked(self) -> bool:
        """Whether it was refused in a way that its group remembers."""
        return self.text.startswith("pushed metrics are invalid") and not any(
            words in self.text for words in _NOT_BOOKED
        )

    def applied_to(self, held: Held | None) -> Held | None:
        """Return what a group that is `held` is after it; None is no group."""
        operation = self.operation
        if operation.is_wipe or operation.method == "DELETE":
            return None
        if self.status != 200:
            return held or Held({}) if self.is_booked else held
        kept = held.families if held and operation.method == "POST" else {}
        return Held({**kept, **operation.families}, operation.is_stale)


@dataclass(frozen=True)
class Scrape:
    """A page in the text format with UTF-8 names: its samples by job, the times of
    pushes apart, by job and name."""

    began: float
    ended: float
    series: dict[str, frozenset[Series]]
    pushed_at: dict[tuple[str, str], float]

    @staticmethod
    def of(page: str, began: float, ended: float) -> Scrape:
        """Return a page that was asked for at `began`; it must be well-formed."""
        series: dict[str, set[Series]] = {}
        pushed_at = {}
        for sample in read_page(page):
            job = dict(sample.labels).get("job")
            if job is None or sample.name == "pushrelay_pushes_rejected_total":
                continue
            held = series.setdefault(job, set())
            if sample.name in PUSH_EVIDENCE:
                pushed_at[job, sample.name] = float(sample.value)
            elif not sample.name.startswith("pushrelay_"):
                held.add((sample.name, sample.labels, shown_value(sample.value)))
        frozen = {job: frozenset(held) for job, held in series.items()}
        return Scrape(began, ended, frozen, pushed_at)


class OwnedGroup:
    """The one group of `job`. It does not exist at first."""

    def __init__(self, job: str) -> None:
        self.job = job
        self._held: Held | None = None
        self._accepted: Event | None = None
        self._refused: Event | None = None

    def check(
        self, events: list[Event], wipe: Event | None, scrapes: Sequence[Scrape]
    ) -> None:
        """Check what was shown during `events` of the one thread, and a wipe that
        another one asked for; the last of `scrapes` came after them all."""
        histories = list(_histories(self._held, events, wipe))
        for scrape in scrapes:
            seen = scrape.series.get(self.job)
            fitting = [moments for moments in histories if _fits(moments, seen, scrape)]
            assert fitting, (
                f"{self.job} shows, between {scrape.began} and {scrape.ended},\n"
                f"{_readable(seen)}\nbut it was, one after the other,\n"
                + "\n".join(map(str, histories[0]))
            )
        self._held = fitting[0][-1].held
        if wipe or any(event.operation.method == "DELETE" for event in events):
            # When exactly its times were forgotten is another test's business.
            self._accepted = self._refused = None
            return
        for event in events:
            if event.status == 200:
                self._accepted = event
            elif event.is_booked:
                self._refused = event
        self._check_times(scrapes[-1])

    def _check_times(self, scrape: Scrape) -> None:
        expected = zip(PUSH_EVIDENCE, (self._refused, self._accepted), strict=True)
        for name, event in expected:
            if event is not None:
                at = scrape.pushed_at[self.job, name]
                assert event.began - CLOCK_ERROR <= at <= event.ended + CLOCK_ERROR, (
                    f"{name} of {self.job} is {at}, but it was {event}"
                )


@dataclass(frozen=True)
class _Moment:
    """What a group holds after an event."""

    held: Held | None
    began: float
    ended: float

    def may_show(self, seen: frozenset[Series] | None) -> bool:
        return seen is None if self.held is None else self.held.may_show(seen)

    def __str__(self) -> str:
        return f"from {self.began} to {self.ended}: {self.held}"


def _histories(
    held: Held | None, events: list[Event], wipe: Event | None
) -> Iterator[list[_Moment]]:
    """Yield what a group that holds `held` may have gone through: nobody knows where
    the wipe stands among what was asked for at the same time."""
    for place in range(len(events) + 1 if wipe else 1):
        order = list(events)
        if wipe is not None:
            order.insert(place, wipe)
        if any(later.ended < earlier.began for earlier, later in pairwise(order)):
            continue
        moments = [_Moment(held, -inf, -inf)]
        for event in order:
            after = event.applied_to(moments[-1].held)
            moments.append(_Moment(after, event.began, event.ended))
        yield moments


def _fits(
    moments: list[_Moment], seen: frozenset[Series] | None, scrape: Scrape
) -> bool:
    """Whether `scrape` may show `seen`: the outcome of what was answered before, or of
    anything that was under way."""
    ends = [*(moment.ended for moment in moments[1:]), inf]
    return any(
        moment.began <= scrape.ended and end >= scrape.began and moment.may_show(seen)
        for moment, end in zip(moments, ends, strict=True)
    )


def _readable(series: frozenset[Series] | None) -> str:
    return "no group" if series is None else str(sorted(series))
