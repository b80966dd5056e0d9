"""Job rules: what the operator's file says about groups, by their grouping labels.

    [[jobs]]
    match = '{job=~"backup-.*"}'
    stale_after = "26h"
    [jobs.limits]
    series = 1000

The first rule that matches a group decides; what it leaves out is as the server's
flags say.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidRules
from pushrelay.grouping_key import GroupingKey
from pushrelay.matchers import Selector
from pushrelay.rule_tables import (
    Problem,
    RuleTable,
    WrongValue,
    one_of,
    text_of,
    whole_number,
)
from pushrelay.run_rules import RUN_KEYS, read_buckets, read_expectation
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.toml_files import located, parse_toml, read_text

_KEYS = ["match", "stale_after", "forget_after", "on_stale", "mode", "limits"]


class OnStale(Enum):
    """What becomes of a group that goes stale: its payload is withheld until a push
    revives it, or the group is forgotten."""

    WITHHOLD = "withhold"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """What a push may hold, as in `config.Limits`; None where the rule says nothing."""

    body_bytes: int | None = None
    series: int | None = None
    labels: int | None = None
    label_value_bytes: int | None = None

    def within(self, limits: Limits) -> Limits:
        """Return `limits`, tighter where these are; a rule can widen none."""
        tighter = {
            field.name: min(own, getattr(limits, field.name))
            for field in fields(self)
            if (own := getattr(self, field.name)) is not None
        }
        return replace(limits, **tighter)


_Limits = TypeVar("_Limits", bound=RuleLimits)


@dataclass(frozen=True, slots=True)
class JobLimits(RuleLimits):
    """And what a job may have in all, as far as a push to a group of the rule adds to
    it."""

    job_groups: int | None = None
    job_series: int | None = None


@dataclass(frozen=True, slots=True)
class JobRule:
    """What holds for the groups that `selector` chooses.

    stale_after, forget_after: nanoseconds; None where the rule says nothing.
    mode: what POST means; None where the rule says nothing. Never Mode.REPLACE.
    expectation: what is expected of the runs. duration_buckets: upper bounds of their
        durations' buckets, in seconds, ascending. None where the rule says nothing.
    """

    selector: Selector
    stale_after: int | None = None
    forget_after: int | None = None
    on_stale: OnStale = OnStale.WITHHOLD
    mode: Mode | None = None
    limits: JobLimits = JobLimits()
    expectation: Expectation | None = None
    duration_buckets: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class JobRules:
    """All rules of a file, in its order."""

    rules: tuple[JobRule, ...] = ()

    def of(self, key: GroupingKey) -> JobRule | None:
        """Return the rule that decides about the group with this key."""
        labels = dict(key.labels)
        for rule in self.rules:
            if rule.selector.matches(labels):
                return rule
        return None

    def __len__(self) -> int:
        return len(self.rules)


def read_rules(path: Path) -> JobRules:
    """Return the rules of the TOML file at `path`.

    Raises InvalidRules with all that is wrong, or because the file cannot be read or is
    larger than `toml_files.MAX_FILE_BYTES`.
    """
    return parse_rules(read_text(path), str(path))


def parse_rules(text: str, file: str) -> JobRules:
    """Return the rules in the TOML `text`, of which there may be none.

    Raises InvalidRules with all that is wrong, each problem after `file`, its line and
    its key.
    """
    problems: list[Problem] = []
    document = RuleTable(parse_toml(text, file), "", problems)
    document.refuse_all_but(["jobs"])
    tables = document.read("jobs", _tables) or []
    rules = [
        _rule(RuleTable(values, f"jobs[{number}]", problems))
        for number, values in enumerate(tables, 1)
    ]
    if problems:
        raise InvalidRules(located(problems, text, file))
    return JobRules(tuple(rule for rule in rules if rule is not None))


def _rule(table: RuleTable) -> JobRule | None:
    table.refuse_all_but([*_KEYS, *RUN_KEYS])
    if "match" not in table.values:
        table.refuse("", "has no match; write for example match = '{job=\"x\"}'")
    selector = table.read("match", _selector)
    stale_after = table.read("stale_after", _duration)
    forget_after = table.read("forget_after", _duration)
    on_stale = table.read("on_stale", _on_stale) or OnStale.WITHHOLD
    if on_stale is OnStale.FORGET and "stale_after" not in table.values:
        table.refuse("on_stale", "needs stale_after in the same rule, to say when")
    if stale_after and forget_after and forget_after < stale_after:
        table.refuse(
            "forget_after",
            "is shorter than stale_after; both count from the last push",
        )
    mode = table.read("mode", _mode)
    limits = read_limits(table.table("limits"), JobLimits)
    expectation, buckets = read_expectation(table), read_buckets(table)
    if selector is None:
        return None
    return JobRule(
        selector,
        stale_after,
        forget_after,
        on_stale,
        mode,
        limits,
        expectation,
        buckets,
    )


def read_limits(table: RuleTable, kind: type[_Limits]) -> _Limits:
    """Return the limits of this kind in `table`, and note what is wrong in it."""
    names = [field.name for field in fields(kind)]
    table.refuse_all_but(names)
    return kind(**{name: table.read(name, whole_number) for name in names})


def _selector(value: Any) -> Selector:
    selector = parse_selector(text_of(value, "a selector"))
    if selector.is_empty:
        raise WrongValue(
            "has no matcher; the flags of the server say what holds for all groups, "
            'and job!="" chooses them all'
        )
    return selector


def _duration(value: Any) -> int:
    nanoseconds = parse_duration(text_of(value, 'a duration such as "26h"'))
    if not nanoseconds:
        raise WrongValue("must be longer than 0")
    return nanoseconds


def _on_stale(value: Any) -> OnStale:
    return one_of({member.value: member for member in OnStale}, value)


def _tables(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WrongValue("must be tables that begin with [[jobs]], a rule each")
    return value


def _mode(value: Any) -> Mode:
    # What PUT does is not for rules to say.
    modes = [mode for mode in Mode if mode is not Mode.REPLACE]
    return one_of({mode.value: mode for mode in modes}, value)
