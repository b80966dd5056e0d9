from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pushrelay.cli.main import cli

GOOD = "# HELP x X.\nx 1\n"
UNWISE = "\nx 1\n"
BAD = "# HELP x X.\nx 1\nx 2\n"


def run(body: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["lint", "-", *arguments], input=body)


@pytest.mark.parametrize(
    ("body", "code", "output"),
    [
        ("", 0, ""),
        (GOOD, 0, ""),
        (UNWISE, 0, "<stdin>:2: warning: x no help text\n"),
        (
            BAD,
            1,
            '<stdin>:3: error: collected metric "x" {instance="", job="lint"} was '
            "collected before with the same name and label values (first in line 2)\n",
        ),
        (
            "x\n",
            1,
            "<stdin>:1: error: text format parsing error in line 1: expected float as "
            'value, got ""\n',
        ),
    ],
)
def test_findings_are_printed_with_their_place(
    body: str, code: int, output: str
) -> None:
    result = run(body)
    assert (result.exit_code, result.output) == (code, output)


def test_a_file_is_named_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "x.prom"
    file.write_text(UNWISE)
    result = CliRunner().invoke(cli, ["lint", str(file)])
    assert result.output == f"{file}:2: warning: x no help text\n"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["lint", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_findings_may_be_json() -> None:
    result = run(BAD, "--output=json")
    assert result.exit_code == 1
    assert json.loads(result.output) == [
        {
            "file": "<stdin>",
            "severity": "error",
            "reason": "duplicate",
            "detail": 'collected metric "x" {instance="", job="lint"} was collected '
            "before with the same name and label values",
            "family": "x",
            "series": 'x{instance="",job="lint"}',
            "line": 3,
            "first_line": 2,
            "group": '{job="lint"}',
        }
    ]
    assert json.loads(run(GOOD, "--output=json").output) == []


def test_names_are_those_that_the_relay_takes() -> None:
    body = '# HELP "x.y" X.\n{"x.y"} 1\n'
    assert run(body).exit_code == 1
    result = run(body, "--push.enable-utf8-names")
    assert (result.exit_code, result.output) == (0, "")


def test_standard_input_is_read_from_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pushrelay", "lint", "-"],
        input=UNWISE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "<stdin>:2: warning: x no help text\n"
