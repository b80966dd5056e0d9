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

from pushrelay.cli.options import plain_option
from pushrelay.cli.pages import output
from pushrelay.cli.remote import (
    Unavailable,
    dry_run,
    given_token,
    relay_url,
    require_yes,
    yes,
)
from pushrelay.cli.sparkline import OUTCOME_COLOURS
from pushrelay.cli.tables import Cell, name, show, table, terminal_columns, word
from pushrelay.cli.times import moment
from pushrelay.client import ANSWER_SECONDS, CONNECT_SECONDS
from pushrelay.errors import InvalidURL, RelayUnavailable
from pushrelay.relay_url import parse_relay_url
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.flush import Flushed, flush
from pushrelay.wrapper.spool import Entry, Spool
from pushrelay.wrapper.state import state_directories

_SHOWN = 20
"""So many reports of a kind are shown before they are discarded."""


@click.group()
def spool() -> None:
    """Manage reports of runs that could not be delivered.

    They wait in a directory of the user that the jobs ran as: PUSHRELAY_STATE_DIR, or
    pushrelay in XDG_STATE_HOME, ~/.local/state, or else below /var/tmp.
    """


@spool.command("list")
@output
def list_(output: str) -> None:
    """List reports that wait for their relay, or were refused."""
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
@plain_option(
    "--from",
    "former",
    metavar="URL",
    help="Deliver what waits for this URL, which was wrong or has changed.",
)
@click.pass_context
def flush_(context: click.Context, url: str, former: str | None) -> None:
    """Deliver the reports that wait for the relay.

    The oldest go first. Those that it refuses for good are set aside, with the reason.
    """
    directories = state_directories(os.environ)
    try:
        delivery = Delivery(
            url,
            given_token(),
            connect_seconds=CONNECT_SECONDS,
            answer_seconds=ANSWER_SECONDS,
            directories=directories,
        )
    except InvalidURL as error:
        raise click.UsageError(str(error)) from error
    kept = Spool(directories)
    former_url = None if former is None else _url_of(former)
    flushed = flush(
        kept, delivery, delivery.url, until=inf, tell=_tell, former_url=former_url
    )
    delivery.close()
    show(_summary(flushed, delivery.url, former_url or delivery.url, kept))
    if isinstance(flushed.error, RelayUnavailable):
        raise Unavailable(str(flushed.error))
    if flushed.error is not None:
        raise click.ClickException(str(flushed.error))
    if flushed.is_busy:
        raise Unavailable("another process is delivering what waits; try again later")
    context.exit(1 if flushed.set_aside else 0)


@spool.command("discard")
@plain_option("--url", metavar="URL", help="Reports for this relay.")
@plain_option("--all", "everything", is_flag=True, help="All reports.")
@dry_run
@yes
def discard(url: str | None, everything: bool, dry_run: bool, yes: bool) -> None:
    """Discard reports that wait for a relay or were refused.

    What they say about runs is recorded nowhere else.
    """
    if (url is None) is not everything:
        raise click.UsageError("give either --url, a relay, or --all")
    if not dry_run:
        require_yes(yes)
    kept = Spool(state_directories(os.environ))
    wanted = None if url is None else _url_of(url)
    waiting = kept.waiting(wanted)
    refused = [entry for entry in kept.refused() if kept.is_for(entry, wanted)]
    found = [*waiting, *refused]
    if not found:
        click.echo("no such reports are kept", err=True)
        return
    if dry_run or not yes:
        _show_losses(waiting, refused)
        if dry_run:
            return
        click.confirm(f"Discard {_counted(len(found))}?", abort=True)
    try:
        lost = sum([kept.discard(entry) for entry in found])
    except OSError as error:
        told = f"cannot remove {error.filename}: {error.strerror}"
        raise click.ClickException(told) from error
    click.echo(f"discarded {_counted(lost)}")


def _show_losses(waiting: list[Entry], refused: list[Entry]) -> None:
    """Print how many reports would be lost, and of each kind the first ones."""
    click.echo(f"{_counted(len(waiting) + len(refused))} would be lost")
    shown = waiting[:_SHOWN], refused[:_SHOWN]
    show(_listing(*shown, terminal_columns(), None))
    if more := len(waiting) + len(refused) - sum(map(len, shown)):
        click.echo(f"and {more:,} more")


def _url_of(written: str) -> str:
    """Return the URL of a relay as it stands in the spool. Raises click.UsageError."""
    try:
        return parse_relay_url(written).shown
    except InvalidURL as error:
        raise click.UsageError(str(error)) from error


def _tell(entry: Entry, told: list[str]) -> None:
    """Print what people should know of a report that was delivered or refused."""
    named = f"{_job(entry)}, {_state(entry)}, {moment(entry.report.at, None)}"
    for each in told:
        click.echo(f"{named}: {word(each)}", err=True)
    if entry.reason:
        click.echo(f"{named}: refused for good: {word(entry.reason)}", err=True)


def _summary(flushed: Flushed, url: str, awaited: str, kept: Spool) -> Iterator[str]:
    """Yield what became of what waited for the relay at `awaited` and was for that at
    `url`."""
    if flushed == Flushed():
        yield f"no reports wait for {awaited}"
    if flushed.delivered:
        yield f"delivered {_counted(flushed.delivered)} to {url}"
    if flushed.set_aside:
        yield f"{_counted(flushed.set_aside)} refused for good and kept aside"
    if flushed.left:
        yield f"left {_counted(flushed.left)} for {awaited}"
    others = Counter(entry.url for entry in kept.waiting())
    del others[awaited]
    for other, number in sorted(others.items()):
        told = f"left alone {_counted(number)} for {word(other)}"
        if other != url:
            told += f"; if that was this relay's URL, flush with --from {word(other)}"
        yield told


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
