"""The parser of the text format 0.0.4, with the verdicts of the Pushgateway's.

Usual lines (`name{label="value"} 1`, `# TYPE name gauge`) are read by short ways; all
others, wrong ones included, go to the careful scanner of `text_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import nan
from typing import TypeVar

from pushrelay.config import Limits
from pushrelay.errors import ParseError
from pushrelay.exposition.floats import parse_float
from pushrelay.exposition.labels import place_labels
from pushrelay.exposition.text_cursor import LineError
from pushrelay.exposition.text_families import (
    Families,
    LabelSet,
    OpenFamily,
    Role,
    type_of_word,
)
from pushrelay.exposition.text_lines import LineScanner, Sample
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import (
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    is_legacy_metric_name,
)

Place = Callable[[list[tuple[str, str]]], Labels]
_LabelSets = dict[str, LabelSet]
_K = TypeVar("_K")
_V = TypeVar("_V")

_USUAL_COMMENT = re.compile(
    r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*+) "
    r"([^ \t\\\udc80-\udcff][^\\\udc80-\udcff]*+)"
)
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*+)="([^"\\\udc80-\udcff]*+)"'
_USUAL_LABEL = re.compile(_LABEL)
_USUAL_LABELS = re.compile(r"\{" + _LABEL + "(?:," + _LABEL + r")*+,?\}")
# Longer label texts are neither common nor worth remembering.
_USUAL_LABELS_LENGTH = 1024
_REMEMBERED = 4096


def parse_text(
    body: bytes, key: GroupingKey, limits: Limits, *, utf8_names: bool = False
) -> list[MetricFamily]:
    """Return the families of `body`, in order of first appearance, metrics as pushed.

    The labels of the group `key` are in place. Families without metrics are dropped.
    utf8_names: whether quoted names may be any UTF-8, instead of legacy names only.

    Raises ParseError with the Pushgateway's text, and LimitExceeded.
    """

    def place(pushed: list[tuple[str, str]]) -> Labels:
        return place_labels(pushed, key, limits)

    families = Families(limits.series)
    reader = _Reader(families, place, max_labels=limits.labels, utf8_names=utf8_names)
    reader.read(body)
    return families.close()


def parse_series(series: bytes, name: str, type_: MetricType) -> list[Metric]:
    """Return the metrics of the family `name` from lines that `render_series` made, in
    the order of the lines; labels are taken as they are."""
    families = Families(len(series) + 1)  # more than there can be
    family, _ = families.find(name)
    family.declare(type_)
    reader = _Reader(families, _sorted_labels, max_labels=len(series), utf8_names=True)
    reader.read(series)
    return family.close().metrics


class _Reader:
    """Reads the lines of one body into `families`."""

    def __init__(
        self, families: Families, place: Place, *, max_labels: int, utf8_names: bool
    ) -> None:
        self._families = families
        self._place = place
        self._max_labels = max_labels
        self._utf8_names = utf8_names
        self._subjects: dict[str, tuple[OpenFamily, Role, _LabelSets]] = {}
        self._label_sets: dict[str | None, _LabelSets] = {}
        self._placed: dict[Labels, Labels] = {}

    def read(self, body: bytes) -> None:
        """Read all lines; raises ParseError and LimitExceeded."""
        lines = body.decode(errors="surrogateescape").split("\n")
        unterminated = lines.pop()
        for number, line in enumerate(lines, 1):
            if not self._read_usual(line):
                self._read_carefully(number, line + "\n")
        self._read_carefully(len(lines) + 1, unterminated)

    def _read_usual(self, line: str) -> bool:
        """Read `line` if it is a usual one; return whether it was."""
        if line.startswith("#"):
            return self._read_usual_comment(line)
        if not line.strip(" \t"):
            return True
        series, _, written = line.rpartition(" ")
        name, brace, rest = series.partition("{")
        subject = self._subjects.get(name) or self._subject(name)
        if subject is None:
            return False
        family, role, label_sets = subject
        labels = label_sets.get(brace + rest)
        if labels is None:
            labels = self._usual_labels(brace + rest, family.bound_label)
            if labels is None:
                return False
            _remember(label_sets, brace + rest, labels)
        try:
            self._families.observe(family, role, labels, parse_float(written))
        except (ValueError, LineError):
            return False
        return True

    def _read_usual_comment(self, line: str) -> bool:
        match = _USUAL_COMMENT.fullmatch(line)
        if match is None:
            # Whatever else the line is, without these words it means nothing.
            return "HELP" not in line and "TYPE" not in line
        keyword, name, text = match.groups()
        family, _ = self._families.find(name)
        if keyword == "HELP" and family.help is None:
            family.help = text
            return True
        if keyword == "TYPE" and not family.settled:
            type_ = type_of_word(text)
            if type_ is not None:
                family.declare(type_)
                return True
        return False

    def _subject(self, name: str) -> tuple[OpenFamily, Role, _LabelSets] | None:
        """Return what the legacy `name` stands for on a line with a value."""
        if not is_legacy_metric_name(name):
            return None
        family, role = self._families.find_sampled(name)
        label_sets = self._label_sets.setdefault(family.bound_label, {})
        subject = self._subjects[name] = (family, role, label_sets)
        return subject

    def _usual_labels(self, text: str, bound_label: str | None) -> LabelSet | None:
        if not text:
            return self._label_set((), nan)
        if len(text) > _USUAL_LABELS_LENGTH:
            return None
        read = _read_usual_labels(text, bound_label)
        return self._label_set(*read) if read is not None else None

    def _label_set(self, pushed: Labels, bound: float) -> LabelSet:
        placed = self._placed.get(pushed)
        if placed is None:
            placed = self._place(list(pushed))
            _remember(self._placed, pushed, placed)
        return LabelSet(pushed, placed, bound)

    def _read_carefully(self, number: int, text: str) -> None:
        scanner = LineScanner(
            text,
            self._families,
            max_labels=self._max_labels,
            utf8_names=self._utf8_names,
        )
        try:
            sample = scanner.scan()
            if sample is not None:
                self._add(sample)
        except LineError as error:
            raise ParseError(number, str(error)) from None

    def _add(self, sample: Sample) -> None:
        pushed = _sorted_labels(sample.labels)
        labels = LabelSet(pushed, self._place(sample.labels), sample.bound)
        self._families.observe(sample.family, sample.role, labels, sample.value)
        if sample.timestamped:
            sample.family.timestamped = True


# Label texts come again with every push; this spares a sixth of a small one's time.
@lru_cache(maxsize=_REMEMBERED)
def _read_usual_labels(
    text: str, bound_label: str | None
) -> tuple[Labels, float] | None:
    """Return the labels without the bound label, sorted, and the bound; None if `text`
    is not a usual, legal label set."""
    if not _USUAL_LABELS.fullmatch(text):
        return None
    pairs = _USUAL_LABEL.findall(text)
    labels = dict(pairs)
    if len(labels) != len(pairs) or "__name__" in labels:
        return None
    written = labels.pop(bound_label, None) if bound_label else None
    try:
        bound = nan if written is None else parse_float(written)
    except ValueError:
        return None
    return tuple(sorted(labels.items())), bound


def _sorted_labels(pairs: list[tuple[str, str]]) -> Labels:
    return tuple(sorted(pairs))


def _remember(memo: dict[_K, _V], key: _K, value: _V) -> None:
    """Put into a memo of limited size."""
    if len(memo) >= _REMEMBERED:
        memo.clear()
    memo[key] = value
