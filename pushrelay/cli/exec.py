"""`pushrelay exec` as click knows it: for its help and for completions.

When a job calls it, the wrapper reads the command line itself; see
`pushrelay.__main__`.
"""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from pushrelay.cli.completion import complete_command
from pushrelay.cli.options import OnceOption
from pushrelay.errors import Misuse
from pushrelay.wrapper.command_line import checked_options
from pushrelay.wrapper.main import MISUSE, execute, exit_with
from pushrelay.wrapper.options import TABLE, Option


class _Value(click.ParamType[Any]):
    """The value of an option, read as the wrapper reads it."""

    def __init__(self, option: Option) -> None:
        self.name = option.parameter
        self._option = option

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return self._option.value_of(value) if isinstance(value, str) else value

    def shell_complete(
        self, ctx: Any, param: Any, incomplete: str
    ) -> list[CompletionItem]:
        choices = self._option.choices
        return [CompletionItem(one) for one in choices if one.startswith(incomplete)]


def _declared(option: Option) -> click.Option:
    return OnceOption(
        [f"--{option.name}", option.parameter],
        type=None if option.is_flag else _Value(option),
        is_flag=option.is_flag or None,  # False would make the value optional
        multiple=option.multiple,
        metavar=option.metavar or None,
        envvar=option.variable,
        show_envvar=option.variable is not None,
        help=option.help,
    )


@click.command(
    "exec",
    params=[*map(_declared, TABLE)],
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.argument(
    "command",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    shell_complete=complete_command,
)
def exec_(command: tuple[str, ...], **values: Any) -> None:
    """Run COMMAND, and report how it went.

    Put `pushrelay exec --` in front of the command in a crontab, and the relay knows
    when the job ran, how it ended and what it used. The command keeps its arguments,
    environment, input, output, terminal, signals and exit status, and never waits for
    the relay.

    Exit status: the command's; 124 or 137 after --timeout; 126 or 127 if the command
    cannot be run; 75 with --lock fail or --require-report; 125 for a wrong call, or if
    the file of --lock cannot be used.
    """
    given = {name: value for name, value in values.items() if value not in (None, ())}
    try:
        options = checked_options([*command], given)
    except Misuse as error:
        exit_with(MISUSE, str(error))
    execute(options)
