"""Groups as they are kept: what was pushed under one grouping key.

Jobs push the same families again and again, and many jobs push alike; only values
change. So what a family is apart from its series (its shape) and which families a
group has (its layout) exist once in memory, however many groups share them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from weakref import WeakValueDictionary

from pushrelay.freshness import Standing, Times
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import MetricType


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class FamilyShape:
    """What a stored family is apart from its series; made by `of`, compared by
    identity.

    size: how many metrics it has.
    pushed_order: positions in exposition order of the metrics as they were pushed;
        None where the two orders are the same.
    utf8_names: whether a name in it is outside of the legacy character set, so that
        scrapes must escape it.
    label_names: the distinct sequences of label names of its metrics.
    """

    name: str
    type: MetricType
    help: str
    size: int
    pushed_order: tuple[int, ...] | None
    utf8_names: bool
    label_names: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(
        name: str,
        type_: MetricType,
        help_: str = "",
        *,
        size: int = 1,
        pushed_order: tuple[int, ...] | None = None,
        utf8_names: bool = False,
        label_names: tuple[tuple[str, ...], ...] = (),
    ) -> FamilyShape:
        """Return the one shape that is this; two threads may at worst make two."""
        fields = (name, type_, help_, size, pushed_order, utf8_names, label_names)
        shape = _shapes.get(fields)
        if shape is None:
            shape = _shapes[fields] = FamilyShape(*fields)
        return shape


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Layout:
    """The families of a group, in the order they were pushed; made by `of`, compared
    by identity.

    index: position in `families` by name. size: how many metrics they have.
    """

    families: tuple[FamilyShape, ...]
    index: dict[str, int]
    size: int

    @staticmethod
    def of(families: tuple[FamilyShape, ...]) -> Layout:
        """Return the one layout of `families`; two threads may at worst make two."""
        layout = _layouts.get(families)
        if layout is None:
            index = {family.name: at for at, family in enumerate(families)}
            size = sum([family.size for family in families])
            layout = _layouts[families] = Layout(families, index, size)
        return layout


_shapes: WeakValueDictionary[tuple[object, ...], FamilyShape] = WeakValueDictionary()
_layouts: WeakValueDictionary[tuple[FamilyShape, ...], Layout] = WeakValueDictionary()


@dataclass(frozen=True, slots=True, eq=False)
class StoredFamily:
    """A family as a group keeps it.

    pushed_at: time of the push that wrote it, Unix nanoseconds.
    series: its lines in the text format, UTF-8, labels in place, names quoted where
        they need it, metrics in exposition order; without HELP and TYPE lines.
    message: the encoded `io.prometheus.client.MetricFamily`, kept only where `series`
        cannot give the family back; its metrics are in exposition order.
    """

    shape: FamilyShape
    pushed_at: int
    series: bytes
    message: bytes | None = None

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def type(self) -> MetricType:
        return self.shape.type

    @property
    def help(self) -> str:
        return self.shape.help

    @property
    def size(self) -> int:
        return self.shape.size


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Payload:
    """The families of a group; immutable.

    text: the series of all families, one after the other.
    bounds: where in `text` each family begins, and the end of the last.
    pushed_at: time of the push that wrote all of them, or of each that wrote one,
        Unix nanoseconds.
    messages: as in StoredFamily, None where no family has one.
    likeness: two payloads of one group have the same series, and only other values, if
        this is the same object in both; None says nothing. Running totals are compared
        with running totals only.
    """

    layout: Layout
    text: bytes
    bounds: array[int]
    pushed_at: int | tuple[int, ...]
    messages: tuple[bytes | None, ...] | None = None
    likeness: object | None = None

    @staticmethod
    def of(families: Iterable[StoredFamily]) -> Payload:
        """Return the payload of `families`, which have different names."""
        held = list(families)
        series = [family.series for family in held]
        times = {family.pushed_at for family in held}
        messages = tuple([family.message for family in held])
        return Payload(
            Layout.of(tuple([family.shape for family in held])),
            b"".join(series),
            bounds_of(series),
            times.pop() if len(times) == 1 else tuple([f.pushed_at for f in held]),
            messages if any(m is not None for m in messages) else None,
        )

    def get(self, name: str) -> StoredFamily | None:
        """Return the family `name` if there is one."""
        at = self.layout.index.get(name)
        return None if at is None else self.family(at)

    def family(self, at: int) -> StoredFamily:
        """Return the family at a position of the layout."""
        times = self.pushed_at
        return StoredFamily(
            self.layout.families[at],
            times if isinstance(times, int) else times[at],
            self.text[self.bounds[at] : self.bounds[at + 1]],
            None if self.messages is None else self.messages[at],
        )

    @property
    def bytes(self) -> int:
        """How many bytes its text and its messages have."""
        if self.messages is None:
            return len(self.text)
        return len(self.text) + sum(map(len, filter(None, self.messages)))

    def or_none(self) -> Payload | None:
        """Return the same payload, or None if it has no families."""
        return self if self.layout.families else None

    def families(self) -> Iterator[StoredFamily]:
        """Yield all families in the order they were pushed."""
        return map(self.family, range(len(self.layout.families)))


def bounds_of(parts: Iterable[bytes]) -> array[int]:
    """Return where each of `parts` begins once they are joined, and the end."""
    return array("I", accumulate(map(len, parts), initial=0))


_NOTHING: frozenset[str] = frozenset()

EMPTY = Payload.of(())
"""What a group holds of which only refused pushes are known."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """All that is kept under one grouping key; immutable, compared by identity.

    pushed_at, failed_at: time of the last accepted and of the last refused push,
        Unix nanoseconds; 0 means never.
    created_at: time of the push, accepted or refused, that made the group.
    stale_after: what the last accepted push said of it, nanoseconds.
    standing: the state of a group that has a policy, as the view knows it.
    running_totals: the counters, summaries and histograms that were pushed last in mode
        accumulate, as they were pushed; None if there are none. Nobody is shown them.
    """

    key: GroupingKey
    revision: int
    pushed_at: int
    failed_at: int
    payload: Payload
    created_at: int = 0
    stale_after: int | None = None
    standing: Standing | None = None
    running_totals: Payload | None = None

    @property
    def times(self) -> Times:
        """What its state follows from."""
        at = self.payload.pushed_at
        families = self.payload.layout.families
        each = (at,) * len(families) if isinstance(at, int) else at
        return Times(
            self.created_at,
            self.pushed_at,
            self.failed_at,
            tuple([(f.name, f.type, t) for f, t in zip(families, each, strict=True)]),
        )

    @property
    def last_sign_of_life(self) -> int:
        """As of its times."""
        times = Times(self.created_at, self.pushed_at, self.failed_at, ())
        return times.last_sign_of_life

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody shall see it any more."""
        return self.standing is not None and self.standing.is_forgotten

    @property
    def is_stale(self) -> bool:
        """Whether no family of it is fresh."""
        return self.standing is not None and self.standing.is_stale

    def with_standing(self, standing: Standing | None) -> Group:
        """Return the same group with another standing."""
        return Group(
            self.key,
            self.revision,
            self.pushed_at,
            self.failed_at,
            self.payload,
            self.created_at,
            self.stale_after,
            standing,
            self.running_totals,
        )

    @property
    def withheld(self) -> frozenset[str]:
        """The names of the families that scrapes do not show."""
        return _NOTHING if self.standing is None else self.standing.withheld

    @property
    def families(self) -> dict[str, StoredFamily]:
        """The families by name, in the order they were pushed."""
        return {family.name: family for family in self.payload.families()}

    @property
    def last_push_successful(self) -> bool:
        """Whether no push was refused since the last accepted one."""
        return self.failed_at <= self.pushed_at


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What is known of a job whose groups come and go; immutable.

    key: has no label but the job. pushed_at: time of the last accepted push to any of
    its groups, those that are no more included; Unix nanoseconds. groups: how many it
    has.
    """

    key: GroupingKey
    pushed_at: int
    groups: int
    payload: Payload = EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class RunPage:
    """What is shown of the runs with a key, or of what is expected of a job; immutable.

    payload: the families, ready to be shown.
    """

    key: GroupingKey
    payload: Payload
    pushed_at: int = 0

    @property
    def withheld(self) -> frozenset[str]:
        """Nothing ever is."""
        return _NOTHING


Holder = Group | Job | RunPage
"""Who has evidence."""
