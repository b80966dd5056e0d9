"""Which policy a group has: what its last push said, else the job rule, else the
server's default. And what job rules say of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache

from pushrelay.config import Freshness, Limits
from pushrelay.freshness import Policy
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import JobRule, JobRules, OnStale
from pushrelay.matchers import Selector
from pushrelay.named_jobs import NamedJob, find_named_jobs
from pushrelay.run_evidence import DEFAULT_BUCKETS
from pushrelay.schedule import Expectation

_REMEMBERED = 4096
_REMEMBERED_SIZE = 512
"""Of so many keys and names up to this size it is remembered which rule they have, and
whether they are points in time."""

_NOTHING_HAPPENS = Policy()
_NO_RULE = JobRule(Selector(()))


class Policies:
    """What the server's settings and the job rules say of groups; immutable.

    rules: as they were read from the configuration file.
    """

    def __init__(
        self, freshness: Freshness | None = None, rules: JobRules | None = None
    ) -> None:
        self.rules = rules or JobRules()
        self._freshness = freshness or Freshness()
        patterns = map(translate, self._freshness.timestamp_series)
        self._timestamps = re.compile("|".join(patterns) or r"(?!)")
        self._known_timestamp = lru_cache(_REMEMBERED)(self._matches_timestamps)
        self._known_rule = lru_cache(_REMEMBERED)(self.rules.of)
        self._default = self._policy(_NO_RULE, None)
        self._named_jobs = find_named_jobs(self.rules)

    def with_rules(self, rules: JobRules) -> Policies:
        """Return these policies with other job rules."""
        return Policies(self._freshness, rules)

    def rule_of(self, key: GroupingKey) -> JobRule | None:
        """Return the first job rule that matches `key`."""
        if not self.rules:
            return None
        short = len(key.canonical) <= _REMEMBERED_SIZE
        return self._known_rule(key) if short else self.rules.of(key)

    def limits_of(self, key: GroupingKey, limits: Limits) -> Limits:
        """Return `limits`, tighter where the job rule of `key` says so."""
        rule = self.rule_of(key)
        return rule.limits.within(limits) if rule else limits

    def expectation_of(self, key: GroupingKey) -> Expectation | None:
        """Return what the job rule of `key` expects of its runs."""
        rule = self.rule_of(key)
        return rule.expectation if rule else None

    def has_rule_with(self, expectation: Expectation | None) -> bool:
        """Whether a job rule expects just that."""
        rules = self.rules.rules if expectation is not None else ()
        return any(rule.expectation == expectation for rule in rules)

    def buckets_of(self, key: GroupingKey) -> tuple[float, ...]:
        """Return the upper bounds of the buckets for the durations of the runs with
        `key`, in seconds."""
        rule = self.rule_of(key)
        chosen = rule.duration_buckets if rule else None
        return chosen or DEFAULT_BUCKETS

    def named_jobs(self) -> Mapping[str, NamedJob]:
        """Return the jobs that the rules name and expect to run at certain times."""
        return self._named_jobs

    def policy_of(self, key: GroupingKey, stale_after: int | None) -> Policy | None:
        """Return the policy of the group `key` whose last push said `stale_after`
        (nanoseconds); None if nothing ever becomes of it."""
        if stale_after is None and not self.rules:
            return self._default
        return self._policy(self.rule_of(key) or _NO_RULE, stale_after)

    def _policy(self, rule: JobRule, stale_after: int | None) -> Policy | None:
        default = self._freshness
        policy = Policy(
            _first(stale_after, rule.stale_after, default.stale_after),
            _first(rule.forget_after, default.forget_after),
            rule.on_stale is OnStale.FORGET,
        )
        return None if policy == _NOTHING_HAPPENS else policy

    def is_timestamp(self, name: str) -> bool:
        """Whether a family of this name is a point in time."""
        short = len(name) <= _REMEMBERED_SIZE
        return self._known_timestamp(name) if short else self._matches_timestamps(name)

    def _matches_timestamps(self, name: str) -> bool:
        return self._timestamps.match(name) is not None


def _first(*durations: int | None) -> int | None:
    for duration in durations:  # next() and a generator take twice as long
        if duration is not None:
            return duration
    return None
