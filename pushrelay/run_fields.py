"""The fields of what clients report of runs: what each may be, and how to say so.

All messages name the field, what is there and what to write.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Generic, TypeVar

from pushrelay.errors import InvalidRun, PushrelayError, StoreUnavailable
from pushrelay.grouping_key import GroupingKey, is_label_name, parse_labels
from pushrelay.model import is_utf8
from pushrelay.runs import RESERVED_LABELS
from pushrelay.shown import shown, shown_name

_SECOND = 10**9
_LAST_SECOND = 10**15
# uuid.UUID takes more: braces, other dashes, digits that are not ASCII.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"[0-9a-fA-F]{4,32}")
_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=Enum)


@dataclass(frozen=True, slots=True)
class Kind(Generic[_Value]):
    """What a field may be.

    what: words for it, as they stand after "must be". convert: returns the value of
    what a client gave, numbers as Decimal; None if it is no value of this kind.
    """

    what: str
    convert: Callable[[object], _Value | None]


@dataclass(frozen=True, slots=True)
class Fields:
    """What a client gave, by name; `path` stands before the names in messages."""

    values: Mapping[str, object]
    path: str = ""

    def read(self, name: str, kind: Kind[_Value]) -> _Value | None:
        """Return the value of `name`; None if it is not given. Raises InvalidRun."""
        if name not in self.values:
            return None
        value = kind.convert(self.values[name])
        if value is None:
            given = shown(self.values[name])
            raise self.wrong(name, f"must be {kind.what}, not {given}")
        return value

    def need(self, name: str, kind: Kind[_Value]) -> _Value:
        """Return the value of `name`, which must be given. Raises InvalidRun."""
        value = self.read(name, kind)
        if value is None:
            raise self.wrong(name, f"is missing; write {kind.what}")
        return value

    def wrong(self, name: str, problem: str) -> InvalidRun:
        """Return the error for a `problem` of the field `name`."""
        return InvalidRun(self.path + shown_name(name), problem)


@contextmanager
def about_job(job: str | None) -> Iterator[None]:
    """Let what is raised within know that it is about a report of `job`."""
    try:
        yield
    except StoreUnavailable:
        raise  # many writes may share it
    except PushrelayError as error:
        error.job = job
        raise


def parse_uuid(written: str) -> uuid.UUID | None:
    """Return the UUID that is `written` in its usual form; None if that is none."""
    return uuid.UUID(written) if _UUID.fullmatch(written) else None


def parse_uuid_prefix(written: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return the first and the last UUID whose usual form begins with what is
    `written`; None if none does, or if that is less than 4 digits."""
    digits = written.replace("-", "")
    if _DIGITS.fullmatch(digits) is None:
        return None
    first, last = [uuid.UUID(digits.ljust(32, digit)) for digit in "0f"]
    return (first, last) if str(first).startswith(written.lower()) else None


def job_of(name: object) -> str | None:
    """Return the job that a client gave as `name`; None if there can be none."""
    return JOB.convert(name)


def text(what: str, *, most: int | None = None) -> Kind[str]:
    """Return the kind of text that is not empty and has at most `most` characters, none
    of them a lone surrogate; with `most`, all of them printable."""

    def convert(value: object) -> str | None:
        if not isinstance(value, str) or not value or not is_utf8(value):
            return None
        if most is not None and (len(value) > most or not value.isprintable()):
            return None
        return value

    return Kind(what, convert)


def whole(least: int, most: int) -> Kind[int]:
    """Return the kind of whole numbers from `least` to `most`; 5.0 is one."""

    def convert(value: object) -> int | None:
        number = _bounded(value, least, most)
        if number is None or number != number.to_integral_value():
            return None
        return int(number)

    return Kind(f"a whole number from {least} to {most}", convert)


def seconds(most: int) -> Kind[int]:
    """Return the kind of seconds from 0 to `most`, which become nanoseconds."""

    def convert(value: object) -> int | None:
        number = _bounded(value, 0, most)
        return None if number is None else _nanoseconds(number)

    return Kind(f"seconds from 0 to {most}", convert)


def _unix_time(value: object) -> int | None:
    number = _bounded(value, 0, _LAST_SECOND)
    return None if number is None else _nanoseconds(number) or None


def one_of(choices: type[_Choice]) -> Kind[_Choice]:
    """Return the kind of text that is the value of one of `choices`."""
    members = {str(member.value): member for member in choices}
    *others, last = members
    return Kind(
        f"{', '.join(others)} or {last}",
        lambda value: members.get(value) if isinstance(value, str) else None,
    )


def _bounded(value: object, least: int, most: int) -> Decimal | None:
    if isinstance(value, Decimal) and least <= value <= most:
        return value
    return None


def _nanoseconds(number: Decimal) -> int:
    # Bounded before: 1e999999 has as many digits as an int.
    return int((number * _SECOND).to_integral_value())


JOB = text('text such as "nightly-report"')
UNIX_TIME = Kind("Unix seconds such as 1795378800.25", _unix_time)
EXIT_CODE = whole(-(2**31), 2**32 - 1)
"""Windows has codes of 32 bits, which some tools show as negative numbers."""

_LABEL_VALUE = Kind("text", lambda v: v if isinstance(v, str) and is_utf8(v) else None)


def run_key(job: str, labels: Fields, *, utf8_names: bool) -> GroupingKey:
    """Return the grouping key of a run of `job` with these `labels`.

    A label without a value is as if left out, since Prometheus sees no difference and
    the series of two keys must differ. Raises InvalidRun.
    """
    given = {name: labels.need(name, _LABEL_VALUE) for name in labels.values}
    for name, value in given.items():
        if not is_utf8(name) or not is_label_name(name, utf8_names=utf8_names):
            legal = "any text" if utf8_names else "letters, digits and underscores"
            raise labels.wrong(
                name, f"is no label name; write {legal}, without __ at its beginning"
            )
        if name in RESERVED_LABELS:
            raise labels.wrong(
                name, "is a label of the relay's own series of runs; use another name"
            )
        if name == "job" and value != job:
            raise labels.wrong(
                name, f"{shown(value)} is not the job, {shown(job)}; write one of them"
            )
    named = {name: value for name, value in given.items() if value}
    return parse_labels({**named, "job": job}, utf8_names=utf8_names)
