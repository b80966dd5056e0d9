"""What the lines of a text body add up to: families under construction.

Summaries and histograms are spread over several lines in the text format; here their
lines are joined into one metric, by the rules of the Pushgateway's parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from math import isnan

from pushrelay.errors import LimitExceeded
from pushrelay.exposition.text_cursor import LineError, shown
from pushrelay.model import (
    BOUND_LABELS,
    HISTOGRAMS,
    Histogram,
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
)

_TYPES = {type_.name: type_ for type_ in MetricType}
_TYPES["GAUGEHISTOGRAM"] = MetricType.GAUGE_HISTOGRAM


class Role(Enum):
    """What a line says about a summary or histogram; VALUE is also the one role of a
    line of any other family."""

    VALUE = auto()
    SUM = auto()
    COUNT = auto()


# Most lines have it, and members of an Enum are slow to find.
_VALUE = Role.VALUE
_ROLES = {"count": Role.COUNT, "sum": Role.SUM, "bucket": Role.VALUE}


@dataclass(slots=True)
class OpenFamily:
    """A family of which more lines may follow.

    settled: whether its type is beyond change.
    bound_label: the label that is part of the value: `le`, `quantile` or none.
    joined: the values of a summary or histogram by the labels of their lines, sorted
        and without the bound label.
    """

    name: str
    type: MetricType = MetricType.UNTYPED
    settled: bool = False
    help: str | None = None
    metrics: list[Metric] = field(default_factory=list)
    timestamped: bool = False
    bound_label: str | None = None
    has_float_counts: bool = False
    joined: dict[Labels, Summary | Histogram] = field(default_factory=dict)

    def declare(self, type_: MetricType) -> None:
        """Settle the type."""
        self.type = type_
        self.settled = True
        self.bound_label = BOUND_LABELS.get(type_)

    def close(self) -> MetricFamily:
        """Return the family as it was read."""
        if self.has_float_counts:
            for metric in self.metrics:
                _unify_counts(metric.value)
        return MetricFamily(
            self.name, self.type, self.help or "", self.metrics, self.timestamped
        )

    def observe(
        self, state: Summary | Histogram, role: Role, bound: float, value: float
    ) -> None:
        """Take over a line of the summary or histogram `state`.

        Raises LineError for a negative count of a histogram.
        """
        if isinstance(state, Summary):
            _observe_summary(state, role, bound, value)
        elif role is _VALUE:
            if not isnan(bound):
                count = self._histogram_count(value, "bucket population")
                state.buckets.append((bound, count))
        elif role is Role.SUM:
            state.sample_sum = value
        else:
            state.sample_count = self._histogram_count(value, "count")

    def _histogram_count(self, value: float, what: str) -> int | float:
        if 0 <= value < 2**64 and value.is_integer():
            return int(value)
        if value < 0:
            raise LineError(f"negative {what} for histogram {shown(self.name)}")
        self.has_float_counts = True
        return value


class Families:
    """The families of a body in order of first appearance.

    At most `limit` series, and as many families: those without a series take memory
    too until the body has been read. `place` puts the labels of a new series in place.
    """

    def __init__(self, limit: int, place: Callable[[Labels], Labels]) -> None:
        self._by_name: dict[str, OpenFamily] = {}
        self._limit = limit
        self._left = limit
        self._place = place

    def numbered(self, lines: list[str], first: int) -> Iterator[tuple[int, str]]:
        """Number `lines` as they are read."""
        return enumerate(lines, first)

    def find(self, name: str) -> tuple[OpenFamily, Role]:
        """Return what `name` stands for, a new family if for nothing yet.

        `x_sum` and the like belong to a summary or histogram `x` only if that was
        declared before and no family has the full name. Raises LimitExceeded.
        """
        family = self._by_name.get(name)
        if family is not None:
            return family, _VALUE
        owner = self._owner(name)
        if owner is not None:
            return owner
        if len(self._by_name) == self._limit:
            raise self._exceeded("families")
        family = self._by_name[name] = OpenFamily(name)
        return family, _VALUE

    def _owner(self, name: str) -> tuple[OpenFamily, Role] | None:
        if name.endswith(("_count", "_sum", "_bucket")):
            stem, _, suffix = name.rpartition("_")
            owner = self._by_name.get(stem)
            if owner is not None and _owns(owner.type, suffix):
                return owner, _ROLES[suffix]
        return None

    def find_sampled(self, name: str) -> tuple[OpenFamily, Role]:
        """Like `find`, for a line with a value, which settles the type."""
        family, role = self.find(name)
        family.settled = True
        return family, role

    def observe(
        self,
        family: OpenFamily,
        role: Role,
        pushed: Labels,
        bound: float,
        value: float,
    ) -> None:
        """Take over a line of `family`, whose type must be settled.

        pushed: its labels without the bound label, sorted.

        Raises LineError for a negative count of a histogram, LimitExceeded, and what
        `place` raises.
        """
        if family.bound_label is None:
            self.append(family, Metric(self._place(pushed), value))
        else:
            state = family.joined.get(pushed) or self.begin(family, pushed)
            family.observe(state, role, bound, value)

    def begin(self, family: OpenFamily, pushed: Labels) -> Summary | Histogram:
        """Add a metric to a family of summaries or histograms; return its value.

        Raises LimitExceeded, and what `place` raises.
        """
        is_summary = family.type is MetricType.SUMMARY
        state = family.joined[pushed] = Summary() if is_summary else Histogram()
        self.append(family, Metric(self._place(pushed), state))
        return state

    def append(self, family: OpenFamily, metric: Metric) -> None:
        """Add a metric to `family`; raises LimitExceeded."""
        self._left -= 1
        if self._left < 0:
            raise self._exceeded("series")
        family.metrics.append(metric)

    def note_timestamp(self, family: OpenFamily) -> None:
        """Note that a line of `family` has a timestamp."""
        family.timestamped = True

    def _exceeded(self, what: str) -> LimitExceeded:
        return LimitExceeded(
            "series", f"the body has more than the limit of {self._limit} {what}"
        )

    def close(self) -> list[MetricFamily]:
        """Return all families that have metrics."""
        return [family.close() for family in self._by_name.values() if family.metrics]


def type_of_word(word: str) -> MetricType | None:
    """Return the type that a TYPE line names with `word`, in any case of letters."""
    return _TYPES.get(word.upper())


def _owns(type_: MetricType, suffix: str) -> bool:
    return type_ in HISTOGRAMS or (type_ is MetricType.SUMMARY and suffix != "bucket")


def _observe_summary(summary: Summary, role: Role, bound: float, value: float) -> None:
    if role is Role.SUM:
        summary.sample_sum = value
    elif role is Role.COUNT:
        summary.sample_count = _as_uint64(value)
    elif not isnan(bound):
        summary.quantiles.append((bound, value))


def _as_uint64(value: float) -> int:
    """Convert as Go does on amd64: cut off the fraction, wrap a negative number around;
    2**63 stands for all that has no such integer (NaN, infinities, too large)."""
    if -(2**63) <= value < 2**64:
        return int(value) % 2**64
    return 2**63


def _unify_counts(value: object) -> None:
    """Make all counts of a histogram floats if one of them is."""
    if not isinstance(value, Histogram):
        return
    counts = [value.sample_count, *(count for _, count in value.buckets)]
    if any(isinstance(count, float) for count in counts):
        value.sample_count = float(value.sample_count)
        value.buckets = [(bound, float(count)) for bound, count in value.buckets]
