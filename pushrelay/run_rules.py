"""What a job rule says about runs: when they are expected, and how long they take.

schedule = "0 3 * * *"
tz = "Europe/Berlin"
max_runtime = "2h"
duration_buckets = [60, 300, 900, 3600]
"""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from math import inf
from typing import Any

from pushrelay.errors import InvalidExpectation
from pushrelay.expectation_documents import parse_expectation
from pushrelay.rule_tables import RuleTable, WrongValue, shown
from pushrelay.schedule import Expectation

MOST_BUCKETS = 50
"""So many series, and a few more, the durations of each grouping key may have."""

_EXPECTATION_KEYS = [field.name for field in fields(Expectation)]
_BUCKETS_KEY = "duration_buckets"

RUN_KEYS = [*_EXPECTATION_KEYS, _BUCKETS_KEY]
"""The keys of a rule that are read here."""

# Values that stand in for wrong ones while the others are checked.
_STAND_INS: dict[str, object] = {
    "schedule": "@daily",
    "on_calendar": "daily",
    "tz": "UTC",
    "per_instance": True,
} | dict.fromkeys(["every", "grace", "max_runtime", "min_interval"], "1h")


def read_expectation(table: RuleTable) -> Expectation | None:
    """Return what a rule expects of runs; None if it says nothing of them. All that is
    wrong is noted in `table`, and then the expectation means nothing.

    A time zone must be known: who writes the file can correct it at once.
    """
    given = {key: table.values[key] for key in _EXPECTATION_KEYS if key in table.values}
    noted: set[str] = set()
    while given:
        try:
            expectation, _ = parse_expectation(given, needs_known_tz=True)
        except InvalidExpectation as error:
            key = error.field or next(iter(given))
            if key in noted:
                del given[key]  # no value of it would do
                continue
            table.refuse(key, error.problem)
            noted.add(key)
            given[key] = _STAND_INS[key]
        else:
            return None if noted else expectation
    return None


def read_buckets(table: RuleTable) -> tuple[float, ...] | None:
    """Return the bounds of the buckets that a rule has for durations, in seconds; None
    if it says nothing of them. What is wrong is noted in `table`."""
    return table.read(_BUCKETS_KEY, _buckets)


def _buckets(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_BUCKETS:
        found = f"{len(value)} of them" if isinstance(value, list) else shown(value)
        raise WrongValue(
            f"must be 1 to {MOST_BUCKETS} numbers of seconds, such as [60, 300, 900], "
            f"not {found}"
        )
    bounds = tuple(map(_seconds, value))
    for lower, upper in pairwise(bounds):
        if upper <= lower:
            raise WrongValue(f"must ascend, but {upper:g} comes after {lower:g}")
    return bounds


def _seconds(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < inf:
        raise WrongValue(f"must be numbers of seconds above 0, not {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise WrongValue("has a number that is too large") from None
