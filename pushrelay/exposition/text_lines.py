"""The careful scanner of the text format: one line, all of its grammar, and the error
texts that pushers know.

The parser reads the usual lines by shorter ways and comes here with all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import nan

from pushrelay.errors import LimitExceeded
from pushrelay.exposition.floats import parse_float
from pushrelay.exposition.text_cursor import Cursor, LineError, shown, shown_byte
from pushrelay.exposition.text_families import Families, OpenFamily, Role, type_of_word
from pushrelay.model import is_legacy_label_name, is_legacy_metric_name, is_utf8

_INTEGER = re.compile(r"([+-]?)(?=[0-9])0*+([0-9]*+)")
_INT64_DIGITS = 19


@dataclass(slots=True)
class Sample:
    """A line with a value, its labels in pushed order; `bound` is the value of
    `OpenFamily.bound_label`, NaN without one."""

    family: OpenFamily
    role: Role
    labels: list[tuple[str, str]]
    bound: float
    value: float
    timestamped: bool


class LineScanner:
    """Scans `text`, one line with its line feed; only the last line of a body may lack
    it, and is refused unless it is blank.

    Finds families in `families` and describes them; adding the sample is left to the
    caller. Raises LineError, and LimitExceeded beyond `max_labels` labels.
    """

    def __init__(
        self, text: str, families: Families, *, max_labels: int, utf8_names: bool
    ) -> None:
        self._cursor = Cursor(text)
        self._families = families
        self._max_labels = max_labels
        self._utf8_names = utf8_names
        self._subject: tuple[OpenFamily, Role] | None = None
        self._labels: dict[str, str] = {}
        self._label_count = 0
        self._bound = nan

    def scan(self) -> Sample | None:
        """Return the sample of the line, None where it has none."""
        cursor = self._cursor
        if cursor.is_at_end() or cursor.peek() == "\n":
            return None
        if cursor.peek() == "#":
            cursor.skip()
            self._scan_comment()
            return None
        return self._scan_sample()

    def _scan_comment(self) -> None:
        cursor = self._cursor
        if cursor.skip_blanks() == "\n":
            return
        keyword = cursor.take_word()
        if keyword not in ("HELP", "TYPE"):
            cursor.take_rest()
            return
        if cursor.skip_blanks() == "\n":
            return
        name = cursor.take_metric_name()
        if cursor.peek() == "\n":
            return
        if cursor.peek() not in " \t":
            raise LineError("invalid metric name in comment")
        self._check_metric_name(name)
        family, _ = self._families.find(name)
        if cursor.skip_blanks() == "\n":
            return
        describe = self._scan_help if keyword == "HELP" else self._scan_type
        describe(family)

    def _scan_help(self, family: OpenFamily) -> None:
        if family.help is not None:
            raise LineError(f"second HELP line for metric name {shown(family.name)}")
        text = self._cursor.take_help()
        if not is_utf8(text):
            raise LineError(f"invalid HELP text {shown(text)}")
        family.help = text

    def _scan_type(self, family: OpenFamily) -> None:
        if family.settled:
            raise LineError(
                f"second TYPE line for metric name {shown(family.name)}, "
                "or TYPE reported after samples"
            )
        word = self._cursor.take_rest()
        type_ = type_of_word(word)
        if type_ is None:
            raise LineError(f"unknown metric type {shown(word)}")
        family.declare(type_)

    def _scan_sample(self) -> Sample:
        cursor = self._cursor
        named_inside = cursor.peek() == "{"
        if not named_inside:
            self._scan_name()
        if cursor.skip_blanks() == "{":
            cursor.skip()
            while self._scan_label(named_inside):
                pass
        if self._subject is None:
            raise LineError("invalid metric name")
        cursor.skip_blanks()
        value = self._scan_value()
        timestamped = cursor.peek() != "\n"
        if timestamped:
            self._scan_timestamp()
        family, role = self._subject
        labels = list(self._labels.items())
        return Sample(family, role, labels, self._bound, value, timestamped)

    def _scan_name(self) -> None:
        name = self._cursor.take_metric_name()
        if not name:
            raise LineError("invalid metric name")
        self._begin(name)

    def _scan_label(self, named_inside: bool) -> bool:
        """Scan a label, or the metric's name among the labels; return whether another
        may follow."""
        cursor = self._cursor
        if cursor.skip_blanks() == "}":
            cursor.skip()
            return False
        name = cursor.take_label_name()
        if not name:
            raise LineError(f"invalid label name for metric {self._shown_subject()}")
        if cursor.skip_blanks() != "=":
            self._scan_inside_name(name, named_inside)
        else:
            cursor.skip()
            self._check_label_name(name)
            self._scan_label_value(name)
        has_more = cursor.peek() == ","
        cursor.skip()
        return has_more

    def _scan_inside_name(self, name: str, allowed: bool) -> None:
        found = self._cursor.peek()
        if not allowed:
            raise LineError(f"expected '=' after label name, found {shown_byte(found)}")
        if self._subject is not None:
            raise LineError(f"multiple metric names for metric {self._shown_subject()}")
        if found not in ",}":
            raise LineError(f"unexpected end of metric name {shown_byte(found)}")
        self._begin(name)

    def _scan_label_value(self, name: str) -> None:
        cursor = self._cursor
        found = cursor.skip_blanks()
        if found != '"':
            raise LineError(
                f"expected '\"' at start of label value, found {shown_byte(found)}"
            )
        value = cursor.take_label_value()
        if not is_utf8(value):
            raise LineError(f"invalid label value {shown(value)}")
        self._count_label()
        self._add_label(name, value)
        if cursor.skip_blanks() not in ",}":
            raise LineError(f"unexpected end of label value {shown(value)}")

    def _check_label_name(self, name: str) -> None:
        if name == "__name__":
            raise LineError('label name "__name__" is reserved')
        if not (is_utf8 if self._utf8_names else is_legacy_label_name)(name):
            raise LineError(f"invalid label name {shown(name)}")
        # A repeated bound label never gets here: it is not among the labels.
        if name in self._labels:
            raise LineError(f"duplicate label names for metric {self._shown_subject()}")

    def _check_metric_name(self, name: str) -> None:
        legal = is_utf8 if self._utf8_names else is_legacy_metric_name
        if not name or not legal(name):
            raise LineError(f"invalid metric name {shown(name)}")

    def _add_label(self, name: str, value: str) -> None:
        if self._subject is not None and name == self._subject[0].bound_label:
            self._set_bound(name, value)
        else:
            self._labels[name] = value

    def _count_label(self) -> None:
        """Stop at labels without end; one more than allowed may be the bound label."""
        self._label_count += 1
        if self._label_count > self._max_labels + 1:
            raise LimitExceeded(
                "labels",
                f"a series has more labels than the limit of {self._max_labels}",
            )

    def _set_bound(self, name: str, value: str) -> None:
        try:
            self._bound = parse_float(value)
        except ValueError:
            raise LineError(
                f"expected float as value for '{name}' label, got {shown(value)}"
            ) from None

    def _scan_value(self) -> float:
        word = self._cursor.take_word()
        try:
            return parse_float(word)
        except ValueError:
            raise LineError(f"expected float as value, got {shown(word)}") from None

    def _scan_timestamp(self) -> None:
        self._cursor.skip_blanks()
        word = self._cursor.take_word()
        if not _is_int64(word):
            raise LineError(f"expected integer as timestamp, got {shown(word)}")
        spurious = self._cursor.take_rest()
        if spurious:
            raise LineError(f"spurious string after timestamp: {shown(spurious)}")

    def _begin(self, name: str) -> None:
        """Settle which family the line is about."""
        self._check_metric_name(name)
        self._subject = self._families.find_sampled(name)
        earlier, self._labels = self._labels, {}
        for label, value in earlier.items():
            self._add_label(label, value)

    def _shown_subject(self) -> str:
        return shown(self._subject[0].name if self._subject else "")


def _is_int64(word: str) -> bool:
    match = _INTEGER.fullmatch(word)
    if match is None or len(match[2]) > _INT64_DIGITS:
        return False
    return -(2**63) <= int(match[1] + (match[2] or "0")) < 2**63
