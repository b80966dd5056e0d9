"""`pushrelay push`: push metrics to one group."""

from __future__ import annotations

from typing import BinaryIO

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.remote import (
    connected,
    dry_run,
    grouping_key,
    grouping_options,
    query,
    relay_url,
)
from pushrelay.errors import RelayRefused


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@relay_url
@grouping_options(required=True)
@plain_option(
    "--mode",
    type=click.Choice(["replace", "update", "merge", "add", "accumulate"]),
    default="replace",
    help="replace: the push is all the group holds from now on. update: families that "
    "are not pushed stay. merge: series that are not pushed stay. add: as merge, and "
    "counters are added up. accumulate: as add, but the counters that are pushed are "
    "running totals, of which the increase is added.",
)
@plain_option(
    "--stale-after",
    metavar="DURATION",
    help="How long the pushed values are valid, as in 26h; then they are withheld from "
    "scrapes.",
)
@plain_option(
    "--idempotency-key",
    metavar="KEY",
    help="A name for this push. Pushed again under the same name, it counts once.",
)
@plain_option("--allow-empty", is_flag=True, help="Push even if the input is empty.")
@dry_run
def push(
    file: BinaryIO,
    url: str,
    job: str,
    labels: tuple[str, ...],
    mode: str,
    stale_after: str | None,
    idempotency_key: str | None,
    allow_empty: bool,
    dry_run: bool,
) -> None:
    """Push metrics in the text format to one group.

    They are in FILE. Without it, or with "-", they come from standard input.
    """
    key = grouping_key(job, labels)
    asked = {
        # Said in any case: a job rule may mean something else by POST.
        "mode": None if mode == "replace" else mode,
        "stale_after": stale_after,
        "dry_run": 1 if dry_run else None,
    }
    method = "PUT" if mode == "replace" else "POST"
    headers = _headers(idempotency_key)
    body = file.read()
    if not body and not allow_empty:
        raise click.ClickException(
            "there is nothing to push. A push without metrics empties the group: if "
            "that is meant, say --allow-empty"
        )
    with connected(url) as relay:
        try:
            answer = relay.request(
                method, f"/metrics/{key.path}{query(asked)}", body, headers
            )
        except RelayRefused as error:
            raise click.ClickException(_explained(error, file.name)) from error
    if answer.headers.get("idempotency-replayed") == "true":
        click.echo("this push was done before; nothing changed")
    elif dry_run:
        click.echo("this push would be accepted; nothing changed")


def _headers(idempotency_key: str | None) -> dict[str, str]:
    if idempotency_key is None:
        return {}
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise click.UsageError("--idempotency-key must be printable ASCII characters")
    return {"Idempotency-Key": idempotency_key}


def _explained(error: RelayRefused, file: str) -> str:
    """Return `error` with a line for each problem of the body, if it tells them."""
    problems = error.problem.get("problems")
    if not problems:
        return str(error)
    lines = [f"the relay refuses the push with status {error.status}:"]
    for problem in problems:
        line = problem.get("line")
        place = click.format_filename(file) + (f":{line}" if line else "")
        lines.append(f"{place}: {problem.get('detail')}")
    return "\n".join(lines)
