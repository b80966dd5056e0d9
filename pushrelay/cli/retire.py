"""`pushrelay retire`: forget a job on purpose."""

from __future__ import annotations

import click

from pushrelay.cli.remote import (
    LONG_SECONDS,
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
    with connected(url, answer_seconds=LONG_SECONDS) as relay:
        if dry_run or not yes:
            found = relay.data("DELETE", f"{target}?dry_run=1")
            click.echo(f"{counted(found['count'])} of the job would be forgotten")
            show_groups(found["groups"])
            if found["instances"] or found["expected"]:
                click.echo("and what is known of its runs, or expected of them")
            if dry_run:
                return
            click.confirm("Retire the job?", abort=True)
        done = relay.data("DELETE", target)
    if done["count"]:
        click.echo(f"retired the job with {counted(done['count'])}")
    else:
        click.echo("the job had no groups; whatever else was known of it is forgotten")
