"""`pushrelay retire`: forget a job on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pushrelay.cli.remote import (
    connected,
    counted,
    dry_run,
    job_target,
    relay_url,
    require_yes,
    show_groups,
    yes,
)


@click.command()
@click.argument("job")
@relay_url
@dry_run
@yes
def retire(job: str, url: str, dry_run: bool, yes: bool) -> None:
    """Forget JOB: its groups and all that is known of it.

    Alerts on its absence end with it, because it is meant to be gone.
    """
    target = job_target(job)
    if not dry_run:
        require_yes(yes)
    with connected(url, many=True) as relay:
        if dry_run or not yes:
            found = relay.data("DELETE", f"{target}?dry_run=1")
            _show(found)
            if dry_run or not found["known"]:
                return
            click.confirm("Retire the job?", abort=True)
        done = relay.data("DELETE", target)
    click.echo(_told(done))
    if yes:
        _warn(done)


def _show(found: Mapping[str, Any]) -> None:
    """Print what would be forgotten of a job, and what would not."""
    count = found["count"]
    parts = {
        "what is known of its runs": found["instances"],
        "what is expected of it": found["expected"],
    }
    more = " and ".join([part for part, is_there in parts.items() if is_there])
    if not found["known"]:
        click.echo("nothing is known of the job")
    elif count:
        click.echo(f"{counted(count)} of the job would be forgotten")
        show_groups(found["groups"])
        if more:
            click.echo(f"and {more}")
    else:
        told = more or "when it pushed last"
        click.echo(f"{told} would be forgotten; the job has no groups")
    _warn(found)


def _told(done: Mapping[str, Any]) -> str:
    if done["count"]:
        return f"retired the job with {counted(done['count'])}"
    if done["known"]:
        return "retired the job; it had no groups"
    return "nothing was known of the job"


def _warn(found: Mapping[str, Any]) -> None:
    if found["named_by_rule"]:
        click.echo(
            "a job rule names the job: it is expected again when the rules are read "
            "the next time, unless the rule is changed before",
            err=True,
        )
