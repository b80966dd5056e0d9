"""What job rules say of runs, and what is wrong with it, told as for other keys."""

from __future__ import annotations

import pytest
from builders import key_of

from pushrelay.errors import InvalidRules
from pushrelay.job_rules import JobRule, parse_rules
from pushrelay.policies import Policies
from pushrelay.run_evidence import DEFAULT_BUCKETS
from pushrelay.schedule import Expectation

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE

MATCH = "[[jobs]]\nmatch = 'job=\"x\"'\n"


def rule_of(written: str) -> JobRule:
    (rule,) = parse_rules(MATCH + written, "f").rules
    return rule


@pytest.mark.parametrize(
    ("written", "expectation"),
    [
        ("", None),
        ("stale_after = '1h'", None),
        ("duration_buckets = [1]", None),
        ("schedule = '0 3 * * *'", Expectation(schedule="0 3 * * *")),
        ("schedule = '@daily'", Expectation(schedule="0 0 * * *")),
        ("on_calendar = 'Mon 03:00'", Expectation(on_calendar="Mon 03:00")),
        (
            "schedule = '0 3 * * *'\ntz = 'Europe/Berlin'",
            Expectation(schedule="0 3 * * *", tz="Europe/Berlin"),
        ),
        ("every = '1h'\ngrace = '30m'", Expectation(every=HOUR, grace=30 * MINUTE)),
        ("every = '1h'\ngrace = '0'", Expectation(every=HOUR, grace=0)),
        ("max_runtime = '2h'", Expectation(max_runtime=2 * HOUR)),
        ("min_interval = '10m'", Expectation(min_interval=10 * MINUTE)),
        (
            "every = '1h'\nper_instance = true",
            Expectation(every=HOUR, per_instance=True),
        ),
        ("every = '1h'\nper_instance = false", Expectation(every=HOUR)),
    ],
)
def test_a_rule_says_what_is_expected(
    written: str, expectation: Expectation | None
) -> None:
    assert rule_of(written).expectation == expectation


@pytest.mark.parametrize(
    ("written", "buckets"),
    [
        ("", None),
        ("every = '1h'", None),
        ("duration_buckets = [0.5]", (0.5,)),
        ("duration_buckets = [1, 2.5, 60]", (1, 2.5, 60)),
        (f"duration_buckets = {list(range(1, 51))}", tuple(range(1, 51))),
    ],
)
def test_a_rule_says_how_durations_are_told_apart(
    written: str, buckets: tuple[float, ...] | None
) -> None:
    assert rule_of(written).duration_buckets == buckets


# What follows a rule's match, and the problems, each with its line.
WRONG = [
    (
        "schedule = '0 3 * *'",
        ['3: schedule: "0 3 * *" is not a cron line: there must be 5 fields and not 4'],
    ),
    ("schedule = 5", ['3: schedule: must be text such as "0 3 * * *", not 5']),
    (
        "on_calendar = '0 3 * * *'",
        ['3: on_calendar: "0 3 * * *" is not a calendar expression: its day-of-week '],
    ),
    (
        "on_calendar = 'dayly'\nmax_runtime = 5",
        [
            '3: on_calendar: "dayly" is not a calendar expression: its day-of-week ',
            "4: max_runtime: must be text ",
        ],
    ),
    ("every = 3600", ['3: every: must be text such as "1h30m", not 3600']),
    ("every = '1.5h'", ['3: every: "1.5h" is not a duration: ']),
    ("every = '1ms'", ['3: every: "1ms" is out of bounds: write 1s to 10y']),
    (
        "schedule = '@daily'\n\nevery = '1h'",
        ['5: every: "1h" stands beside schedule; write one of them'],
    ),
    ("every = '1h'\ngrace = '-5m'", ['4: grace: "-5m" is not a duration: ']),
    ("grace = '5m'", ['3: grace: "5m" needs schedule, on_calendar or every beside it']),
    (
        "every = '1h'\ntz = 'UTC'",
        ['4: tz: "UTC" needs schedule or on_calendar beside it'],
    ),
    (
        "schedule = '@daily'\ntz = 'Europe/Berlim'",
        [
            '4: tz: "Europe/Berlim" is not a time zone known here; did you mean '
            "Europe/Berlin?"
        ],
    ),
    (
        "schedule = '@daily'\ntz = 'America'",
        ['4: tz: "America" is not a time zone known here'],
    ),
    ("max_runtime = '0'", ['3: max_runtime: "0" is out of bounds: write 1ms to 10y']),
    ("min_interval = [1]", ['3: min_interval: must be text such as "1h30m", not an ']),
    (
        "per_instance = true",
        [
            "3: per_instance: says nothing; write schedule, on_calendar, every, "
            "max_runtime or min_interval"
        ],
    ),
    (
        "every = '1h'\nper_instance = 'yes'",
        ['4: per_instance: must be true or false, not "yes"'],
    ),
    ("shedule = '@daily'", ["3: shedule: is not known here; did you mean schedule?"]),
    # all of them at once
    (
        "schedule = 'x'\ntz = 'y'\ngrace = 1\nmax_runtime = 'z'\nmin_interval = 2\n"
        "per_instance = 3\nmode = 4\nduration_buckets = 5",
        [
            '3: schedule: "x" is not a cron line',
            '4: tz: "y" is not a time zone known here',
            '5: grace: must be text such as "1h30m", not 1',
            '6: max_runtime: "z" is not a duration',
            '7: min_interval: must be text such as "1h30m", not 2',
            "8: per_instance: must be true or false, not 3",
            '9: mode: must be "update", ',
            "10: duration_buckets: must be 1 to 50 ",
        ],
    ),
    (
        "every = 'x'\ntz = 'y'\nmax_runtime = 'z'",
        [
            '3: every: "x" is not a duration',
            '4: tz: "y" needs schedule or on_calendar beside it',
            '5: max_runtime: "z" is not a duration',
        ],
    ),
    (
        "duration_buckets = 5",
        [
            "3: duration_buckets: must be 1 to 50 numbers of seconds, such as "
            "[60, 300, 900], not 5"
        ],
    ),
    (
        "duration_buckets = []",
        [
            "3: duration_buckets: must be 1 to 50 numbers of seconds, such as "
            "[60, 300, 900], not 0 of them"
        ],
    ),
    (
        f"duration_buckets = {list(range(1, 52))}",
        [
            "3: duration_buckets: must be 1 to 50 numbers of seconds, such as "
            "[60, 300, 900], not 51 of them"
        ],
    ),
    *(
        (
            f"duration_buckets = [1, {wrong}]",
            [
                "3: duration_buckets: must be numbers of seconds above 0, not "
                f"{shown or wrong}"
            ],
        )
        for wrong, shown in [
            ("0", ""),
            ("-1.5", ""),
            ("inf", ""),
            ("nan", ""),
            ("true", ""),
            ('"5m"', ""),
            ("[5]", "an array"),
        ]
    ),
    (
        "duration_buckets = [1, 5, 2.5]",
        ["3: duration_buckets: must ascend, but 2.5 comes after 5"],
    ),
    (
        "duration_buckets = [1, 1.0]",
        ["3: duration_buckets: must ascend, but 1 comes after 1"],
    ),
    (
        f"duration_buckets = [1, 1{'0' * 400}]",
        ["3: duration_buckets: has a number that is too large"],
    ),
]


@pytest.mark.parametrize(("written", "problems"), WRONG)
def test_what_is_wrong_is_told_with_its_line(written: str, problems: list[str]) -> None:
    with pytest.raises(InvalidRules) as refused:
        parse_rules(MATCH + written, "f")
    told = refused.value.problems
    assert len(told) == len(problems)
    for one, problem in zip(told, problems, strict=True):
        line, _, rest = problem.partition(": ")
        assert one.startswith(f"f:{line}: jobs[1].{rest}")


def test_the_first_rule_that_matches_decides_about_runs() -> None:
    rules = """
        jobs = [
            {match = 'job="x",instance="a"', mode = "add"},
            {match = 'job=~"x|y"', every = "1h", duration_buckets = [1, 2]},
            {match = 'job="x"', every = "2h", max_runtime = "1h"},
        ]
    """
    policies = Policies(rules=parse_rules(rules, "f"))
    hourly = Expectation(every=HOUR)
    assert policies.expectation_of(key_of("x")) == hourly
    assert policies.expectation_of(key_of("y", instance="a")) == hourly
    assert policies.buckets_of(key_of("x")) == (1, 2)
    # What the first leaves out, no later one adds.
    for key in (key_of("x", instance="a"), key_of("z")):
        assert policies.expectation_of(key) is None
        assert policies.buckets_of(key) == DEFAULT_BUCKETS
