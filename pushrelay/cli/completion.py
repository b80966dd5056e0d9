"""`pushrelay completion`: what makes shells complete commands and options."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
)

VARIABLE = "_PUSHRELAY_COMPLETE"
"""With it in the environment, `pushrelay` completes, whatever its arguments say."""

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for completion in a shell.

    It completes commands and options of pushrelay. bash must be 4.4 or newer.
    """
    program = context.find_root().command
    made = _SHELLS[shell](program, {}, "pushrelay", VARIABLE)
    # Not its source(), which asks the bash of this machine for its version.
    click.echo(made.source_template % made.source_vars())


def complete_command(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return what may be the next word of a command with its arguments: a program that
    is on PATH, then files."""
    given = context.params.get(parameter.name or "")
    if given or os.sep in incomplete:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in sorted(set(_programs(incomplete)))]


def _programs(beginning: str) -> Iterator[str]:
    for directory in os.get_exec_path():
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(beginning) and os.access(entry.path, os.X_OK):
                yield entry.name
