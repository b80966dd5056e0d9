"""`pushrelay pause` and `pushrelay resume`: when nothing is expected of a job."""

from __future__ import annotations

import time

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.remote import connected, job_target, query, relay_url, told_as
from pushrelay.cli.tables import name, show
from pushrelay.cli.times import ahead, api_time, moment
from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidDuration


@click.command()
@click.argument("job")
@relay_url
@plain_option(
    "--until",
    metavar="TIME",
    help="When the pause ends: 2026-11-26, '2026-11-26 03:00' or Unix seconds.",
)
@plain_option(
    "--for", "span", metavar="DURATION", help="How long to expect nothing, as in 2h."
)
def pause(job: str, url: str, until: str | None, span: str | None) -> None:
    """Expect no runs of JOB for a while.

    It is not overdue until the pause ends. Runs that come all the same are kept and
    counted.
    """
    target = job_target(job)
    parameters = query({"until": _end(until, span)})
    with connected(url) as relay, told_as("use DELETE", "use `pushrelay resume`"):
        known = relay.data("POST", f"{target}/pause{parameters}", repeatable=True)
    end = known["paused_until"]
    told = f"{moment(end, None)}, {ahead(end, time.time_ns())}"
    show([f"{name(job)} is paused until {told}"])


@click.command()
@click.argument("job")
@relay_url
def resume(job: str, url: str) -> None:
    """End the pause of JOB. From now on, its runs are expected again."""
    target = job_target(job)
    with connected(url) as relay:
        expected = relay.data("DELETE", f"{target}/pause")["next_expected"]
    told = "" if expected is None else f"; next run: {ahead(expected, time.time_ns())}"
    show([f"{name(job)} is not paused{told}"])


def _end(until: str | None, span: str | None) -> str:
    """Return when the pause ends, for the API. Raises click.UsageError."""
    if until is None and span is None:
        raise click.UsageError("how long is missing: give --for or --until")
    if until is not None and span is not None:
        raise click.UsageError("give --for or --until, not both")
    if until is not None:
        return api_time(until, None)
    try:
        parse_duration(str(span))
    except InvalidDuration as error:
        raise click.UsageError(str(error)) from None
    return str(span)
