"""Lists that a relay answers page by page."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from pushrelay.cli.options import Decorated, plain_option
from pushrelay.cli.remote import query
from pushrelay.client import RelayClient

PAGE = 1000
"""Entries of one answer at most."""

SLOW_SECONDS = 1.0
"""After so long, people want to see that something goes on."""

output = plain_option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    help="A table, cut to the width of a terminal, or a JSON document.",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """The first entries of a list.

    matching: how many there are in all; None if that is not known. has_more: whether
    there are others.
    """

    entries: list[dict[str, Any]]
    matching: int | None
    has_more: bool


def how_many(what: str, default: int) -> Callable[[Decorated], Decorated]:
    """Declare `--limit` and `--all`, which `wanted` reads, of a list of `what`."""
    limit = plain_option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Show at most so many {what}. By default {default}.",
    )
    everything = plain_option(
        "--all", "everything", is_flag=True, help=f"Show all {what}."
    )
    return lambda command: limit(everything(command))


def wanted(limit: int | None, everything: bool, default: int) -> int | None:
    """Return how many entries are asked for; None: all. Raises click.UsageError."""
    if limit is not None and everything:
        raise click.UsageError("give either --limit or --all")
    return None if everything else limit or default


def fetch(
    relay: RelayClient, name: str, asked: Mapping[str, Any], most: int | None
) -> Listed:
    """Return up to `most` entries of the list `name`, all for None, which fulfil what
    is `asked`. What takes long shows its progress on a terminal."""
    first = _page(relay, name, asked, most, None)
    entries, matching, cursor = first[name], first.get("matching"), first["next"]
    counts = [count for count in (matching, most) if count is not None]
    with _progress(name, min(counts, default=None)) as told:
        while cursor is not None and (most is None or len(entries) < most):
            left = None if most is None else most - len(entries)
            page = _page(relay, name, asked, left, cursor)
            cursor = page["next"]
            if not page[name]:
                break  # and with it, the promise of a next page
            entries += page[name]
            told(len(entries))
    return Listed(entries, matching, cursor is not None)


def _page(
    relay: RelayClient,
    name: str,
    asked: Mapping[str, Any],
    most: int | None,
    cursor: str | None,
) -> dict[str, Any]:
    limit = PAGE if most is None else min(most, PAGE)
    parameters = query({**asked, "limit": limit, "cursor": cursor})
    page: dict[str, Any] = relay.data("GET", f"/api/v1/{name}{parameters}")
    return page


@contextmanager
def _progress(name: str, length: int | None) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told how many entries there are. Once it took long, it says
    so on a terminal, in a line that is not left there."""
    slow_at, shown = time.monotonic() + SLOW_SECONDS, ""
    of_all = "" if length is None else f" of {length:,}"

    def tell(count: int) -> None:
        nonlocal shown
        if time.monotonic() >= slow_at and sys.stderr.isatty():
            shown = f"{name}: {count:,}{of_all}"
            click.echo(f"\r{shown}", nl=False, err=True)

    try:
        yield tell
    finally:
        if shown:
            click.echo(f"\r{' ' * len(shown)}\r", nl=False, err=True)
