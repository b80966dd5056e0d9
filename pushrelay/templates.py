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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from operator import itemgetter

from pushrelay.exposition.floats import format_float
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Layout, Payload, bounds_of
from pushrelay.model import HISTOGRAMS, Labels, MetricType
from pushrelay.quoting import quote_label

Values = list[str]
Skeleton = tuple[str, ...]
Names = tuple[str, ...]
ReadMarked = Callable[[bytes, GroupingKey], Payload | None]
"""Reads a body as if it were pushed; None if it is refused."""

_MARK = re.compile(" ([0-9]{6})\n|\x00([0-9]+)\x00")
_FAMILY_END = "\x01"
_LABEL_MARK = "\x00"
_FIRST_MARKS = (100_000, 500_000)
"""Marks are whole numbers of six digits: they are printed as they are read. What does
not change from one kind of marks to the other is no value."""

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


def make_template(
    skeleton: Skeleton, names: Names, read_marked: ReadMarked
) -> Template | None:
    """Return the template of `skeleton` for keys with these label names, if it can have
    one."""
    values = len(skeleton) - 1
    if not values or any(
        _LABEL_MARK in part or _FAMILY_END in part for part in skeleton
    ):
        return None
    results = []
    for first in _FIRST_MARKS:
        payload = read_marked(*_marked(skeleton, first, names))
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


def _marked(skeleton: Skeleton, first: int, names: Names) -> tuple[bytes, GroupingKey]:
    """Return a body and a grouping key with marks in them."""
    labels = {name: f"{_LABEL_MARK}{at}{_LABEL_MARK}" for at, name in enumerate(names)}
    marks = [f" {first + at}\n" for at in range(len(skeleton) - 1)]
    body = "".join(chain(*zip(skeleton, marks, strict=False), skeleton[-1:]))
    return body.encode(), GroupingKey.of(labels)


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
