"""Metrics of one run of a job that is written in Python."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import SupportsFloat

from pushrelay.config import Limits
from pushrelay.errors import PushrelayError
from pushrelay.exposition.floats import format_float
from pushrelay.grouping_key import GroupingKey, is_label_name
from pushrelay.model import (
    PUSH_EVIDENCE,
    Labels,
    exposed_labels,
    is_legacy_metric_name,
    is_utf8,
)
from pushrelay.shown import shown
from pushrelay.soundness import RESERVED_PREFIX, check_alone


class _Family:
    """A gauge or a counter: its values, by their labels."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.help = ""
        self.values: dict[Labels, float] = {}

    def rendered(self, name: str) -> str:
        help_ = self.help.replace("\\", r"\\").replace("\n", r"\n")
        lines = [f"# HELP {name} {help_}\n"] if help_ else []
        lines.append(f"# TYPE {name} {self.type}\n")
        for labels, value in self.values.items():
            braces = f"{{{exposed_labels(labels)}}}" if labels else ""
            lines.append(f"{name}{braces} {format_float(value)}\n")
        return "".join(lines)


class JobMetrics:
    """Metrics of a run with the labels of `key`, given by any threads.

    What no relay would take raises ValueError, and all is as before.
    """

    def __init__(self, key: GroupingKey) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._families: dict[str, _Family] = {}
        self._texts: list[str] = []
        self._in_texts: set[str] = set()

    def set(
        self, name: str, value: SupportsFloat, help_: str, labels: Mapping[str, str]
    ) -> None:
        """Let the gauge `name` with these labels be `value`."""
        number = _number(name, value)
        series = self._checked(name, labels)
        with self._lock:
            self._family(name, "gauge", help_).values[series] = number

    def add(
        self, name: str, value: SupportsFloat, help_: str, labels: Mapping[str, str]
    ) -> None:
        """Add `value` to the counter `name` with these labels, which begins at 0."""
        number = _number(name, value)
        if not number >= 0:
            raise ValueError(
                f"{name}: a counter cannot grow by {number}; give a number from 0, or "
                "use a gauge"
            )
        series = self._checked(name, labels)
        with self._lock:
            values = self._family(name, "counter", help_).values
            values[series] = values.get(series, 0.0) + number

    def append(self, text: str) -> None:
        """Take all that `text` has, in the text format."""
        if not _is_text(text):
            raise ValueError(f"metrics must be text, not {shown(text)}")
        if text and not text.endswith("\n"):
            text += "\n"
        names = self._names_in(text)
        with self._lock:
            for name in names:
                if name in self._in_texts or name in self._families:
                    raise ValueError(
                        f"{name} has been given before; give all its series in one "
                        "text, or all by gauge or counter"
                    )
            self._in_texts.update(names)
            self._texts.append(text)

    def rendered(self) -> str:
        """Return all metrics, in the text format."""
        with self._lock:
            families = [each.rendered(name) for name, each in self._families.items()]
            return "".join([*families, *self._texts])

    def _checked(self, name: str, labels: Mapping[str, str]) -> Labels:
        """Return the labels of a series of the family `name`. Raises ValueError."""
        _check_name(name)
        for label, value in labels.items():
            if not is_label_name(label):
                raise ValueError(
                    f"{name}: {shown(label)} is no label name; write letters, digits "
                    "and underscores, without __ at its beginning"
                )
            if label in self._key.names:
                raise ValueError(
                    f"{name}: the label {label} is that of the run, which all its "
                    "metrics have; use another name"
                )
            if not _is_text(value):
                raise ValueError(
                    f"{name}: the label {label} must be text, not {shown(value)}"
                )
        return tuple(sorted(labels.items()))

    def _family(self, name: str, type_: str, help_: str) -> _Family:
        """Return the family `name`, which may be new. Raises ValueError if there is one
        of another type."""
        if not _is_text(help_):
            raise ValueError(f"{name}: help must be text, not {shown(help_)}")
        found = self._families.get(name)
        type_there = found.type if found else "text" if name in self._in_texts else ""
        if type_there not in ("", type_):
            raise ValueError(
                f"{name} has been given as {type_there} before, and cannot be a "
                f"{type_} as well; use another name"
            )
        family = found or self._families.setdefault(name, _Family(type_))
        family.help = family.help or help_
        return family

    def _names_in(self, text: str) -> list[str]:
        # Few jobs have metrics as text.
        from pushrelay.exposition.text_parser import parse_text

        try:
            families = parse_text(text.encode(), self._key, Limits(), utf8_names=True)
            check_alone(families, self._key)
        except PushrelayError as error:
            raise ValueError(str(error)) from None
        return [family.name for family in families]


def _check_name(name: str) -> None:
    if not _is_text(name) or not is_legacy_metric_name(name):
        raise ValueError(
            f"{shown(name)} is no name for a metric; write letters, digits, "
            "underscores and colons, without a digit at its beginning"
        )
    if name.startswith(RESERVED_PREFIX) or name in PUSH_EVIDENCE:
        raise ValueError(f"{name} is a metric of the relay's own; use another name")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_utf8(value)


def _number(name: str, value: SupportsFloat) -> float:
    """Return `value`, which may be of any type of numbers."""
    # `float` would read text.
    if not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise ValueError(f"{shown(name)}: the value must be a number, not {shown(value)}")
