"""Reads the tables of a file of job rules, and notes all that is wrong in them.

How a value is read is a function that raises a PushrelayError for a wrong one; those
that several keys need are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pushrelay.errors import PushrelayError
from pushrelay.quoting import quote
from pushrelay.shown import meant

Problem = tuple[str, str]
"""The path of a key, and what is wrong with it."""

_Value = TypeVar("_Value")


class WrongValue(PushrelayError):
    """A value that cannot stand for its key."""


@dataclass(frozen=True, slots=True)
class RuleTable:
    """A table of the file. What is wrong in it is noted in `problems`."""

    values: dict[str, Any]
    path: str
    problems: list[Problem]

    def refuse(self, key: str, problem: str) -> None:
        """Note a problem of `key`, or of the table where that is empty."""
        shown = key if key.isprintable() else quote(key)
        path = f"{self.path}.{shown}" if self.path and key else self.path or shown
        self.problems.append((path, problem))

    def refuse_all_but(self, known: list[str]) -> None:
        """Note every key that is not `known`."""
        for key in self.values.keys() - known:
            hint = meant(key, known) or f"write {_list(known)}"
            self.refuse(key, f"is not known here; {hint}")

    def read(self, key: str, convert: Callable[[Any], _Value]) -> _Value | None:
        """Return what `convert` makes of the value of `key`; None if there is none, or
        if `convert` raises a PushrelayError, which is noted."""
        if key not in self.values:
            return None
        try:
            return convert(self.values[key])
        except PushrelayError as error:
            self.refuse(key, str(error))
            return None

    def table(self, key: str) -> RuleTable:
        """Return the table at `key`, which is empty where there is none."""
        path = f"{self.path}.{key}"
        return RuleTable(self.read(key, _table) or {}, path, self.problems)


def one_of(members: dict[str, _Value], value: Any) -> _Value:
    """Return the member that `value` names; raises WrongValue."""
    if not isinstance(value, str) or value not in members:
        raise WrongValue(f"must be {_list(map(quote, members))}, not {shown(value)}")
    return members[value]


def whole_number(value: Any) -> int:
    """Return `value` if it is a whole number from 1 up; raises WrongValue."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WrongValue(f"must be a whole number from 1 up, not {shown(value)}")
    return value


def text_of(value: Any, what: str) -> str:
    """Return `value` if it is text; raises WrongValue, which asks for `what`."""
    if not isinstance(value, str):
        raise WrongValue(f"must be {what}, in quotes, not {shown(value)}")
    return value


def shown(value: Any) -> str:
    """Return a value of the file for a message, as TOML writes it."""
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "an array"
    if isinstance(value, str):
        return quote(value)
    return str(value).lower()  # booleans are lower case in TOML


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongValue(f"must be a table, not {shown(value)}")
    return value


def _list(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
