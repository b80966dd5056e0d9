"""`pushrelay runs`: the history of a job, and one run of it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.pages import fetch, how_many, output, wanted
from pushrelay.cli.remote import connected, relay_url
from pushrelay.cli.run_details import details
from pushrelay.cli.run_history import history
from pushrelay.cli.sparkline import OUTCOME_COLOURS, bars_for, outcome_of
from pushrelay.cli.tables import name, show, table, terminal_columns, word
from pushrelay.cli.times import api_time, moment
from pushrelay.client import RelayClient
from pushrelay.run_fields import parse_uuid, parse_uuid_prefix

DEFAULT_LIMIT = 20
_MOST_ALIKE = 10
"""So many runs are told whose ids begin alike."""


class DefaultGroup(click.Group):
    """A group that takes what names none of its commands for arguments of `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, *self.get_help_option_names(ctx)}
        if args and args[0] not in known:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=DefaultGroup,
    options_metavar="",
    subcommand_metavar="JOB [OPTIONS] | show ID|--last JOB [OPTIONS]",
)
def runs() -> None:
    """List the runs of a JOB, or show one run.

    `pushrelay runs JOB` is short for `pushrelay runs list JOB`, which also lists the
    runs of a job that is called `show` or `list`. Its options are those of `list`, see
    `pushrelay runs list --help`.
    """


@runs.command("list")
@click.argument("job")
@relay_url
@plain_option(
    "--state",
    type=click.Choice(list(OUTCOME_COLOURS)),
    help="Runs with this outcome, that are still running, or that were abandoned.",
)
@plain_option(
    "--since",
    metavar="TIME",
    help="Runs that began then or later: a time, or how long ago, as in 7d.",
)
@how_many("runs", DEFAULT_LIMIT)
@output
def list_(
    job: str,
    url: str,
    state: str | None,
    since: str | None,
    limit: int | None,
    everything: bool,
    output: str,
) -> None:
    """List the runs of JOB, the newest first. Above them is a bar for the duration of
    each, the oldest first."""
    _require_name(job)
    asked = {
        "job": job,
        "state": state,
        "since": since and api_time(since, None, "how long ago, such as 7d"),
    }
    with connected(url) as relay:
        found = fetch(relay, "runs", asked, wanted(limit, everything, DEFAULT_LIMIT))
    if output == "json":
        click.echo(json.dumps(found.entries, indent=2))
        return
    encoding = sys.stdout.encoding or "ascii"
    if not found.entries:
        click.echo("no such runs are known", err=True)
        return
    bars, columns = bars_for(encoding), terminal_columns()
    show(history(found.entries, bars, columns, time.time_ns(), None))
    if found.has_more:
        click.echo(f"the last {len(found.entries):,} runs; --all shows all", err=True)


@runs.command("show")
@click.argument("id_", metavar="[ID]", required=False)
@relay_url
@plain_option(
    "--last",
    "job",
    metavar="JOB",
    help="Instead of an ID: the last run of this job to start.",
)
@plain_option(
    "--state",
    type=click.Choice(list(OUTCOME_COLOURS)),
    help="With --last: the last run with this outcome, that is still running, or that "
    "was abandoned.",
)
@output
def show_one(
    id_: str | None, url: str, job: str | None, state: str | None, output: str
) -> None:
    """Show a run by its ID, or the last run of a job.

    The first digits of an ID are enough, 4 or more, if no other run has them.
    """
    if id_ is not None and (job, state) == (None, None):
        _require_id(id_)
    elif id_ is None and job is not None:
        _require_name(job)
    else:
        raise click.UsageError(
            "give either the ID of a run, or --last JOB, which --state may stand beside"
        )
    with connected(url) as relay:
        found = _last(relay, job, state) if id_ is None else _with_id(relay, id_)
        run = relay.data("GET", f"/api/v1/runs/{found}")
    if output == "json":
        click.echo(json.dumps(run, indent=2))
        return
    show(details(run, time.time_ns(), None))


def _require_name(job: str) -> None:
    if not job:
        raise click.UsageError("the job must have a name")


def _require_id(id_: str) -> None:
    if parse_uuid_prefix(id_) is None:
        raise click.UsageError(
            f"{name(id_)} is no id of a run: write the UUID that `pushrelay runs JOB` "
            "shows, or how it begins, 4 digits or more; or --last JOB for the last run "
            "of a job. The rid of a ping cannot be looked up unless it is a UUID"
        )


def _last(relay: RelayClient, job: str | None, state: str | None) -> str:
    """Return the id of the last run of `job`."""
    runs = fetch(relay, "runs", {"job": job, "state": state}, 1).entries
    if not runs:
        raise click.ClickException("no such runs are known")
    return str(runs[0]["id"])


def _with_id(relay: RelayClient, written: str) -> str:
    """Return the only id of a run that is `written`, or begins with that."""
    if parse_uuid(written) is not None:
        return written
    runs = fetch(relay, "runs", {"id": written}, _MOST_ALIKE)
    if not runs.entries:
        raise click.ClickException(f"no run is known whose id begins with {written}")
    if len(runs.entries) > 1:
        raise click.ClickException(_ambiguous(written, runs.entries, runs.has_more))
    return str(runs.entries[0]["id"])


def _ambiguous(written: str, runs: list[dict[str, Any]], has_more: bool) -> str:
    rows = [
        (
            *(word(run["id"]), moment(run["started_at"], None)),
            *(word(outcome_of(run)), name(run["job"])),
        )
        for run in runs
    ]
    lines = list(table(("ID", "STARTED", "OUTCOME", "JOB"), rows, None))
    if has_more:
        lines.append("and more")
    told = f"several runs have ids that begin with {written}; write more of one"
    return "\n  ".join([f"{told}:", *lines])
