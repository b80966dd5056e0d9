from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pushrelay.cli.main import cli
from pushrelay.cli.options import flag_values, option


@click.command()
@option("--some.flag", "some_flag", default="")
@option("--many.flag", "many", multiple=True)
@option("--a.switch/--no-a.switch", "switch")
@click.pass_context
def command(context: click.Context, **values: object) -> None:
    for name, value in flag_values(context.command, values).items():
        click.echo(f"{name}={value}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--some.flag=a", "--some.flag=a"],
        ["--some.flag", "a", "--some.flag", "b"],
        ["--a.switch", "--no-a.switch"],
        ["--a.switch", "--a.switch"],
    ],
)
def test_a_flag_given_twice_is_an_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "cannot be repeated" in result.output


def test_flags_are_told_as_text() -> None:
    result = CliRunner().invoke(
        command, ["--many.flag=a", "--many.flag=b", "--a.switch", "--some.flag=c"]
    )
    assert result.output == "some.flag=c\nmany.flag=a,b\na.switch=true\n"


def test_flags_come_from_the_environment() -> None:
    environment = {"PUSHRELAY_SOME_FLAG": "x", "PUSHRELAY_A_SWITCH": "true"}
    result = CliRunner().invoke(command, [], env=environment)
    assert result.output == "some.flag=x\nmany.flag=\na.switch=true\n"


def test_each_command_shows_its_help() -> None:
    listing = CliRunner().invoke(cli, ["--help"]).output
    for name in cli.list_commands(click.Context(cli)):
        assert f"\n  {name} " in listing
        assert CliRunner().invoke(cli, [name, "-h"]).exit_code == 0


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("run", "No such command 'run'. Did you mean 'runs'?"),
        ("jobss", "No such command 'jobss'. Did you mean 'jobs'?"),
        ("exek", "No such command 'exek'. (Did you mean one of: 'exec', 'expect'?)"),
        ("nothing", "No such command 'nothing'."),
    ],
)
def test_an_unknown_command_is_a_usage_error(typed: str, told: str) -> None:
    done = CliRunner().invoke(cli, [typed, "x"])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: {told}"


def test_an_unknown_option_before_the_command_is_one() -> None:
    done = CliRunner().invoke(cli, ["--versoin"])
    assert done.exit_code == 2
    assert "No such option" in done.stderr
