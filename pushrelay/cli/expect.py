"""`pushrelay expect`: say when runs of a job are expected, and how long they take."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.remote import connected, job_target, relay_url, told_as
from pushrelay.cli.tables import facts, name, show, word
from pushrelay.cli.times import ahead

_SOURCES = {"report": ", as its reports say", "rule": ", as the job rules say"}

_FIELD = r"\bexpectation\.([a-z_]+)(?=: )"
"""How the relay begins to say what is wrong."""


@click.command()
@click.argument("job")
@relay_url
@plain_option("--schedule", metavar="LINE", help="A cron line, as in '0 3 * * *'.")
@plain_option(
    "--on-calendar",
    metavar="EXPRESSION",
    help="A calendar expression of systemd, as in 'Mon..Fri 03:00'.",
)
@plain_option(
    "--every", metavar="DURATION", help="How long after each start, as in 1h."
)
@plain_option(
    "--tz", metavar="ZONE", help="The time zone, as in Europe/Berlin; UTC by default."
)
@plain_option(
    "--grace",
    metavar="DURATION",
    help="How late a run may start before the job is overdue; 5m by default.",
)
@plain_option(
    "--max-runtime",
    metavar="DURATION",
    help="How long a run may take before it counts as abandoned.",
)
@plain_option(
    "--min-interval",
    metavar="DURATION",
    help="A run that starts sooner than this after the one before counts as early.",
)
@plain_option(
    "--per-instance", is_flag=True, help="Each instance must run, not just any."
)
@plain_option(
    "--clear", is_flag=True, help="Take back what this command said about the job."
)
def expect(
    job: str, url: str, per_instance: bool, clear: bool, **said: str | None
) -> None:
    """Say when runs of JOB are expected.

    Also how long they may take. This replaces all that an earlier `pushrelay expect`
    said about the job, and takes precedence over the job's reports and the job rules.
    """
    target = f"{job_target(job)}/expectation"
    document: dict[str, Any] = {
        field: text for field, text in said.items() if text is not None
    }
    if per_instance:
        document["per_instance"] = True
    if clear == bool(document):
        raise click.UsageError("give either what is expected, or --clear")
    with connected(url) as relay, told_as(_FIELD, _option):
        if clear:
            answer = relay.data("DELETE", target)
        else:
            body = json.dumps(document).encode()
            headers = {"Content-Type": "application/json"}
            answer = relay.data("PUT", target, body, headers)
    for warning in answer.get("warnings") or []:
        told = re.sub(_FIELD, _option, word(warning), count=1)
        click.echo(f"warning: {told}", err=True)
    show(_told(answer, time.time_ns()))


def _option(field: re.Match[str]) -> str:
    return "--" + field[1].replace("_", "-")


def _told(job: Mapping[str, Any], now: int) -> Iterator[str]:
    """Yield lines that tell what is expected of `job`, by whom, and when next."""
    shown, expectation = name(job["job"]), job["expectation"]
    if not expectation:
        yield f"nothing is expected of {shown}"
        return
    source = _SOURCES.get(job["expectation_from"], "")
    yield f"expected of {shown}{source}: {facts(expectation)}"
    if job["next_expected"] is not None:
        yield f"its next run: {ahead(job['next_expected'], now)}"
