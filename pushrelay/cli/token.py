"""`pushrelay token`: the tokens of a database.

A token is written to standard output by itself, so that it can be kept; all else that
is told goes to standard error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import click

from pushrelay.cli.databases import existing_database
from pushrelay.cli.options import database_url, plain_option
from pushrelay.cli.pages import output
from pushrelay.cli.remote import match
from pushrelay.cli.tables import show, table, terminal_columns
from pushrelay.cli.times import ago, api_time, moment
from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidDuration, InvalidSelector, InvalidToken
from pushrelay.job_rules import RuleLimits
from pushrelay.matchers import Selector
from pushrelay.rights import SCOPES, Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.engine import Database
from pushrelay.store.migrate import require_schema
from pushrelay.store.reader import learn_time
from pushrelay.store.token_rows import insert_token, list_tokens
from pushrelay.store.token_rows import revoke as revoke_token
from pushrelay.store.token_rows import rotate as rotate_token
from pushrelay.token_files import table_of
from pushrelay.tokens import Token, id_of, new_text, require_name

_SECOND = 10**9

expires_in = plain_option(
    "--expires-in",
    metavar="DURATION",
    help="How long the token is valid, as in 90d. By default it never expires.",
)
expires_at = plain_option(
    "--expires-at",
    metavar="TIME",
    help="When the token expires, as in 2027-01-01 or '2027-01-01 03:00'.",
)


@click.group()
def token() -> None:
    """Make and revoke tokens, with which clients authenticate."""


@token.command()
@click.argument("name")
@database_url
@plain_option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in SCOPES]),
    help="What it may do; may be repeated. admin includes the others.",
)
@match
@expires_in
@expires_at
@plain_option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=N",
    help="A limit of its pushes, as in series=1000; may be repeated.",
)
@plain_option(
    "--offline",
    is_flag=True,
    help="For a file of tokens: touch no database, and write the entry for the file to "
    "standard error.",
)
def create(
    name: str,
    database_url: str,
    scopes: tuple[str, ...],
    selectors: tuple[str, ...],
    limits: tuple[str, ...],
    offline: bool,
    **expiry: str | None,
) -> None:
    """Make a token NAME. It is shown only once, on standard output."""
    new = new_text()
    made = Token(
        new.id,
        _name(name),
        new.digest,
        frozenset(map(Right, scopes)),
        tuple(map(_selector, selectors)),
        _limits(limits),
    )
    if offline:
        made = replace(made, expires_at=_expiry(time.time_ns(), **expiry))
        click.echo(table_of(made), err=True, nl=False)
        click.echo(new.text)
        return
    with _database(database_url) as (database, now):
        made = replace(made, created_at=now, expires_at=_expiry(now, **expiry))
        insert_token(database, made, now)
    click.echo(new.text)
    click.echo(f"made the token {_told(made)}. It is not shown again", err=True)


@token.command("list")
@database_url
@output
def list_(database_url: str, output: str) -> None:
    """List tokens, with their rights and last use, but no secrets."""
    with _database(database_url) as (database, now):
        found = list_tokens(database)
    if output == "json":
        document = {"tokens": [_document(token, now) for token in found]}
        click.echo(json.dumps(document, indent=2))
        return
    headings = ("NAME", "STATE", "SCOPES", "USED", "EXPIRES", "ID", "GROUPS")
    rows = [_row(token, now) for token in found]
    show(table(headings, rows, terminal_columns()))


@token.command()
@click.argument("name")
@database_url
def revoke(name: str, database_url: str) -> None:
    """Revoke the token NAME, or that with this id or text. Relays refuse it within
    5 s."""
    with _database(database_url) as (database, now):
        # Whoever found one somewhere has its text.
        revoked = revoke_token(database, id_of(name) or name, now)
    click.echo(
        f"revoked the token {revoked.name} ({revoked.id}); relays refuse it within 5 s",
        err=True,
    )


@token.command()
@click.argument("name")
@database_url
@plain_option(
    "--keep-old",
    default="0",
    metavar="DURATION",
    help="How long the old secret stays valid too, as in 24h.",
)
@expires_in
@expires_at
def rotate(name: str, database_url: str, keep_old: str, **expiry: str | None) -> None:
    """Give the token NAME, or that with this id, a new secret. It is shown this once.

    What it may do stays, and so does its expiry unless another one is given.
    """
    keep = _duration("--keep-old", keep_old)
    with _database(database_url) as (database, now):
        ends_at = _expiry(now, **expiry)
        rotated, new = rotate_token(database, name, now, keep, ends_at)
    click.echo(new.text)
    old = f"is good for {keep_old} more" if keep else "is refused within 5 s"
    click.echo(
        f"the token {rotated.name} ({rotated.id}) has a new secret, which is not shown "
        f"again; the one that it had {old}",
        err=True,
    )


@contextmanager
def _database(url: str) -> Iterator[tuple[Database, int]]:
    """Open the database at `url`; gives what time it is, too."""
    with existing_database(url) as database:
        require_schema(database)
        with database.reading() as session:
            learn_time(session)
        yield database, database.now()


def _name(written: str) -> str:
    try:
        return require_name(written)
    except InvalidToken as error:
        raise click.UsageError(str(error)) from error


def _selector(written: str) -> Selector:
    try:
        selector = parse_selector(written)
    except InvalidSelector as error:
        raise click.UsageError(f"--match: {error}") from error
    if selector.is_empty:
        raise click.UsageError(
            "--match: there is no matcher in it; leave it out for all groups"
        )
    return selector


def _limits(written: tuple[str, ...]) -> RuleLimits | None:
    known = [field.name for field in fields(RuleLimits)]
    limits: dict[str, int] = {}
    for each in written:
        name, _, number = each.partition("=")
        name = name.replace("-", "_")
        if name not in known or not number.isdecimal() or int(number) < 1:
            raise click.UsageError(
                f"--limit {each} is not NAME=N, with a number from 1 up and one of the "
                f"names {', '.join(known)}"
            )
        limits[name] = int(number)
    return RuleLimits(**limits) if limits else None


def _expiry(now: int, expires_in: str | None, expires_at: str | None) -> int | None:
    if expires_in is not None and expires_at is not None:
        raise click.UsageError("give --expires-in or --expires-at, not both")
    if expires_in is not None:
        seconds = _duration("--expires-in", expires_in)
        if not seconds:
            raise click.UsageError("--expires-in: must be longer than 0")
        return now + seconds
    if expires_at is None:
        return None
    try:
        end = round(float(api_time(expires_at, None, "leave it out for never")))
    except ValueError:
        raise click.UsageError(
            f"--expires-at {expires_at} is no time; a duration is for --expires-in"
        ) from None
    if end * _SECOND <= now:
        raise click.UsageError(f"--expires-at {expires_at} is past")
    return end * _SECOND


def _duration(option: str, written: str) -> int:
    try:
        return parse_duration(written)
    except InvalidDuration as error:
        raise click.UsageError(f"{option}: {error}") from error


def _told(token: Token) -> str:
    scopes = ", ".join(sorted(token.scopes))
    groups = f" for {_groups(token)}" if token.selectors else ""
    end = _seconds(token.expires_at)
    until = "" if end is None else f" until {moment(end, None)}"
    return f"{token.name} ({token.id}), with {scopes}{groups}{until}"


def _groups(token: Token) -> str:
    return " or ".join(map(str, token.selectors)) or "all"


def _state(token: Token, now: int) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "good" if token.is_good(now) else "expired"


def _row(token: Token, now: int) -> tuple[str, ...]:
    end = _seconds(token.expires_at)
    return (
        token.name,
        _state(token, now),
        ",".join(sorted(token.scopes)),
        ago(_seconds(token.last_used_at), now),
        "never" if end is None else moment(end, None),
        token.id,
        _groups(token),
    )


def _document(token: Token, now: int) -> dict[str, Any]:
    limits = token.limits
    names = [field.name for field in fields(RuleLimits)] if limits else []
    return {
        "id": token.id,
        "name": token.name,
        "state": _state(token, now),
        "scopes": sorted(token.scopes),
        "match": list(map(str, token.selectors)),
        "limits": {n: v for n in names if (v := getattr(limits, n)) is not None},
        "created_at": _seconds(token.created_at),
        "expires_at": _seconds(token.expires_at),
        "last_used_at": _seconds(token.last_used_at),
        "revoked_at": _seconds(token.revoked_at),
        "former_until": _seconds(token.former_until),
    }


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / _SECOND
