"""`pushrelay groups`: list the groups of a relay."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.pages import fetch, how_many, output, wanted
from pushrelay.cli.remote import connected, counted, match, older_than, relay_url
from pushrelay.cli.tables import show, table, terminal_columns, word
from pushrelay.cli.times import ago
from pushrelay.grouping_key import GroupingKey

DEFAULT_LIMIT = 100


@click.command()
@relay_url
@match
@plain_option(
    "--state",
    type=click.Choice(["fresh", "stale"]),
    help="Groups in this state.",
)
@older_than
@plain_option(
    "--sort",
    type=click.Choice(["key", "pushed", "-pushed"]),
    default="key",
    help="By labels, by the time of the last push, or the latest first.",
)
@how_many("groups", DEFAULT_LIMIT)
@output
def groups(
    url: str,
    selectors: tuple[str, ...],
    state: str | None,
    older_than: str | None,
    sort: str,
    limit: int | None,
    everything: bool,
    output: str,
) -> None:
    """List groups, with their state, last push and content."""
    most = wanted(limit, everything, DEFAULT_LIMIT)
    asked = {
        "match[]": selectors,
        "state": state,
        "older_than": older_than,
        "sort": sort,
    }
    with connected(url) as relay:
        found = fetch(relay, "groups", asked, most)
    if output == "json":
        document = {"groups": found.entries, "matching": found.matching}
        click.echo(json.dumps(document, indent=2))
        return
    show(_table(found.entries, time.time_ns(), terminal_columns()))
    if found.has_more:
        shown, matching = f"{len(found.entries):,}", counted(found.matching or 0)
        click.echo(f"{shown} of {matching}; --all shows all", err=True)


def _table(
    groups: Iterable[dict[str, Any]], now: int, columns: int | None
) -> Iterator[str]:
    headings = ("STATE", "PUSHED", "FAMILIES", "SERIES", "GROUP")
    rows = [_row(group, now) for group in groups]
    return table(headings, rows, columns, right=(1, 2, 3))


def _row(group: dict[str, Any], now: int) -> tuple[str, ...]:
    refused = "" if group["last_push_successful"] else ", refused"
    return (
        word(group["state"]) + refused,
        ago(group["pushed_at"], now),
        word(group["families"]),
        word(group["series"]),
        str(GroupingKey.of(group["labels"])),
    )
