"""`pushrelay groups`: list the groups of a relay."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from pushrelay.cli.options import plain_option
from pushrelay.cli.remote import (
    connected,
    counted,
    match,
    older_than,
    query,
    relay_url,
)
from pushrelay.client import RelayClient, readable
from pushrelay.durations import format_duration
from pushrelay.grouping_key import GroupingKey

DEFAULT_LIMIT = 100
PAGE = 1000
"""Groups of one answer at most."""

_SECOND = 10**9
_PRECISIONS = ((86400, 3600), (3600, 60), (0, 1))
"""From so many seconds on, an age is told as precisely as the second number says."""


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
@plain_option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show so many groups at most. By default {DEFAULT_LIMIT}.",
)
@plain_option("--all", "everything", is_flag=True, help="Show all groups.")
@plain_option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    help="A table, cut to the width of a terminal, or a JSON document.",
)
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
    """List the groups of a relay: their state, their last push, what they hold."""
    if limit is not None and everything:
        raise click.UsageError("give either --limit or --all")
    asked = {
        "match[]": selectors,
        "state": state,
        "older_than": older_than,
        "sort": sort,
    }
    wanted = None if everything else limit or DEFAULT_LIMIT
    with connected(url) as relay:
        found, matching = _fetch(relay, asked, wanted)
    if output == "json":
        click.echo(json.dumps({"groups": found, "matching": matching}, indent=2))
        return
    for line in _table(found, time.time_ns()):
        click.echo(line)
    if matching > len(found):
        click.echo(f"{len(found):,} of {counted(matching)}; --all shows all", err=True)


def _fetch(
    relay: RelayClient, asked: dict[str, Any], wanted: int | None
) -> tuple[list[dict[str, Any]], int]:
    """Return up to `wanted` groups, all for None, and how many there are."""
    first = _page(relay, asked, wanted, None)
    found, matching, cursor = first["groups"], first["matching"], first["next"]
    expected = matching if wanted is None else min(wanted, matching)
    with click.progressbar(
        length=expected,
        label="groups",
        file=sys.stderr,
        hidden=cursor is None or not sys.stderr.isatty(),
    ) as progress:
        progress.update(len(found))
        while cursor is not None and (wanted is None or len(found) < wanted):
            left = None if wanted is None else wanted - len(found)
            page = _page(relay, asked, left, cursor)
            if not page["groups"]:
                break  # and with it, the promise of a next page
            found += page["groups"]
            cursor = page["next"]
            progress.update(len(page["groups"]))
    return found, matching


def _page(
    relay: RelayClient, asked: dict[str, Any], wanted: int | None, cursor: str | None
) -> dict[str, Any]:
    limit = PAGE if wanted is None else min(wanted, PAGE)
    parameters = query({**asked, "limit": limit, "cursor": cursor})
    page: dict[str, Any] = relay.data("GET", f"/api/v1/groups{parameters}")
    return page


def _table(groups: Iterable[dict[str, Any]], now: int) -> Iterator[str]:
    """Yield the lines of a table; the labels, which may be long, come last."""
    rows = [("STATE", "PUSHED", "FAMILIES", "SERIES", "GROUP")]
    rows += [_row(group, now) for group in groups]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for state, pushed, families, series, group in rows:
        line = "  ".join(
            [
                state.ljust(widths[0]),
                pushed.rjust(widths[1]),
                families.rjust(widths[2]),
                series.rjust(widths[3]),
                group,
            ]
        )
        yield line if columns is None else _cut(line, columns)


def _row(group: dict[str, Any], now: int) -> tuple[str, str, str, str, str]:
    return (
        readable(group["state"])
        + ("" if group["last_push_successful"] else ", refused"),
        _ago(group["pushed_at"], now),
        readable(f"{group['families']}"),
        readable(f"{group['series']}"),
        str(GroupingKey.of(group["labels"])),
    )


def _ago(at: float | None, now: int) -> str:
    """Return how long before `now` (nanoseconds) the Unix time `at` (seconds) was."""
    if at is None:
        return "never"
    seconds = max(now - round(at * _SECOND), 0) // _SECOND
    precision = next(told for least, told in _PRECISIONS if seconds >= least)
    return format_duration((seconds - seconds % precision) * _SECOND) + " ago"


def _cut(line: str, columns: int) -> str:
    return line if len(line) <= columns else line[: columns - 1] + "…"
