from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.errors import InvalidRules
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import (
    JobLimits,
    JobRule,
    JobRules,
    OnStale,
    parse_rules,
    read_rules,
)
from pushrelay.selector_parser import parse_selector
from pushrelay.toml_files import MAX_FILE_BYTES

HOUR = 3600 * 10**9

COMPLETE = """
[[jobs]]
match = '{job=~"backup-.*"}'
stale_after = "26h"
forget_after = "30d"
on_stale = "withhold"
mode = "add"
[jobs.limits]
body_bytes = 1_000_000
series = 1000
labels = 20
label_value_bytes = 100

[[jobs]]
match = "job='pods'"
stale_after = "10m"
on_stale = "forget"
limits.series = 5

[[jobs]]
match = 'job="rest",'
"""

RULES = JobRules(
    (
        JobRule(
            parse_selector('{job=~"backup-.*"}'),
            stale_after=26 * HOUR,
            forget_after=30 * 24 * HOUR,
            mode=Mode.ADD,
            limits=JobLimits(1_000_000, 1000, 20, 100),
        ),
        JobRule(
            parse_selector('{job="pods"}'),
            stale_after=HOUR // 6,
            on_stale=OnStale.FORGET,
            limits=JobLimits(series=5),
        ),
        JobRule(parse_selector('{job="rest"}')),
    )
)

MATCH = "[[jobs]]\nmatch = 'job=\"x\"'\n"

# What follows a rule's match, and the line and the text of the problem.
WRONG_KEYS = [
    (
        "stale_aftr = '1h'",
        3,
        "stale_aftr: is not known here; did you mean stale_after?",
    ),
    (
        "zzz = 1",
        3,
        "zzz: is not known here; write match, stale_after, forget_after, on_stale, "
        "mode, limits, schedule, every, ",
    ),
    (
        "stale_after = 26",
        3,
        'stale_after: must be a duration such as "26h", in quotes, not 26',
    ),
    (
        "forget_after = 2026-01-01",
        3,
        'forget_after: must be a duration such as "26h", in quotes, not 2026-01-01',
    ),
    (
        "stale_after = '1.5h'",
        3,
        'stale_after: "1.5h" is not a duration: write whole numbers with their units, '
        "the larger units first, such as 1h30m or 26h; the units are y, w, d, h, m, s "
        "and ms",
    ),
    ("stale_after = '0'", 3, "stale_after: must be longer than 0"),
    (
        "stale_after = '2h'\n\nforget_after = '1h'",
        5,
        "forget_after: is shorter than stale_after; both count from the last push",
    ),
    (
        "on_stale = 'forget'",
        3,
        "on_stale: needs stale_after in the same rule, to say when",
    ),
    (
        "on_stale = 'drop'",
        3,
        'on_stale: must be "withhold" or "forget", not "drop"',
    ),
    (
        "on_stale = ['forget']",
        3,
        'on_stale: must be "withhold" or "forget", not an array',
    ),
    (
        "mode = 'replace'",
        3,
        'mode: must be "update", "merge", "add" or "accumulate", not "replace"',
    ),
    (
        "mode = false",
        3,
        'mode: must be "update", "merge", "add" or "accumulate", not false',
    ),
    ("limits = 5", 3, "limits: must be a table, not 5"),
    (
        "[jobs.limits]\nseries = 0",
        4,
        "limits.series: must be a whole number from 1 up, not 0",
    ),
    (
        "[jobs.limits]\nlabels = true",
        4,
        "limits.labels: must be a whole number from 1 up, not true",
    ),
    (
        "limits = {body_bytes = 1.5}",
        3,
        "limits.body_bytes: must be a whole number from 1 up, not 1.5",
    ),
    (
        "[jobs.limits]\nseries = 1\nidle_seconds = 1",
        5,
        "limits.idle_seconds: is not known here; write body_bytes, series, labels, "
        "label_value_bytes, job_groups or job_series",
    ),
    ('"a\\nb" = 1', 2, '"a\\nb": is not known here; write match, stale_after, '),
]

# Whole files, and what is wrong with them.
WRONG_FILES = [
    ("[[job]]", ["f:1: job: is not known here; did you mean jobs?"]),
    ("\nx = 1", ["f:2: x: is not known here; write jobs"]),
    (
        "[jobs]\nmatch = 'job=\"x\"'",
        ["f:1: jobs: must be tables that begin with [[jobs]], a rule each"],
    ),
    (
        "jobs = [1]",
        ["f:1: jobs: must be tables that begin with [[jobs]], a rule each"],
    ),
    (
        "[[jobs]]",
        ["f:1: jobs[1]: has no match; write for example match = '{job=\"x\"}'"],
    ),
    (
        "[[jobs]]\nmatch = 5",
        ["f:2: jobs[1].match: must be a selector, in quotes, not 5"],
    ),
    (
        "[[jobs]]\nmatch = '{}'",
        [
            "f:2: jobs[1].match: has no matcher; the flags of the server say what "
            'holds for all groups, and job!="" chooses them all'
        ],
    ),
    (
        "[[jobs]]\nmatch = ''",
        [
            "f:2: jobs[1].match: invalid selector ``, column 1: expected matchers such "
            'as {job="x"}, found nothing'
        ],
    ),
    ("[[jobs]\n", ["f:1: is not TOML: Expected ']]' at the end of an array "]),
    ("\n\na", ["f:3: is not TOML: Expected '=' after a key in a key/value pair "]),
    ("a = '''\n\n", ["f:2: is not TOML: Expected \"'''\" (at end of document)"]),
    ("a = 1\n\na = 2\n", ["f:3: is not TOML: Cannot overwrite a value "]),
    ("a = " + "9" * 5000, ["f:1: is not TOML: Exceeds the limit "]),
    ("a = " + "[" * 5000, ["f:1: is not TOML: maximum recursion depth exceeded"]),
]


def problems_of(text: str) -> list[str]:
    with pytest.raises(InvalidRules) as refused:
        parse_rules(text, "f")
    assert str(refused.value).split("\n") == refused.value.problems
    return refused.value.problems


def test_a_file_says_what_holds_for_which_groups() -> None:
    assert parse_rules(COMPLETE, "f") == RULES


@pytest.mark.parametrize("text", ["", "# nothing\n", "jobs = []"])
def test_a_file_may_have_no_rules(text: str) -> None:
    assert len(parse_rules(text, "f")) == 0


@pytest.mark.parametrize(("written", "line", "problem"), WRONG_KEYS)
def test_a_wrong_key_is_named_with_its_line(
    written: str, line: int, problem: str
) -> None:
    (told,) = problems_of(MATCH + written)
    # The key in quotes has no line of its own.
    line = 1 if written.startswith('"') else line
    assert told.startswith(f"f:{line}: jobs[1].{problem}")


@pytest.mark.parametrize(("text", "problems"), WRONG_FILES)
def test_a_wrong_file_is_refused_with_the_line(text: str, problems: list[str]) -> None:
    told = problems_of(text)
    assert len(told) == len(problems)
    for one, expected in zip(told, problems, strict=True):
        assert one.startswith(expected)


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = f"x = 1\n{MATCH}mode = 1\n[jobs.limits]\nx = 1\n[[jobs]]\n{MATCH}y = 1\n"
    places = [problem.split(": ")[:2] for problem in problems_of(text)]
    assert places == [
        ["f:1", "x"],
        ["f:4", "jobs[1].mode"],
        ["f:6", "jobs[1].limits.x"],
        ["f:7", "jobs[2]"],
        ["f:10", "jobs[3].y"],
    ]


@pytest.mark.parametrize(
    ("labels", "decides"),
    [
        ({"job": "backup-db"}, 0),
        ({"job": "pods", "instance": "x"}, 1),
        ({"job": "rest"}, 2),
        ({"job": "backup"}, None),
    ],
)
def test_a_rule_decides_about_the_groups_it_chooses(
    labels: dict[str, str], decides: int | None
) -> None:
    expected = None if decides is None else RULES.rules[decides]
    assert RULES.of(GroupingKey.of(labels)) == expected


def test_the_first_rule_that_matches_decides() -> None:
    text = """
        jobs = [
            {match = 'job="x",instance="a"', mode = "add"},
            {match = 'job=~"x|y"', mode = "merge", stale_after = "1h"},
            {match = 'job="x"', mode = "update"},
        ]
    """
    rules = parse_rules(text, "f")
    keys = [
        GroupingKey.of({"job": "x", "instance": "a"}),
        GroupingKey.of({"job": "x"}),
        GroupingKey.of({"job": "y", "instance": "a"}),
    ]
    decided = [rules.of(key) for key in keys]
    assert [rule and rule.mode for rule in decided] == [
        Mode.ADD,
        Mode.MERGE,
        Mode.MERGE,
    ]
    # Rules that match later add nothing to it.
    assert decided[0] is not None
    assert decided[0].stale_after is None


def test_no_rules_decide_about_nothing() -> None:
    assert JobRules().of(GroupingKey.of({"job": "x"})) is None


def test_limits_of_a_rule_are_never_wider_than_the_servers() -> None:
    server = Limits(series=100, labels=10, idle_seconds=7.0)
    assert JobLimits(series=50, labels=20).within(server) == Limits(
        series=50, labels=10, idle_seconds=7.0
    )
    assert JobLimits().within(server) == server


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(COMPLETE)
    assert read_rules(file) == RULES
    file.write_bytes(COMPLETE.replace("\n", "\r\n").encode())
    assert read_rules(file) == RULES


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, directory = tmp_path / "missing.toml", tmp_path
    for path, reason in [
        (missing, "No such file or directory"),
        (directory, "Is a directory"),
    ]:
        with pytest.raises(InvalidRules) as refused:
            read_rules(path)
        assert str(refused.value) == f"{path}: cannot be read: {reason}"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(b"#" * MAX_FILE_BYTES)
    assert len(read_rules(file)) == 0
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(InvalidRules, match="is larger than 1048576 bytes"):
        read_rules(file)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(b"# x\n# \xff\n")
    with pytest.raises(InvalidRules) as refused:
        read_rules(file)
    assert str(refused.value) == f"{file}:2: is not UTF-8"


LINES = st.sampled_from(
    [
        "[[jobs]]",
        "[jobs.limits]",
        "[jobs]",
        "jobs = [{}]",
        *COMPLETE.strip().splitlines(),
        *(written for written, _, _ in WRONG_KEYS),
        "x = '''",
        "# x",
    ]
)


@given(st.lists(LINES).map("\n".join) | st.text('[]jobs.=x"\n{}') | st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        rules = parse_rules(text, "f")
    except InvalidRules as refused:
        problems = refused.problems
    else:
        problems = []
        assert all(not rule.selector.is_empty for rule in rules.rules)
    for problem in problems:
        _, line, _ = problem.split(":", 2)
        assert 1 <= int(line) <= text.count("\n") + 1
