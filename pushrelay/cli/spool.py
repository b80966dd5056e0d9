"""`pushrelay spool`: reports of runs that wait for their relay."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from math import inf
from typing import Any

import click

from pushrelay.cli.options import option
from pushrelay.cli.pages import output
from pushrelay.cli.remote import Unavailable, relay_url
from pushrelay.cli.sparkline import OUTCOME_COLOURS
from pushrelay.cli.tables import Cell, name, show, table, terminal_columns, word
from pushrelay.cli.times import moment
from pushrelay.client import ANSWER_SECONDS, CONNECT_SECONDS
from pushrelay.errors import InvalidURL, RelayUnavailable
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.flush import Flushed, flush
from pushrelay.wrapper.spool import Entry, Spool
from pushrelay.wrapper.state import state_directories
from pushrelay.wrapper.tokens import read_token


@click.group()
def spool() -> None:
    """Look after reports of runs that could not be delivered.

    They wait in a directory of the user that the jobs ran as: PUSHRELAY_STATE_DIR, or
    pushrelay in XDG_STATE_HOME, ~/.local/state, or else below /var/tmp.
    """


@spool.command("list")
@output
def list_(output: str) -> None:
    """List the reports that wait for their relay, and those it refused for good."""
    kept = Spool(state_directories(os.environ))
    waiting, refused = kept.waiting(), kept.refused()
    if output == "json":
        click.echo(json.dumps([_document(each) for each in [*waiting, *refused]]))
    elif waiting or refused:
        show(_listing(waiting, refused, terminal_columns(), None))
    else:
        click.echo("no reports wait, and none was refused", err=True)


@spool.command("flush")
@relay_url
@option(
    "--token-file",
    metavar="FILE",
    help="File with the token for the relay; PUSHRELAY_TOKEN is the token itself.",
)
@click.pass_context
def flush_(context: click.Context, url: str, token_file: str | None) -> None:
    """Deliver the reports that wait for the relay, what happened first at first. Those
    that it refuses for good are kept aside, with its reason."""
    directories = state_directories(os.environ)
    try:
        delivery = Delivery(
            url,
            _token(token_file),
            connect_seconds=CONNECT_SECONDS,
            answer_seconds=ANSWER_SECONDS,
            directories=directories,
        )
    except InvalidURL as error:
        raise click.UsageError(str(error)) from error
    kept = Spool(directories)
    flushed = flush(kept, delivery, delivery.url, until=inf, tell=_tell)
    delivery.close()
    show(_summary(flushed, delivery.url, kept))
    if isinstance(flushed.error, RelayUnavailable):
        raise Unavailable(str(flushed.error))
    if flushed.error is not None:
        raise click.ClickException(str(flushed.error))
    if flushed.is_busy:
        raise Unavailable("another process is delivering what waits; try again later")
    context.exit(1 if flushed.set_aside else 0)


def _token(file: str | None) -> str | None:
    """Return the token, which is not on the command line, where others see it. Raises
    click.UsageError."""
    try:
        token = read_token(file, os.environ)
    except OSError as error:
        raise click.UsageError(f"--token-file {file}: {error.strerror}") from error
    if file is not None and token is None:
        raise click.UsageError(f"--token-file {file} is empty; write the token into it")
    return token


def _tell(entry: Entry, told: list[str]) -> None:
    """Print what people should know of a report that was delivered or refused."""
    named = f"{_job(entry)}, {_state(entry)}, {moment(entry.report.at, None)}"
    for each in told:
        click.echo(f"{named}: {word(each)}", err=True)
    if entry.reason:
        click.echo(f"{named}: refused for good: {word(entry.reason)}", err=True)


def _summary(flushed: Flushed, url: str, kept: Spool) -> Iterator[str]:
    if flushed == Flushed():
        yield f"no reports wait for {url}"
    if flushed.delivered:
        yield f"delivered {_counted(flushed.delivered)} to {url}"
    if flushed.set_aside:
        yield f"{_counted(flushed.set_aside)} refused for good and kept aside"
    if flushed.left:
        yield f"left {_counted(flushed.left)} for {url}"
    others = Counter(entry.url for entry in kept.waiting())
    del others[url]
    for other, number in sorted(others.items()):
        yield f"left alone {_counted(number)} for {word(other)}"


def _counted(number: int) -> str:
    return f"{number:,} report" + ("" if number == 1 else "s")


def _listing(
    waiting: list[Entry],
    refused: list[Entry],
    columns: int | None,
    zone: tzinfo | None,
) -> Iterator[str]:
    headings = ["HAPPENED", "STATE", "JOB", "REPORT", "RELAY"]
    rows = [_row(entry, zone) for entry in [*waiting, *refused]]
    if refused:
        headings.append("REASON")
        rows = [
            (*row, word(entry.reason or None))
            for row, entry in zip(rows, [*waiting, *refused], strict=True)
        ]
    yield from table(headings, rows, columns)


def _row(entry: Entry, zone: tzinfo | None) -> tuple[Cell | str, ...]:
    state = _state(entry)
    return (
        moment(entry.report.at, zone),
        Cell("refused", "red") if entry.reason else "waiting",
        _job(entry),
        Cell(state, OUTCOME_COLOURS.get(state)),
        word(entry.url or None),
    )


def _job(entry: Entry) -> str:
    job = entry.report.document.get("job")
    return name(job) if isinstance(job, str) else "-"


def _state(entry: Entry) -> str:
    """Return how the run ended, or that it started."""
    document = entry.report.document
    return word(document.get("outcome") if entry.report.is_finish else "started")


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "url": entry.url,
        "run_id": entry.report.run_id,
        "spooled_at": entry.spooled_at,
        "reason": entry.reason or None,
        "document": entry.report.document,
    }
