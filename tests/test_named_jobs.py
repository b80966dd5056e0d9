"""Which jobs are expected though nobody has seen them."""

from __future__ import annotations

import time

import pytest

from pushrelay.job_rules import parse_rules
from pushrelay.named_jobs import NamedJob
from pushrelay.policies import Policies
from pushrelay.schedule import Expectation

HOURLY = Expectation(every=3600 * 10**9)
EACH_HOURLY = Expectation(every=3600 * 10**9, per_instance=True)
DAILY = Expectation(schedule="0 0 * * *")
EACH_DAILY = Expectation(schedule="0 0 * * *", per_instance=True)

WORDS = {
    "hourly": "every = '1h'",
    "each hourly": "every = '1h'\nper_instance = true",
    "daily": "schedule = '@daily'",
    "each daily": "schedule = '@daily'\nper_instance = true",
    "short": "max_runtime = '1h'",
    "nothing": "",
}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([], {}),
        ([('job="x"', "hourly")], {"x": NamedJob(HOURLY)}),
        (
            [('job="x"', "hourly"), ('job="y"', "daily")],
            {"x": NamedJob(HOURLY), "y": NamedJob(DAILY)},
        ),
        # no time is said
        ([('job="x"', "nothing")], {}),
        ([('job="x"', "short")], {}),
        # nobody is named
        ([('job=~"x"', "hourly")], {}),
        ([('job!="x"', "hourly")], {}),
        ([('job=""', "hourly")], {}),
        ([('instance="a"', "hourly")], {}),
        ([('job="x",instance!="a"', "hourly")], {}),
        ([('job="x",zone="a"', "hourly")], {}),
        ([('job="x",job="y"', "hourly")], {}),
        # the first rule that matches decides
        ([('job=~"x.*"', "daily"), ('job="x"', "hourly")], {"x": NamedJob(DAILY)}),
        ([('job=~"x.*"', "daily"), ('job="x"', "nothing")], {"x": NamedJob(DAILY)}),
        ([('job=~"x.*"', "nothing"), ('job="x"', "hourly")], {}),
        ([('job="x"', "short"), ('job="x"', "hourly")], {}),
        ([('job="x"', "hourly"), ('job=~"x.*"', "daily")], {"x": NamedJob(HOURLY)}),
        ([('instance="a"', "daily"), ('job="x"', "hourly")], {"x": NamedJob(HOURLY)}),
        ([('instance=""', "daily"), ('job="x"', "hourly")], {"x": NamedJob(DAILY)}),
        # any instance will do, if nothing is said of the job alone
        ([('job="x",instance="a"', "hourly")], {"x": NamedJob(HOURLY)}),
        ([('job="x",instance=""', "hourly")], {"x": NamedJob(HOURLY)}),
        (
            [('job="x",instance="a"', "hourly"), ('job="x"', "daily")],
            {"x": NamedJob(DAILY)},
        ),
        (
            [('job="x",instance="a"', "hourly"), ('job="x"', "nothing")],
            {"x": NamedJob(HOURLY)},
        ),
        (
            [('job="x",instance="b"', "hourly"), ('job="x",instance="a"', "daily")],
            {"x": NamedJob(HOURLY)},
        ),
        # each instance
        ([('job="x"', "each hourly")], {"x": NamedJob(EACH_HOURLY)}),
        (
            [('job="x",instance="a"', "each hourly")],
            {"x": NamedJob(EACH_HOURLY, {"a": EACH_HOURLY})},
        ),
        (
            [
                ('job="x",instance="a"', "each hourly"),
                ('instance="b",job="x"', "each daily"),
                ('job="x",instance="c"', "hourly"),
                ('job="x"', "daily"),
            ],
            {"x": NamedJob(DAILY, {"a": EACH_HOURLY, "b": EACH_DAILY})},
        ),
        (
            [('instance=~"a|b"', "each daily"), ('job="x",instance="a"', "nothing")],
            {"x": NamedJob(EACH_DAILY, {"a": EACH_DAILY})},
        ),
    ],
)
def test_rules_name_jobs(
    rules: list[tuple[str, str]], named: dict[str, NamedJob]
) -> None:
    text = "".join(
        f"[[jobs]]\nmatch = '{match}'\n{WORDS[word]}\n" for match, word in rules
    )
    assert Policies(rules=parse_rules(text, "f")).named_jobs() == named


def test_a_large_file_is_no_burden() -> None:
    text = "".join(
        f"[[jobs]]\nmatch='job=\"x{number}\"'\nevery='1h'\n" for number in range(20_000)
    )
    rules = parse_rules(text, "f")
    begin = time.perf_counter()
    assert len(Policies(rules=rules).named_jobs()) == 20_000
    assert time.perf_counter() - begin < 5
