"""`pushrelay jobs`: what the jobs of a relay are like."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.pages import fetch, output
from pushrelay.cli.remote import connected, job_target, relay_url
from pushrelay.cli.tables import Cell, name, show, table, terminal_columns, word
from pushrelay.cli.times import ago, ahead, since
from pushrelay.client import RelayClient
from pushrelay.errors import RelayRefused, UnknownJob

_COLOURS = {
    "ok": "green",
    "running": "cyan",
    "failed": "red",
    "overdue": "red",
    "abandoned": "red",
    "paused": "yellow",
    "never ran": None,
}
"""All states, with what they look like."""

_WRONG = frozenset({"failed", "overdue", "abandoned"})

_NO_JOBS = (
    "no jobs are known; a job is once it has reported a run, as a ping does, or once "
    "`pushrelay expect` says when it should run"
)


@click.command()
@click.argument("names", nargs=-1, metavar="[JOB]...")
@relay_url
@plain_option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.replace(" ", "-") for state in _COLOURS]),
    help="Jobs in this state; may be repeated.",
)
@plain_option(
    "--check",
    is_flag=True,
    help="Show only jobs that failed (even if they are running again), are overdue or "
    "were abandoned, and exit with 1 if there are any.",
)
@output
@click.pass_context
def jobs(
    context: click.Context,
    names: tuple[str, ...],
    url: str,
    states: tuple[str, ...],
    check: bool,
    output: str,
) -> None:
    """Show the state of jobs.

    For each JOB, or for all: the state, the last run, and when the next is expected.
    """
    chosen = {state.replace("-", " ") for state in states}
    if check:
        _refuse_sound(chosen)
    with connected(url) as relay:
        found, missing = _find(relay, names, chosen)
    shown = [
        job
        for job in found
        if (not chosen or job["state"] in chosen) and (not check or _is_wrong(job))
    ]
    if output == "json":
        click.echo(json.dumps(shown, indent=2))
    elif not (shown or check or missing):
        click.echo("no such jobs are known" if chosen else _NO_JOBS, err=True)
    elif shown:
        show(_table(shown, time.time_ns(), terminal_columns()))
    if missing:
        told = ", ".join(map(name, missing))
        raise click.ClickException(f"the relay knows nothing of {told}")
    if check and shown:
        context.exit(1)


def _refuse_sound(states: Iterable[str]) -> None:
    """Raise click.UsageError if one of `states` is never wrong."""
    sound = sorted(set(states) - _WRONG - {"running"})
    if sound:
        options = " ".join([f"--state {state.replace(' ', '-')}" for state in sound])
        raise click.UsageError(
            f"--check looks for what is wrong, and that is never so: {options}"
        )


def _find(
    relay: RelayClient, names: Iterable[str], states: Collection[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the jobs with these names, all for none, and the names that no job has.
    Jobs in other states than `states` may be among them."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        # The relay chooses by one state only.
        asked = {"state": next(iter(states))} if len(states) == 1 else {}
        return fetch(relay, "jobs", asked, None).entries, []
    targets = {each: job_target(each) for each in wanted}
    found, missing = [], []
    for each, target in targets.items():
        try:
            found.append(relay.data("GET", target))
        except RelayRefused as error:
            if error.problem.get("reason") != UnknownJob.reason:
                raise
            missing.append(each)
    return found, missing


def _is_wrong(job: dict[str, Any]) -> bool:
    """Return whether someone should look at `job`. One that runs again has still
    failed: a job that always fails may run most of the time."""
    has_failed = job["state"] == "running" and job["failing_since"] is not None
    return has_failed or job["state"] in _WRONG


def _table(
    jobs: Iterable[dict[str, Any]], now: int, columns: int | None
) -> Iterator[str]:
    headings = ("STATE", "LAST RUN", "NEXT", "FAILING SINCE", "JOB")
    return table(headings, [_row(job, now) for job in jobs], columns, last_is_name=True)


def _row(job: dict[str, Any], now: int) -> tuple[Cell | str, ...]:
    state = job["state"]
    expected, failing = job["next_expected"], job["failing_since"]
    return (
        Cell(word(state), _COLOURS.get(state)),
        _last_run(job, now),
        "-" if expected is None else ahead(expected, now),
        "-" if failing is None else ago(failing, now),
        name(job["job"]),
    )


def _last_run(job: dict[str, Any], now: int) -> str:
    """Return what to say of the last run, or of the one that has not ended if the state
    is about it."""
    state, last = job["state"], job["last_run"]
    if state == "running" and job["running_since"] is not None:
        return f"running for {since(job['running_since'], now)}"
    if state == "abandoned" and job["abandoned_since"] is not None:
        return f"began {ago(job['abandoned_since'], now)}"
    return (
        f"{ago(last['finished_at'], now)}, {word(last['outcome'])}" if last else "never"
    )
