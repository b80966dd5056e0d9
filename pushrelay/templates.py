"""Templates of pushes: jobs push the same series again and again with other values.

A body is split into its values and all else, its skeleton. What becomes of a skeleton
is found out once, by reading it whole with marks in the place of the values and of the
grouping labels; from then on, a push with that skeleton is the marked result with the
marks filled in. So parsing, placing labels, checking and rendering cost nothing for
what does not change, and there is no second way to do any of it.

A template is made only where that is sure to give the same as reading the body whole:
the values stand for themselves, each in one place of the result, and their number
decides nothing (a negative count or a minus zero does, and is read whole).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from operator import itemgetter
from sys import getsizeof

from cachetools import LRUCache

from pushrelay.exposition.floats import format_float
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Layout, Payload, bounds_of
from pushrelay.model import HISTOGRAMS, Labels, MetricType
from pushrelay.quoting import quote_label

MEMO_BYTES = 32 * 1024 * 1024
"""What all templates may take together, about."""

LARGEST_BODY = 1024 * 1024
"""Larger bodies are rare, and splitting them would hold up all other threads."""

LARGEST_LABELS = 8 * 1024 * 1024
"""What the grouping labels may take in all lines of a push. With long ones on many
lines, even making a template would take far longer than reading a small body."""

SEEN = 4096
"""Skeletons that came once are remembered by their hash, so many at a time."""

Values = list[str]
Skeleton = tuple[str, ...]
Names = tuple[str, ...]
ReadMarked = Callable[[bytes, GroupingKey], Payload | None]
"""Reads a body as if it were pushed; None if it is refused."""

_VALUE = re.compile(r" ([-+.0-9eE]+)\n")
_MARK = re.compile(" ([0-9]{6})\n|\x00([0-9]+)\x00")
_FAMILY_END = "\x01"
_LABEL_MARK = "\x00"
_FIRST_MARKS = (100_000, 500_000)
"""Marks are whole numbers of six digits: they are printed as they are read. What does
not change from one kind of marks to the other is no value."""

_FAMILY_BYTES = 700
"""What a family with a short name takes in a layout, about."""

_LONGEST_COUNT = 15
"""Digits of a count up to which it is surely exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What becomes of the pushes with one skeleton to keys with the same label names.

    text: the series of `layout`, with `%s` for each value and each grouping label.
    lines: how many `text` has, which may be more or fewer than the body.
    pick: takes what is filled in, in that order, from the body's values with the labels
    behind them. counts: positions in the body of values that count something.
    """

    layout: Layout
    text: str
    lines: int
    pick: Callable[[Values], tuple[str, ...]]
    counts: tuple[int, ...]
    likeness: object

    def fill(self, values: Values, labels: Labels, now: int) -> Payload | None:
        """Return the payload of a body with `values`, pushed at `now` to the group with
        these grouping labels.

        None where it must be read whole. Raises ValueError for what is no number.
        """
        numbers = list(map(float, values))
        if not _stand_for_themselves(values, numbers, self.counts):
            return None
        shown = list(map(format_float, numbers))
        for _, value in labels:
            if _FAMILY_END in value:
                return None
            shown.append(quote_label(value)[1:-1])
        series = (self.text % self.pick(shown)).encode().split(_FAMILY_END.encode())
        return Payload(
            self.layout,
            b"".join(series),
            bounds_of(series),
            now,
            likeness=self.likeness,
        )


class Templates:
    """The templates of the latest pushes, in limited memory. For any thread.

    largest_labels: as LARGEST_LABELS, if less.
    """

    def __init__(
        self, read_marked: ReadMarked, largest_labels: int = LARGEST_LABELS
    ) -> None:
        self._read_marked = read_marked
        self._largest_labels = min(LARGEST_LABELS, largest_labels)
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._kept: LRUCache[object, tuple[Template | None, int]]
        self._kept = LRUCache(MEMO_BYTES, getsizeof=itemgetter(1))

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        return int(self._kept.currsize)

    @property
    def seen(self) -> int:
        """How many skeletons it knows that came once."""
        return len(self._seen)

    def fill(self, body: bytes, key: GroupingKey, now: int) -> Payload | None:
        """Return the payload of `body`, pushed to `key` at `now`.

        None where the body must be read whole, which also tells what is wrong with it.
        """
        labels, label_bytes = key.labels, len(key.canonical)
        template, values = self._find(body, labels, label_bytes)
        if template is None or template.lines * label_bytes > self._largest_labels:
            return None
        try:
            return template.fill(values, labels, now)
        except ValueError:
            return None

    def _find(
        self, body: bytes, labels: Labels, label_bytes: int
    ) -> tuple[Template | None, Values]:
        """Return the template of `body`, made if it comes for the second time, and the
        values to fill it with."""
        if (
            len(body) > LARGEST_BODY
            or body.count(b"\n") * label_bytes > self._largest_labels
        ):
            return None, []
        try:
            parts = _VALUE.split(body.decode())
        except UnicodeDecodeError:
            return None, []
        names = tuple([name for name, _ in labels])
        skeleton = tuple(parts[::2])
        identity = (names, skeleton)
        with self._lock:
            kept = self._kept.get(identity)
            if kept is None and not self._came_before(hash(identity)):
                return None, []
        if kept is None:
            kept = _sized(names, skeleton, self._make(skeleton, names))
            with self._lock:
                if kept[1] <= MEMO_BYTES:
                    self._kept[identity] = kept
        return kept[0], parts[1::2]

    def _came_before(self, hashed: int) -> bool:
        if hashed in self._seen:
            return True
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen.add(hashed)
        return False

    def _make(self, skeleton: Skeleton, names: Names) -> Template | None:
        """Return the template of `skeleton` for keys with these label names."""
        values = len(skeleton) - 1
        if not values or any(
            _LABEL_MARK in part or _FAMILY_END in part for part in skeleton
        ):
            return None
        results = []
        for first in _FIRST_MARKS:
            payload = self._read(skeleton, first, names)
            if payload is None or not _is_plain(payload):
                return None
            results.append((payload.layout, *_unmarked(payload, first, values)))
        layout, text, order = results[0]
        of_values = [place for place in order if place < values]
        if results[0] != results[1] or sorted(of_values) != list(range(values)):
            return None
        return Template(
            layout,
            text,
            text.count("\n"),
            # There is a `job` beside a value, so that it gives a tuple.
            itemgetter(*order),
            tuple(_counts(layout, text, of_values)),
            object(),
        )

    def _read(self, skeleton: Skeleton, first: int, names: Names) -> Payload | None:
        marked_key = GroupingKey.of(dict(zip(names, _marks(), strict=False)))
        marks = [f" {first + at}\n" for at in range(len(skeleton) - 1)]
        body = "".join(chain(*zip(skeleton, marks, strict=False), skeleton[-1:]))
        return self._read_marked(body.encode(), marked_key)


def _marks() -> Iterator[str]:
    """Yield what stands for the values of grouping labels."""
    at = 0
    while True:
        yield f"{_LABEL_MARK}{at}{_LABEL_MARK}"
        at += 1


def _is_plain(payload: Payload) -> bool:
    """Whether all of `payload` is in its text, and in an order that the values of
    grouping labels do not decide."""
    return payload.messages is None and all(
        len(family.label_names) == 1 and not family.utf8_names
        for family in payload.layout.families
    )


def _unmarked(payload: Payload, first: int, values: int) -> tuple[str, list[int]]:
    """Return the text with `%s` for marks, and which value each of them is, or label
    behind so many values."""
    order = []
    # Each number once: labels come again in every line.
    places: dict[int, int] = {}

    def place(mark: re.Match[str]) -> str:
        value, label = mark.groups()
        number = int(value) - first if value else values + int(label)
        order.append(places.setdefault(number, number))
        return " %s\n" if value else "%s"

    series = [family.series.decode() for family in payload.families()]
    text = _FAMILY_END.join(series).replace("%", "%%")
    return _MARK.sub(place, text), order


def _counts(layout: Layout, text: str, order: Sequence[int]) -> Iterator[int]:
    """Yield the positions in the body of values that count something."""
    at = iter(order)
    for family, series in zip(layout.families, text.split(_FAMILY_END), strict=True):
        prefixes = tuple(f"{family.name}{suffix}{{" for suffix in _suffixes(family))
        for line in series.split("\n")[:-1]:
            position = next(at) if line.endswith(" %s") else None
            if position is not None and line.startswith(prefixes):
                yield position


def _suffixes(family: FamilyShape) -> tuple[str, ...]:
    """The suffixes of lines that count something."""
    if family.type in HISTOGRAMS:
        return ("_bucket", "_count")
    return ("_count",) if family.type is MetricType.SUMMARY else ()


def _stand_for_themselves(
    values: Values, numbers: list[float], counts: tuple[int, ...]
) -> bool:
    """Whether nothing but how they are printed depends on the values."""
    if inf in numbers or -inf in numbers:
        return False
    if 0.0 in numbers and any(
        number == 0 and value.startswith("-")
        for value, number in zip(values, numbers, strict=True)
    ):
        return False
    for position in counts:
        value = values[position]
        if not value.isdigit() or len(value) > _LONGEST_COUNT:
            return False
    return True


def _sized(
    names: Names, skeleton: Skeleton, template: Template | None
) -> tuple[Template | None, int]:
    """Return `template` with about how many bytes it takes to keep it; None in place of
    one that takes too much, or else it would be made for each push."""
    parts = sum([getsizeof(part) + 8 for part in (*names, *skeleton)])
    if template is None:
        return None, parts
    numbers = 36 * len(skeleton) + 8 * (
        template.text.count("%s") + len(template.counts)
    )
    families = _FAMILY_BYTES * len(template.layout.families)
    size = parts + getsizeof(template.text) + numbers + families
    return (template, size) if size <= MEMO_BYTES else (None, parts)
