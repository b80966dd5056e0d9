"""The commands; each is imported only when it is called."""

from __future__ import annotations

import os
from importlib import import_module

import click

COMMANDS = {
    "backup": "pushrelay.cli.backup",
    "check-config": "pushrelay.cli.check_config",
    "completion": "pushrelay.cli.completion",
    "crontab": "pushrelay.cli.crontab",
    "db": "pushrelay.cli.db",
    "delete": "pushrelay.cli.delete",
    "exec": "pushrelay.cli.exec:exec_",
    "expect": "pushrelay.cli.expect",
    "groups": "pushrelay.cli.groups",
    "import": "pushrelay.cli.importing",
    "jobs": "pushrelay.cli.jobs",
    "lint": "pushrelay.cli.lint",
    "pause": "pushrelay.cli.pause",
    "push": "pushrelay.cli.push",
    "restore": "pushrelay.cli.restore",
    "resume": "pushrelay.cli.pause:resume",
    "retire": "pushrelay.cli.retire",
    "runs": "pushrelay.cli.runs",
    "serve": "pushrelay.cli.serve",
    "spool": "pushrelay.cli.spool",
    "token": "pushrelay.cli.token",
}
"""Modules of the commands; a command is named in its module as the module is, unless
its name follows."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # Among its commands, click finds only those that were imported.
            raise click.NoSuchCommand(
                error.command_name, possibilities=COMMANDS, ctx=ctx
            ) from None

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        path, _, variable = COMMANDS[name].partition(":")
        module = import_module(path)
        command: click.Command = getattr(module, variable or path.rpartition(".")[2])
        return command


def _tell_version(
    context: click.Context, _option: click.Parameter, asked: bool
) -> None:
    if asked and not context.resilient_parsing:
        from pushrelay.commit import version

        click.echo(f"pushrelay, version {version()}")
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version, and the commit it was built from, and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """A Pushgateway and batch-job metrics relay: jobs push, Prometheus scrapes."""
    if os.environ.get("NO_COLOR"):
        context.color = False
