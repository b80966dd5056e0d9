"""`pushrelay crontab`: put the commands of a crontab behind `pushrelay exec`."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache

import click

from pushrelay.cli.options import plain_option


@click.command()
@click.argument(
    "file",
    default="-",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@plain_option("--system", is_flag=True, help="Lines name a user, as in /etc/cron.d.")
@plain_option(
    "--pushrelay",
    "program",
    metavar="PATH",
    help="What to write for pushrelay in the lines. By default that, or its path if "
    "cron would not find it.",
)
def crontab(file: str, system: bool, program: str | None) -> None:
    """Put `pushrelay exec` in front of a crontab's commands.

    Prints the result. Without FILE, or with "-", it reads standard input. Warnings go
    to standard error; lines that are not understood stay as they are.
    """
    if file == "-" and sys.stdin.isatty():
        raise click.UsageError("give a file, or call: crontab -l | pushrelay crontab")
    from pushrelay.crontab import adopt
    from pushrelay.wrapper.host import time_zone

    with click.open_file(file, "rb") as stream:
        text = stream.read().decode("utf-8", "surrogateescape")
    # Whatever TZ says here: cron goes by what the system says.
    adopted, remarks = adopt(
        text,
        program=cache((lambda _: program) if program else _program_on),
        system=system,
        host_zone=time_zone({}),
    )
    name = "<stdin>" if file == "-" else click.format_filename(file)
    for remark in remarks:
        click.echo(f"{name}:{remark.line}: {remark.text}", err=True)
    click.echo(adopted.encode("utf-8", "surrogateescape"), nl=False)


def _program_on(path: str) -> str:
    """Return what cron finds on `path`: `pushrelay`, or that of the one that runs."""
    from pushrelay.cron_programs import is_on_path

    if is_on_path("pushrelay", path):
        return "pushrelay"
    beside = os.path.join(os.path.dirname(sys.executable), "pushrelay")
    for candidate in (sys.argv[0], beside):
        if os.path.basename(candidate) != "pushrelay":
            continue
        if found := shutil.which(candidate):
            return os.path.abspath(found)
    click.echo(f"pushrelay is not in {path}: give --pushrelay PATH", err=True)
    return "pushrelay"
