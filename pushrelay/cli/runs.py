"""`pushrelay runs`: the history of a job, and one run of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.pages import fetch, how_many, output, wanted
from pushrelay.cli.remote import connected, relay_url
from pushrelay.cli.run_details import details, signal_name
from pushrelay.cli.sparkline import OUTCOME_COLOURS, bars_for, outcome_of, sparkline
from pushrelay.cli.tables import Cell, line, name, show, table, terminal_columns, word
from pushrelay.cli.times import api_time, length, moment
from pushrelay.run_fields import parse_uuid

DEFAULT_LIMIT = 20


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
    subcommand_metavar="JOB [OPTIONS] | show ID [OPTIONS]",
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
    help="Runs that ended like this, that still run, or that were abandoned.",
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
    if not job:
        raise click.UsageError("the job must have a name")
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
    show(_history(found.entries, bars_for(encoding), terminal_columns(), None))
    if found.has_more:
        click.echo(f"the last {len(found.entries):,} runs; --all shows all", err=True)


@runs.command("show")
@click.argument("id_", metavar="ID")
@relay_url
@output
def show_one(id_: str, url: str, output: str) -> None:
    """Show all that is known of the run with this ID."""
    if parse_uuid(id_) is None:
        raise click.UsageError(
            f"{name(id_)} is no id of a run: write the UUID that `pushrelay runs JOB` "
            "shows; the rid of a ping cannot be looked up unless it is a UUID"
        )
    with connected(url) as relay:
        run = relay.data("GET", f"/api/v1/runs/{id_}")
    if output == "json":
        click.echo(json.dumps(run, indent=2))
        return
    show(details(run, time.time_ns(), None))


def _history(
    runs: list[dict[str, Any]], bars: str, columns: int | None, zone: tzinfo | None
) -> Iterator[str]:
    """Yield the bars of `runs`, of the last ones if `columns` has no space for more,
    and a table of all."""
    if any(run["duration_seconds"] is not None for run in runs):
        heading = "DURATIONS  "
        most = None if columns is None else max(columns - len(heading), 1)
        yield line([Cell(heading), *sparkline(runs[:most], bars)], columns)
        yield ""
    headings = ["STARTED", "DURATION", "OUTCOME", "EXIT", "ID", "HOST"]
    rows = [_row(run, zone) for run in runs]
    if any(run["labels"] for run in runs):
        headings.append("LABELS")
        rows = [(*row, _labels(run)) for row, run in zip(rows, runs, strict=True)]
    yield from table(headings, rows, columns, right=(1,))


def _row(run: dict[str, Any], zone: tzinfo | None) -> tuple[Cell | str, ...]:
    outcome = outcome_of(run)
    return (
        moment(run["started_at"], zone),
        length(run["duration_seconds"]),
        Cell(word(outcome), OUTCOME_COLOURS.get(outcome)),
        word(run["exit_code"]) if run["signal"] is None else signal_name(run["signal"]),
        word(run["id"]),
        word(run["host"]),
    )


def _labels(run: dict[str, Any]) -> str:
    """Return the labels of `run` beside its job: `db=main,instance=db1`."""
    pairs = sorted(run["labels"].items())
    return ",".join([f"{word(key)}={word(value)}" for key, value in pairs]) or "-"
