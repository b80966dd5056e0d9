from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pushrelay.cli.main import cli

RULE = "[[jobs]]\nmatch = 'job=\"x\"'\n"


def run(*arguments: Path | str) -> Result:
    return CliRunner().invoke(cli, ["check-config", *map(str, arguments)])


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


HASH = "$2y$04$xvz/WiSyz2LEuXppSCITb.OKhOtG94GJI7RMwjV/L92UxUFVrEzBy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no TLS, 0 users"),
        (f"basic_auth_users: {{a: {HASH}}}", "no TLS, 1 user"),
        (f"basic_auth_users: {{a: {HASH}, b: {HASH}}}", "no TLS, 2 users"),
    ],
)
def test_a_good_web_configuration_is_summed_up(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(text)
    result = run("--web.config.file", file)
    assert (result.exit_code, result.stdout) == (0, f"{file}: {said}\n")
    assert result.stderr == ""


def test_what_a_relay_does_not_follow_is_said(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{a: {HASH.replace('$04$', '$16$')}}}")
    result = run("--web.config.file", file)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"{file}: the password of the user a is hashed wit")


def test_both_files_are_checked(tmp_path: Path) -> None:
    rules, web = tmp_path / "rules.toml", tmp_path / "web.yml"
    rules.write_text("[[job]]\n")
    web.write_text("\ntls: {}\nrate_limit: {burst: x}\n")
    result = run(rules, "--web.config.file", web)
    assert result.exit_code == 1
    first, second, third = result.stderr.splitlines()
    assert first.startswith(f"{rules}:1: job: is not known here")
    assert second.startswith(f"{web}:2: tls: is not known here")
    assert third.startswith(f"{web}:3: rate_limit.burst: must be a whole number")
    rules.write_text(RULE)
    assert run(rules, "--web.config.file", web).exit_code == 1
    web.write_text("")
    assert run(rules, "--web.config.file", web).exit_code == 0


def test_no_file_at_all_is_a_usage_error() -> None:
    result = run()
    assert result.exit_code == 2
    assert "give a file of job rules, or --web.config.file, or both" in result.stderr


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
