"""What the push, the job rules and the server's defaults say of a group."""

from __future__ import annotations

import pytest
from builders import key_of

from pushrelay.config import Freshness
from pushrelay.freshness import Policy
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies

HOUR, DAY = 3600 * 10**9, 24 * 3600 * 10**9
DEFAULT = Freshness(stale_after=2 * HOUR, forget_after=9 * DAY)
RULES = parse_rules(
    """
    [[jobs]]
    match = 'job="exempt"'
    [[jobs]]
    match = '{job=~"pod-.*",instance!=""}'
    stale_after = "1h"
    on_stale = "forget"
    [[jobs]]
    match = '{job=~"pod-.*"}'
    forget_after = "1d"
    """,
    "rules.toml",
)
POD, SERVICE, OTHER = key_of("pod-a", instance="1"), key_of("pod-a"), key_of("b")


@pytest.mark.parametrize(
    ("freshness", "rules", "key", "stale_after", "expected"),
    [
        # nobody says anything
        (Freshness(), None, OTHER, None, None),
        (Freshness(), RULES, OTHER, None, None),
        (Freshness(), RULES, key_of("exempt"), None, None),
        # the server
        (DEFAULT, None, OTHER, None, Policy(2 * HOUR, 9 * DAY)),
        (DEFAULT, RULES, OTHER, None, Policy(2 * HOUR, 9 * DAY)),
        # what the first matching rule leaves out is as the server says
        (DEFAULT, RULES, POD, None, Policy(HOUR, 9 * DAY, forgets_when_stale=True)),
        (DEFAULT, RULES, SERVICE, None, Policy(2 * HOUR, DAY)),
        (DEFAULT, RULES, key_of("exempt"), None, Policy(2 * HOUR, 9 * DAY)),
        (Freshness(), RULES, SERVICE, None, Policy(None, DAY)),
        # the push
        (Freshness(), None, OTHER, 5, Policy(5)),
        (DEFAULT, RULES, POD, 5, Policy(5, 9 * DAY, forgets_when_stale=True)),
        (DEFAULT, RULES, OTHER, 0, Policy(0, 9 * DAY)),
    ],
)
def test_the_first_that_says_something_decides(
    freshness: Freshness,
    rules: object,
    key: object,
    stale_after: int | None,
    expected: Policy | None,
) -> None:
    policies = Policies(freshness, rules)  # type: ignore[arg-type]
    assert policies.policy_of(key, stale_after) == expected  # type: ignore[arg-type]


def test_rules_can_be_replaced() -> None:
    before = Policies(DEFAULT, RULES)
    after = before.with_rules(parse_rules("", "rules.toml"))
    assert before.rule_of(POD) is RULES.rules[1]
    assert after.rule_of(POD) is None
    assert after.policy_of(POD, None) == Policy(2 * HOUR, 9 * DAY)


def test_rules_are_found_for_keys_too_long_to_remember() -> None:
    long = key_of("pod-" + "x" * 1000, instance="1")
    assert Policies(rules=RULES).rule_of(long) is RULES.rules[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x_timestamp_seconds", True),
        ("x_last_success", True),
        ("x_last_success_seconds", True),
        ("x_unixtime", True),
        ("x_timestamp_seconds_total", False),
        ("X_UNIXTIME", False),
        ("timestamp", False),
        ("x_seconds", False),
        ("a\nb_unixtime", True),
    ],
)
def test_points_in_time_are_known_by_their_names(name: str, expected: bool) -> None:
    assert Policies().is_timestamp(name) is expected


def test_names_too_long_to_remember_are_points_in_time_all_the_same() -> None:
    policies = Policies()
    assert policies.is_timestamp("x" * 1000 + "_unixtime")
    assert not policies.is_timestamp("x" * 1000)
    assert policies._known_timestamp.cache_info().currsize == 0


def test_the_patterns_of_points_in_time_can_be_chosen() -> None:
    chosen = Policies(Freshness(timestamp_series=("done_?", "exact[1]")))
    names = ["done_1", "done_12", "exact1", "x_unixtime"]
    assert [chosen.is_timestamp(name) for name in names] == [True, False, True, False]
    none = Policies(Freshness(timestamp_series=()))
    assert not none.is_timestamp("x_unixtime")
