"""Reads the usual label sets of the text format: `name="value"` between commas, no
blanks and no escapes.

Label sets with the same names differ only in what is between their quotes. So the rest
is checked once, and of later label sets it is only compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import nan

from pushrelay.exposition.floats import parse_float
from pushrelay.exposition.labels import Pair, Plan
from pushrelay.model import Labels

_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*+)=""'
_NAME = re.compile(_LABEL)
# A label set without what is between its quotes.
_FRAME = re.compile(f"(?:{_LABEL}(?:,{_LABEL})*+,?}})?")
# Longer label texts are neither common nor worth remembering.
_LONGEST = 1024
_REMEMBERED = 4096


PlanFor = Callable[[list[str]], Plan]
"""Gives what puts labels with these names in place, as `LabelPlacer.plan` does."""


class UnusualLabels(ValueError):
    """A label text that needs the careful scanner."""


class LabelTexts(dict[str, Labels]):
    """The labels that label texts stand for, as their plans make them of their pairs.

    A text is what follows `{` in a line, up to and with `}`; it is empty for no labels
    at all. The last ones are remembered, for families often share them.

    longest: how many characters a text may have and still all its values be short
    enough. Raises UnusualLabels, and what `plan_for` raises.
    """

    def __init__(self, plan_for: PlanFor, longest: int) -> None:
        self._plan_for = plan_for
        self._longest = min(longest, _LONGEST)
        self._frames: dict[tuple[str, ...], tuple[list[str], Plan]] = {}

    def __missing__(self, text: str) -> Labels:
        if len(text) > self._longest or "\\" in text:
            raise UnusualLabels
        pieces = text.split('"')
        values = pieces[1::2]
        frame = tuple(pieces[::2])
        names, plan = self._frames.get(frame) or self._new_frame(frame)
        # With an odd number of quotes there is something behind the frame.
        if len(values) != len(names):
            raise UnusualLabels
        if len(self) >= _REMEMBERED:
            self.clear()
        labels = self[text] = plan(zip(names, values))  # noqa: B905  # just compared
        return labels

    def _new_frame(self, frame: tuple[str, ...]) -> tuple[list[str], Plan]:
        text = '""'.join(frame)
        if not _FRAME.fullmatch(text):
            raise UnusualLabels
        names = _NAME.findall(text)
        if len(set(names)) < len(names) or "__name__" in names:
            raise UnusualLabels
        if len(self._frames) >= _REMEMBERED:
            self._frames.clear()
        known = self._frames[frame] = names, self._plan_for(names)
        return known


class BoundLabelTexts:
    """Takes apart label texts of families with the bound label `name`."""

    def __init__(self, name: str, longest: int) -> None:
        def plan_for(names: list[str]) -> Plan:
            if name in names:
                raise UnusualLabels  # twice, or in an unusual place
            return sorted_labels

        self._first = f'{name}="'
        self._later = f',{name}="'
        self._others = LabelTexts(plan_for, longest)

    def split(self, text: str) -> tuple[Labels, float]:
        """Return the other labels, sorted, and the value of the bound label, which is
        NaN if it is not there. Raises ValueError for an unusual text."""
        if len(text) > _LONGEST:
            raise UnusualLabels
        before, found, rest = text.rpartition(self._later)
        if found:
            if not before.endswith('"'):
                raise UnusualLabels  # a comma too many
            written, _, after = rest.partition('"')
        elif text.startswith(self._first):
            written, _, after = text[len(self._first) :].partition('"')
            after = _without_comma(after)
        else:
            return self._others[text], nan
        return self._others[before + after], _parse_bound(written)


def _without_comma(text: str) -> str:
    """Return the label text of which the first label was cut off."""
    if text == "}":
        return ""
    if text.startswith(",") and text != ",":
        return text[1:]
    raise UnusualLabels


# Bounds are few, and the same in one push after the other.
_parse_bound = lru_cache(maxsize=1024)(parse_float)


def sorted_labels(pairs: Iterable[Pair]) -> Labels:
    """Return labels as they are, but sorted."""
    return tuple(sorted(pairs))
