"""`pushrelay check-config`: what is wrong with the files that a relay is given."""

from __future__ import annotations

from pathlib import Path

import click

from pushrelay.cli.options import plain_option
from pushrelay.errors import InvalidRules, InvalidWebConfig

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE, required=False)
@plain_option(
    "--web.config.file",
    "web_config_file",
    type=_FILE,
    metavar="FILE",
    help="A file with TLS, users, headers and the rate of requests, as for serve.",
)
def check_config(file: Path | None, web_config_file: Path | None) -> None:
    """Check job rules, a web configuration file, or both.

    Exits with 1 if anything in them is wrong.
    """
    if file is None and web_config_file is None:
        raise click.UsageError(
            "give a file of job rules, or --web.config.file, or both"
        )
    is_good = True
    if file is not None:
        is_good = _check_rules(file)
    if web_config_file is not None:
        is_good = _check_web_config(web_config_file) and is_good
    if not is_good:
        raise click.exceptions.Exit(1)


def _check_rules(file: Path) -> bool:
    from pushrelay.job_rules import read_rules

    try:
        count = len(read_rules(file))
    except InvalidRules as error:
        click.echo(str(error), err=True)
        return False
    click.echo(f"{file}: {count} job rule{'' if count == 1 else 's'}")
    return True


def _check_web_config(file: Path) -> bool:
    from pushrelay.web.web_config import read_web_config

    try:
        config = read_web_config(file)
    except InvalidWebConfig as error:
        click.echo(str(error), err=True)
        return False
    for note in config.notes:
        click.echo(f"{file}: {note}", err=True)
    count = len(config.users)
    tls = "TLS" if config.tls else "no TLS"
    click.echo(f"{file}: {tls}, {count} user{'' if count == 1 else 's'}")
    return True
