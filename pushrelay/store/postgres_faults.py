"""What is wrong with a database on a server, in words, and what to do about it."""

from __future__ import annotations

import shlex

import psycopg
from sqlalchemy import URL

from pushrelay.store.engine import DriverError, one_line

_MAY_NOT = "42501"


def explain(url: URL, error: BaseException) -> str:
    """Return what is wrong with the database at `url`, now that `error` came of its
    use, and what to do."""
    cause = _cause(error)
    if cause is None:
        return one_line(error)
    told = cause.diag.message_primary or _in_one_line(str(cause)) or one_line(error)
    if cause.sqlstate == _MAY_NOT:
        return (
            f"{told}; have the database belong to its user, as {_createdb(url)} makes "
            "it, or GRANT what is missing"
        )
    if not was_reached(error) and _is_missing(told):
        return f"{told}; make it: {_createdb(url)}"
    return told


def was_reached(error: BaseException) -> bool:
    """Whether `error` came of the use of a database, and not of the attempt to connect
    to it."""
    cause = _cause(error)
    return cause is None or cause.sqlstate is not None


def _cause(error: BaseException) -> psycopg.Error | None:
    """Return what the driver raised."""
    if isinstance(error, DriverError):
        error = error.__cause__ or error
    cause = getattr(error, "orig", None) or error
    return cause if isinstance(cause, psycopg.Error) else None


def _is_missing(told: str) -> bool:
    # The driver has no code for what a server says before it lets somebody in. One that
    # speaks another language says what is missing all the same.
    return 'FATAL: database "' in told and told.endswith('" does not exist')


def _createdb(url: URL) -> str:
    owner, name = url.username or "USER", url.database or url.username or "DATABASE"
    return f"createdb --owner={shlex.quote(owner)} {shlex.quote(name)}"


def _in_one_line(told: str) -> str:
    """Return the lines of `told` as sentences."""
    joined = ""
    for line in filter(None, (" ".join(line.split()) for line in told.splitlines())):
        if joined and joined[-1] not in ".:;,?!":
            joined += ";" if line.startswith("- ") else "."
        joined += f" {line}" if joined else line
    return joined
