"""`pushrelay check-config`: what is wrong with a file of job rules."""

from __future__ import annotations

from pathlib import Path

import click

from pushrelay.errors import InvalidRules


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check_config(file: Path) -> None:
    """Check a file of job rules. Exit with 1 if there is anything wrong in it."""
    from pushrelay.job_rules import read_rules

    try:
        count = len(read_rules(file))
    except InvalidRules as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from error
    click.echo(f"{file}: {count} job rule{'' if count == 1 else 's'}")
