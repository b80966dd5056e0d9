"""The command line of `pushrelay exec`, which is read by hand and known to click."""

from __future__ import annotations

import inspect
import os
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pytest
from command import call, run
from hypothesis import given, settings
from hypothesis import strategies as st

import pushrelay
from pushrelay.cli.exec import exec_
from pushrelay.cli.main import cli
from pushrelay.errors import Misuse
from pushrelay.schedule import Expectation
from pushrelay.wrapper.command_line import checked_options, read_command_line
from pushrelay.wrapper.documents import EXPECTATION_FIELDS
from pushrelay.wrapper.options import TABLE, Option, Options

VALUES = {
    "DURATION": ["0", "10s", "1h30m", "26h"],
    "NAME=VALUE": ["a=b", "b=", "instance=x", "a=c=d"],
    "HOW": ["skip", "wait", "fail", "kill"],
    "N": ["0", "3", "1000"],
    "CODES": ["0", "0,3-5", "7-3"],
    "SIZE": ["0", "4kB", "10 kB", "1KiB"],
    "CRON": ["0 3 * * *"],
}
WRONG = ["", "a", "-", "--", "--job", "-1", "1001", "256", "1 h", "job=a", "=a", "x=y"]
WORDS = ["true", "-x", "--", "--job=a", "-", "", "a b", "--nonsense", "--quiet"]
VARIABLES = ["PUSHRELAY_URL", "PUSHRELAY_TOKEN_FILE", "PUSHRELAY_JOB"]


def written(option: Option) -> st.SearchStrategy[list[str]]:
    """Return words that give this option, mostly rightly."""
    name = f"--{option.name}"
    if option.is_flag:
        return st.sampled_from([[name], [name], [name], [f"{name}=1"]])
    right = st.sampled_from(VALUES.get(option.metavar, ["a", "x y", "http://a"]))
    value = st.one_of(right, right, right, st.sampled_from(WRONG), st.text(max_size=3))
    return value.flatmap(lambda v: st.sampled_from([[name, v], [f"{name}={v}"]]))


options = st.lists(st.sampled_from(TABLE).flatmap(written), max_size=4)
commands = st.one_of(
    st.just(["--", "true"]),
    st.just(["true", "--job", "a"]),
    st.lists(st.sampled_from(WORDS), max_size=3),
)
command_lines = st.tuples(options, commands).map(
    lambda parts: [word for words in parts[0] for word in words] + parts[1]
)
environments = st.dictionaries(
    st.sampled_from(VARIABLES), st.sampled_from(["", "a"]), max_size=2
)


def by_click(arguments: list[str]) -> Options:
    """Return the options as click reads them. Raises click's errors, and Misuse."""
    # The first context of a command decides on its options for help.
    group = click.Context(cli, **cli.context_settings)
    values: dict[str, Any] = exec_.make_context("exec", [*arguments], group).params
    command = values.pop("command")
    found = {name: each for name, each in values.items() if each not in (None, ())}
    return checked_options([*command], found)


def as_values(options: Options) -> dict[str, Any]:
    values = {**vars(options)}
    return {**values, "label": list(values["label"])}


@settings(max_examples=300)
@given(command_lines, environments)
def test_click_and_the_wrapper_read_the_same(
    arguments: list[str], environment: dict[str, str]
) -> None:
    with patch.dict(os.environ, environment):
        try:
            expected = as_values(by_click(arguments))
        except (click.UsageError, Misuse):
            with pytest.raises(Misuse):
                read_command_line(arguments, environment)
            return
    found = read_command_line(arguments, environment)
    assert found is not None
    assert as_values(found) == expected


def test_every_option_is_read_and_has_help() -> None:
    shown = " ".join(call("exec", "--help").stdout.split())
    assert set(Options.__annotations__) == {
        "command",
        *[option.parameter for option in TABLE],
    }
    for option in TABLE:
        assert option.help.endswith(".")
        assert option.help in shown
        assert f"--{option.name}" in shown
        assert option.variable is None or option.variable in shown


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_shown_and_nothing_runs(word: str, tmp_path: Path) -> None:
    done = run("exec", "--job=a", word, "touch", str(tmp_path / "a"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: pushrelay exec [OPTIONS] -- COMMAND...\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--", "--help"]])
def test_help_behind_the_command_is_of_the_command(words: list[str]) -> None:
    found = read_command_line(["--", "git", *words], {})
    assert found is not None
    assert found.command == ["git", *words]


NO_COMMAND = "no command is given; write pushrelay exec [OPTIONS] -- COMMAND [ARG...]"
NO_DURATION = (
    " is not a duration: write whole numbers with their units, the larger units "
    "first, such as 1h30m or 26h; the units are y, w, d, h, m, s and ms"
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], NO_COMMAND),
        (["--"], NO_COMMAND),
        (["--", ""], NO_COMMAND),
        (["--quiet"], NO_COMMAND),
        (["--jb", "a"], "there is no option --jb; see pushrelay exec --help"),
        (["-x", "a"], "there is no option -x; see pushrelay exec --help"),
        (["--jb=a", "a"], "there is no option --jb; see pushrelay exec --help"),
        (["--job"], "--job needs a value"),
        (["--job", "", "true"], "--job must not be empty"),
        (["--job=a", "--job=b", "true"], "--job is given more than once"),
        (["--quiet", "--quiet", "true"], "--quiet is given more than once"),
        (["--quiet=1", "true"], "--quiet takes no value"),
        (["--every", "1 h", "true"], f'--every is wrong: "1 h"{NO_DURATION}'),
        (["--timeout=x", "true"], f'--timeout is wrong: "x"{NO_DURATION}'),
        (
            ["--jitter=300y", "true"],
            '--jitter is wrong: the duration "300y" is too long: the longest is 292y',
        ),
        (["--label", "a", "true"], "--label must be NAME=VALUE, not a"),
        (["--label", "=a", "true"], "--label must be NAME=VALUE, not =a"),
        (
            ["--label", "job=a", "true"],
            "--label cannot be the job; name that with --job",
        ),
        (
            ["--label=a=b", "--label=a=c", "true"],
            "the label a is given more than once",
        ),
        (
            ["--label=instance=b", "--instance=a", "true"],
            "--label instance=... and --instance are one too many",
        ),
        (
            ["--lock=no", "true"],
            "--lock must be skip or wait or fail, not no",
        ),
        (["--reap=no", "true"], "--reap must be wait or kill, not no"),
        (
            ["--retries=-1", "true"],
            "--retries must be a number from 0 to 1000, not -1",
        ),
        (
            ["--retries=1001", "true"],
            "--retries must be a number from 0 to 1000, not 1001",
        ),
        (
            ["--success-codes=256", "true"],
            "--success-codes must be exit codes from 0 to 255, such as 0,3-5, not 256",
        ),
        (
            ["--success-codes=5-3", "true"],
            "--success-codes must be exit codes from 0 to 255, such as 0,3-5, not 5-3",
        ),
        (
            ["--output-tail=11kB", "true"],
            "--output-tail must be bytes up to 10kB, such as 4kB, not 11kB",
        ),
        (
            ["--schedule=0 3 * * *", "--every=1h", "true"],
            "--schedule and --every are one too many",
        ),
        (
            ["--on-calendar=daily", "--every=1h", "true"],
            "--on-calendar and --every are one too many",
        ),
        (
            ["--retry-delay=1s", "true"],
            "--retry-delay is of no use without --retries",
        ),
        (
            ["--kill-after=1s", "true"],
            "--kill-after is of no use without --timeout or --reap",
        ),
        (["--lock-file=a", "true"], "--lock-file is of no use without --lock"),
        (
            ["--grace=1m", "true"],
            "--grace is of no use without --schedule or --on-calendar or --every",
        ),
        (
            ["--tz=UTC", "--every=1h", "true"],
            "--tz is of no use without --schedule or --on-calendar",
        ),
    ],
)
def test_what_cannot_be_followed_is_told(arguments: list[str], told: str) -> None:
    with pytest.raises(Misuse) as misuse:
        read_command_line(arguments, {})
    assert str(misuse.value) == told


def test_a_variable_that_is_empty_says_nothing() -> None:
    found = read_command_line(["true"], {"PUSHRELAY_URL": ""})
    assert found is not None
    assert found.url is None


def test_misuse_runs_nothing_and_ends_with_125(tmp_path: Path) -> None:
    done = run("exec", "--lock=no", "--", "touch", str(tmp_path / "a"))
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == (
        "pushrelay exec: --lock must be skip or wait or fail, not no\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_expected_of_a_job_is_said_alike_everywhere() -> None:
    expected = set(EXPECTATION_FIELDS)
    assert expected <= {option.parameter for option in TABLE}
    assert expected <= inspect.signature(pushrelay.run).parameters.keys()
    assert expected <= {field.name for field in fields(Expectation)}
