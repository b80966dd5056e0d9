"""Label matchers as in PromQL, which choose groups by their grouping labels.

A label that a group does not have is empty. Regular expressions are RE2's, must match
the whole value, and `.` matches every character, as in Prometheus 3.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from time import perf_counter

import re2

from pushrelay.model import is_legacy_label_name
from pushrelay.quoting import quote

METRIC_NAME = "__name__"
"""The label that stands for the name of a series."""

_TURN_SECONDS = 0.005
_PAUSE_SECONDS = 0.0001

_OPTIONS = re2.Options()
# RE2 would write to stderr what it also raises.
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.dot_nl = True
# Bounds what a selector of someone else can cost: its program and the states that are
# remembered while matching.
_OPTIONS.max_mem = 256 * 1024


class MatchType(Enum):
    """How a matcher compares, by its operator."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEXP = "=~"
    NOT_REGEXP = "!~"


class _Turns(threading.local):
    """Lets other threads go on beside one that asks RE2 again and again.

    Each time it is asked, RE2 lets go of the interpreter, but only for a moment. Who
    waits is woken by that and comes too late, and since it was woken, its wait begins
    anew: it never insists on its turn, and waited for most of a second.
    """

    def __init__(self) -> None:
        self._began = self._last = 0.0

    def end(self) -> None:
        """Note that RE2 was asked; if that goes on for long, let others go on."""
        now = perf_counter()
        if now - self._last > _TURN_SECONDS:
            self._began = now
        elif now - self._began > _TURN_SECONDS:
            time.sleep(_PAUSE_SECONDS)
            self._began = now = perf_counter()
        self._last = now


_turns = _Turns()


class _Pattern:
    """A regular expression that must match whole values; raises re2.error."""

    __slots__ = ("_fullmatch", "_least", "_most")

    def __init__(self, written: str) -> None:
        regexp = re2.compile(written, _OPTIONS)
        self._fullmatch = regexp.fullmatch
        self._least, self._most = _range(regexp)

    def matches(self, value: str) -> bool:
        encoded = value.encode()
        # Asking RE2 takes five times as long, and most values begin otherwise.
        if not self._least <= encoded <= self._most:
            return False
        found = self._fullmatch(encoded) is not None
        _turns.end()
        return found


def _range(regexp: re2._Regexp) -> tuple[bytes, bytes]:
    """Return two strings between which all strings are that `regexp` matches."""
    try:
        least, most = regexp.possiblematchrange(32)
    except re2.error:
        return b"", b"\xff"  # larger than any UTF-8
    return least, most


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. Raises re2.error for a bad regular expression."""

    name: str
    type: MatchType
    value: str
    _pattern: _Pattern | None = field(init=False, compare=False, repr=False)
    _wanted: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        is_regexp = self.type in (MatchType.REGEXP, MatchType.NOT_REGEXP)
        pattern = _Pattern(self.value) if is_regexp else None
        object.__setattr__(self, "_pattern", pattern)
        wanted = self.type in (MatchType.EQUAL, MatchType.REGEXP)
        object.__setattr__(self, "_wanted", wanted)

    def matches(self, value: str) -> bool:
        """Whether a group with this value of the label fulfils the condition."""
        pattern = self._pattern
        found = value == self.value if pattern is None else pattern.matches(value)
        return found is self._wanted

    def __str__(self) -> str:
        name = self.name if is_legacy_label_name(self.name) else quote(self.name)
        return f"{name}{self.type.value}{quote(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Matchers, all of which must match. `str` gives what parses to an equal one."""

    matchers: tuple[Matcher, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no matcher, so that all groups are meant."""
        return not self.matchers

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a group with these grouping labels, valid UTF-8, is chosen."""
        for matcher in self.matchers:  # all() takes twice as long
            if not matcher.matches(labels.get(matcher.name, "")):
                return False
        return True

    def matches_all_with(self, labels: Mapping[str, str]) -> bool:
        """Whether all groups are chosen that have these labels, whichever others they
        have."""
        is_about_these = all(matcher.name in labels for matcher in self.matchers)
        return is_about_these and self.matches(labels)

    def may_match_with(self, labels: Mapping[str, str]) -> bool:
        """Whether a group may be chosen that has these labels and any others."""
        return all(
            matcher.matches(labels[matcher.name])
            for matcher in self.matchers
            if matcher.name in labels
        )

    def value_of(self, name: str) -> str | None:
        """Return the value that all chosen groups have of a label, if a matcher with =
        says so."""
        for matcher in self.matchers:
            if matcher.name == name and matcher.type is MatchType.EQUAL:
                return matcher.value
        return None

    def __str__(self) -> str:
        return "{" + ",".join(map(str, self.matchers)) + "}"
