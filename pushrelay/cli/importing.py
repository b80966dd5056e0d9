"""`pushrelay import`: take over what another server holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.remote import (
    connected,
    counted,
    dry_run,
    query,
    relay_url,
)
from pushrelay.client import RelayClient, readable
from pushrelay.errors import RelayRefused
from pushrelay.grouping_key import GroupingKey

GROUPS_AT_ONCE = 250
BYTES_AT_ONCE = 4 * 1024 * 1024

_NOT_FOUND, _TOO_LARGE = 404, 413
_HEADERS = {"Content-Type": "application/x-ndjson"}


@click.group(name="import")
def importing() -> None:
    """Copy what another server holds."""


@dataclass(slots=True)
class Outcome:
    """What became of the groups of the source.

    skipped: groups that were at the relay already and not older. left_out: groups, and
    families of groups that were imported, that could not be taken over.
    """

    imported: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    def leave_out(
        self, labels: dict[str, str], reason: str, family: str | None = None
    ) -> None:
        """Note what could not be taken over."""
        self.left_out.append({"labels": labels, "family": family, "reason": reason})


@importing.command()
@click.argument("source")
@relay_url
@dry_run
@plain_option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How the outcome is told: sentences, or a JSON document.",
)
@click.pass_context
def pushgateway(
    context: click.Context, source: str, url: str, dry_run: bool, output: str
) -> None:
    """Copy all groups of the Pushgateway at the URL SOURCE.

    Their times are copied too.

    May be done again and again: a group that is at the relay already and not older is
    skipped. The relay must run with --web.enable-admin-api. Exits with 1 if something
    could not be copied.
    """
    from pushrelay.cli.pushgateway import read_groups

    outcome = Outcome()
    with connected(source, many=True, is_ours=False) as gateway:
        documents = []
        for group in read_groups(gateway):
            for family, reason in group.left_out:
                outcome.leave_out(group.labels, reason, family)
            if group.document is not None:
                documents.append(json.dumps(group.document).encode() + b"\n")
    with connected(url, many=True) as relay:
        _import(relay, documents, dry_run, outcome)
    if output == "json":
        shown = {
            "dry_run": dry_run,
            "imported": outcome.imported,
            "skipped": outcome.skipped,
            "left_out": outcome.left_out,
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        _tell(outcome, dry_run)
    if outcome.left_out:
        context.exit(1)


def _import(
    relay: RelayClient, documents: list[bytes], dry_run: bool, outcome: Outcome
) -> None:
    with click.progressbar(
        length=len(documents),
        label="groups",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as progress:
        for batch in _batches(documents):
            _send(relay, batch, dry_run, outcome)
            progress.update(len(batch))


def _batches(documents: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for document in documents:
        if batch and (
            len(batch) == GROUPS_AT_ONCE or size + len(document) > BYTES_AT_ONCE
        ):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document)
    if batch:
        yield batch


def _send(
    relay: RelayClient, batch: list[bytes], dry_run: bool, outcome: Outcome
) -> None:
    target = f"/api/v1/admin/import{query({'dry_run': 1 if dry_run else None})}"
    try:
        done = relay.data("POST", target, b"".join(batch), _HEADERS, repeatable=True)
    except RelayRefused as error:
        if error.status == _NOT_FOUND:
            raise click.ClickException(
                f"{relay.url} takes no imports; start it with --web.enable-admin-api"
            ) from error
        if error.status != _TOO_LARGE:
            raise
        _send_smaller(relay, batch, dry_run, outcome, str(error))
        return
    outcome.imported += done["imported"]
    outcome.skipped += done["skipped"]
    for refused in done["refused"]:
        outcome.leave_out(refused["labels"], refused["reason"])


def _send_smaller(
    relay: RelayClient,
    batch: list[bytes],
    dry_run: bool,
    outcome: Outcome,
    reason: str,
) -> None:
    """Send in parts what is too large in one."""
    if len(batch) == 1:
        outcome.leave_out(json.loads(batch[0])["labels"], reason)
        return
    middle = len(batch) // 2
    _send(relay, batch[:middle], dry_run, outcome)
    _send(relay, batch[middle:], dry_run, outcome)


def _tell(outcome: Outcome, dry_run: bool) -> None:
    would_be = "would be " if dry_run else ""
    click.echo(f"{counted(outcome.imported)} {would_be}imported")
    if outcome.skipped:
        click.echo(f"{counted(len(outcome.skipped))} at the relay already, not older")
    if outcome.left_out:
        click.echo(f"could not be copied: {len(outcome.left_out):,}")
    for left_out in outcome.left_out:
        labels, family = left_out["labels"], left_out["family"]
        place = str(GroupingKey.of(labels)) if "job" in labels else "a group"
        if family is not None:
            place += f", family {readable(family)}"
        click.echo(f"  {place}: {readable(left_out['reason'])}")
