from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pushrelay.cli.main import cli

RULE = "[[jobs]]\nmatch = 'job=\"x\"'\n"


def run(file: Path) -> Result:
    return CliRunner().invoke(cli, ["check-config", str(file)])


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "0 job rules"), (RULE, "1 job rule"), (RULE * 3, "3 job rules")],
)
def test_a_good_file_is_counted(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    result = run(file)
    assert result.exit_code == 0
    assert result.stdout == f"{file}: {said}\n"
    assert result.stderr == ""


def test_all_problems_go_to_stderr(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(f"{RULE}mode = 'ad'\n{RULE}stale_after = ''\n")
    result = run(file)
    assert result.exit_code == 1
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:3: jobs[1].mode: must be ")
    assert second.startswith(f"{file}:6: jobs[2].stale_after: ")


@pytest.mark.parametrize("head", ["[[job]]", "[job]", "[job.limits]", "job.x = 1"])
def test_a_misspelt_table_is_told_with_its_line(tmp_path: Path, head: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(f"# rules\n\n{head}\n")
    [told] = run(file).stderr.splitlines()
    assert told == f"{file}:3: job: is not known here; did you mean jobs?"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "rules.toml", tmp_path):
        result = run(path)
        assert result.exit_code == 2
        assert f"'{path}'" in result.stderr


def test_a_command_imports_what_it_needs_and_no_earlier() -> None:
    script = (
        "import sys; import pushrelay.cli.check_config; "
        "print({'re2', 'tomllib'} & set(sys.modules))"
    )
    # Whoever measures coverage imports more.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=plain,
    )
    assert done.stdout == "set()\n"
