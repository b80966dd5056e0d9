"""The parser of the text format 0.0.4, with the verdicts of the Pushgateway's.

Usual lines (`name{label="value"} 1`, `# TYPE name gauge`) are read by short ways; all
others, wrong ones included, go to the careful scanner of `text_lines`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pushrelay.config import Limits
from pushrelay.errors import ParseError
from pushrelay.exposition.floats import parse_float
from pushrelay.exposition.labels import LabelPlacer
from pushrelay.exposition.text_cursor import LineError
from pushrelay.exposition.text_families import (
    Families,
    OpenFamily,
    Role,
    type_of_word,
)
from pushrelay.exposition.text_labels import (
    BoundLabelTexts,
    LabelTexts,
    PlanFor,
    sorted_labels,
)
from pushrelay.exposition.text_lines import LineScanner, Sample
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import (
    Metric,
    MetricFamily,
    MetricType,
    is_legacy_metric_name,
)

# Pieces of a body: no call of C code should keep other threads waiting for long.
_BLOCK_BYTES = 64 * 1024
_BYTES_A_CHARACTER = 4

_Line = tuple[int, str]


def parse_text(
    body: bytes, key: GroupingKey | None, limits: Limits, *, utf8_names: bool = False
) -> list[MetricFamily]:
    """Return the families of `body`, in order of first appearance, metrics as pushed.

    The labels of the group `key`, if there is one, are in place. Families without
    metrics are dropped.
    utf8_names: whether quoted names may be any UTF-8, instead of legacy names only.

    Raises ParseError with the Pushgateway's text, and LimitExceeded.
    """
    placer = LabelPlacer(key, limits)
    families = Families(limits.series, placer.place)
    reader = TextReader(families, placer.plan, limits, utf8_names=utf8_names)
    reader.read(body)
    return families.close()


def parse_series(series: bytes, name: str, type_: MetricType) -> list[Metric]:
    """Return the metrics of the family `name` from lines that `render_series` made, in
    the order of the lines; labels are taken as they are."""
    most = len(series) + 1  # more than there can be
    families = Families(most, sorted_labels)
    family, _ = families.find(name)
    family.declare(type_)
    limits = Limits(labels=most, label_value_bytes=most * _BYTES_A_CHARACTER)
    reader = TextReader(families, lambda _names: sorted_labels, limits, utf8_names=True)
    reader.read(series)
    return family.close().metrics


class TextReader:
    """Reads the lines of one body into `families`; `plan_for` is as in LabelTexts."""

    def __init__(
        self,
        families: Families,
        plan_for: PlanFor,
        limits: Limits,
        *,
        utf8_names: bool,
    ) -> None:
        self._families = families
        self._max_labels = limits.labels
        self._utf8_names = utf8_names
        # What has as many characters is not longer than the limit in any case.
        self._longest = limits.label_value_bytes // _BYTES_A_CHARACTER
        self._placed = LabelTexts(plan_for, self._longest)
        self._bound: dict[str, BoundLabelTexts] = {}
        # By the name that lines with a value have.
        self._subjects: dict[str, tuple[OpenFamily, Role]] = {}

    def read(self, body: bytes) -> None:
        """Read all lines; raises ParseError and LimitExceeded."""
        number = 1
        for block in _blocks(body):
            number += self._read_block(number, block)

    def _read_block(self, number: int, block: bytes) -> int:
        """Read some lines, of which `number` is the first; return how many."""
        try:
            text, read_usual = block.decode(), self._read_usual
        except UnicodeDecodeError:
            text, read_usual = block.decode(errors="surrogateescape"), _nothing_usual
        lines = text.split("\n")
        unterminated = lines.pop()
        numbered = self._families.numbered(lines, number)
        while (unusual := read_usual(numbered)) is not None:
            self._read_carefully(unusual[0], unusual[1] + "\n")
        if unterminated:
            last = self._families.numbered([unterminated], number + len(lines))
            self._read_carefully(*next(last))
        return len(lines)

    def _read_usual(self, lines: Iterator[_Line]) -> _Line | None:
        """Read `lines` up to one that is not a usual one; return that."""
        subjects, append, placed = self._subjects, self._families.append, self._placed
        for number, line in lines:
            series, _, written = line.rpartition(" ")
            name, brace, rest = series.partition("{")
            subject = subjects.get(name)
            if subject is None:
                if self._read_without_sample(line):
                    continue
                subject = self._new_subject(name)
            if subject is None:
                return number, line
            family, role = subject
            # A brace with nothing behind it is not the same as none.
            labels = rest or brace
            try:
                value = parse_float(written)
                if family.bound_label is None:
                    append(family, Metric(placed[labels], value))
                else:
                    self._join(family, role, labels, value)
            except (ValueError, LineError):
                return number, line
        return None

    def _new_subject(self, name: str) -> tuple[OpenFamily, Role] | None:
        """Return what a line with the legacy `name` and a value is about."""
        if not is_legacy_metric_name(name):
            return None
        subject = self._subjects[name] = self._families.find_sampled(name)
        label = subject[0].bound_label
        if label is not None and label not in self._bound:
            self._bound[label] = BoundLabelTexts(label, self._longest)
        return subject

    def _join(self, family: OpenFamily, role: Role, labels: str, value: float) -> None:
        pushed, bound = self._bound[family.bound_label or ""].split(labels)
        state = family.joined.get(pushed) or self._families.begin(family, pushed)
        family.observe(state, role, bound, value)

    def _read_without_sample(self, line: str) -> bool:
        """Read a usual comment or a blank line; return whether `line` was one."""
        if not line.startswith("#"):
            return not line.strip(" \t")
        words = line.split(" ", 3)
        if len(words) == 4 and words[0] == "#":
            _, keyword, name, text = words
            if keyword == "TYPE":
                return self._read_usual_type(name, text)
            if keyword == "HELP":
                return self._read_usual_help(name, text)
        # Whatever else the line is, without these words it means nothing.
        return "HELP" not in line and "TYPE" not in line

    def _read_usual_help(self, name: str, text: str) -> bool:
        if text[:1] in " \t" or "\\" in text or not is_legacy_metric_name(name):
            return False
        family, _ = self._families.find(name)
        if family.help is not None:
            return False
        family.help = text
        return True

    def _read_usual_type(self, name: str, word: str) -> bool:
        type_ = type_of_word(word)
        if type_ is None or not is_legacy_metric_name(name):
            return False
        family, _ = self._families.find(name)
        if family.settled:
            return False
        family.declare(type_)
        return True

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
                self._observe(sample)
        except LineError as error:
            raise ParseError(number, str(error)) from None

    def _observe(self, sample: Sample) -> None:
        pushed = sorted_labels(sample.labels)
        self._families.observe(
            sample.family, sample.role, pushed, sample.bound, sample.value
        )
        if sample.timestamped:
            self._families.note_timestamp(sample.family)


def _blocks(body: bytes) -> Iterator[bytes]:
    """Cut `body` behind line feeds."""
    start = 0
    while start < len(body):
        middle = start + _BLOCK_BYTES
        end = body.rfind(b"\n", start, middle) + 1 or body.find(b"\n", middle) + 1
        yield body[start : end or None]
        start = end or len(body)


def _nothing_usual(lines: Iterator[_Line]) -> _Line | None:
    return next(lines, None)
