"""The commands; each is imported only when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from pushrelay import __version__

COMMANDS = {
    "check-config": "pushrelay.cli.check_config",
    "db": "pushrelay.cli.db",
    "delete": "pushrelay.cli.delete",
    "groups": "pushrelay.cli.groups",
    "import": "pushrelay.cli.importing",
    "lint": "pushrelay.cli.lint",
    "push": "pushrelay.cli.push",
    "retire": "pushrelay.cli.retire",
    "serve": "pushrelay.cli.serve",
}
"""Modules of the commands; a command is named in its module as the module is."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(COMMANDS[name])
        command: click.Command = getattr(module, COMMANDS[name].rpartition(".")[2])
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="pushrelay, version %(version)s")
def cli() -> None:
    """A Pushgateway and batch-job metrics relay: jobs push, Prometheus scrapes."""
