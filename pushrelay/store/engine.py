"""What the store knows of databases, of whatever kind: see `sqlite`, `postgresql`."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import BigInteger, Integer, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pushrelay.config import Limits
from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.store.session import Session


class DriverError(Exception):
    """What the driver of PostgreSQL raises, in the words of its `__cause__`."""


class ValueTooLarge(DriverError):
    """The database does not take so large a value."""


class ConstraintBroken(DriverError):
    """The database does not take such a value."""


class UnreadableRow(DriverError):
    """What a row holds is not what was written."""


DatabaseErrors = (sqlite3.Error, SQLAlchemyError, DriverError)
"""What is raised when the database fails: by the driver, or while connecting."""

TooLarge = (sqlite3.DataError, ValueTooLarge)
NotAllowed = (sqlite3.IntegrityError, ConstraintBroken)
"""What is raised for values that no trying again will store."""

REVISION = BigInteger().with_variant(Integer, "sqlite")
"""The type of revisions. SQLite makes a primary key its row number only if it is
spelled INTEGER."""

NO_LOCK_ROW = (
    "the table write_lock is empty, so that relays cannot take turns; run "
    "`pushrelay db upgrade --database.url=...`, which puts its row back"
)

SYNC_MODES = ("full", "normal")


class Database(Protocol):
    """A database that can be read from any thread and written by one transaction.

    kind: the product's name. name: for people, without a password. is_shared: whether
    other relays are meant to use it, too.
    """

    kind: str
    name: str
    is_shared: bool

    def is_silent(self) -> bool:
        """Whether somebody has waited for its next word for so long that whoever asks
        anew, on another connection, may be answered before."""

    def now(self) -> int:
        """What time it is, Unix nanoseconds: by the clock of this host, or by that of
        the server that others share, as it was told last with a `first_timed`."""

    def clock_skew(self) -> int:
        """How far the clock of this host is ahead of that, in nanoseconds."""

    def exists(self) -> bool:
        """Whether there is one; what is shared is taken to be there."""

    def create(self) -> bool:
        """Make an empty database if there is none and that is for us to do; return
        whether it was made. Raises StartupError, also for a file that is damaged or
        cannot be written; then nothing was changed."""

    def explain(self, error: BaseException) -> str:
        """Return what is wrong, now that `error` came of its use, and what to do."""

    def was_reached(self, error: BaseException) -> bool:
        """Whether `error` came of the use of the database, and not of the attempt to
        connect to it."""

    def reading(self, *, newest: bool = False) -> AbstractContextManager[Session]:
        """Lend a connection for reading; its transactions see one state.

        It is kept for the next one who asks. newest: whether all that matters is what
        is there now, and who still waits after a later one was done waits in vain.
        Raises DatabaseErrors.
        """

    def open_writer(self) -> Session:
        """Open a connection whose transactions are writing ones. Raises
        DatabaseErrors."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Give a connection of SQLAlchemy that sees one state of the database."""

    def migrating(self) -> AbstractContextManager[Connection]:
        """Give a connection of SQLAlchemy in a transaction in which nobody else writes
        or changes the schema. Raises OSError and DatabaseErrors."""

    def close(self) -> None:
        """Close all connections that are not in use."""


def open_database(
    url: str, sync: str = "full", write_seconds: float = Limits().write_seconds
) -> Database:
    """Return the database at `url`, an SQLAlchemy URL; nothing is opened yet.

    sync: "full" makes a commit survive a power cut, "normal" a crash of the process.
    write_seconds: how long to wait for a server that says nothing to a write.

    Raises StartupError for what is no such URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StartupError(
            f"--database.url is not a database URL: {without_password(url)!r}; {_WRITE}"
        ) from None
    if sync not in SYNC_MODES:
        raise StartupError(f"--database.sync must be one of {', '.join(SYNC_MODES)}")
    kind, _, driver = parsed.drivername.partition("+")
    if kind == "sqlite":
        from pushrelay.store.sqlite import SqliteDatabase

        return SqliteDatabase(parsed, sync)
    # Providers of databases write both.
    if kind in ("postgresql", "postgres"):
        _require_readable(url, driver)
        try:
            from pushrelay.store.postgresql import PostgresDatabase
        except ImportError as error:
            raise StartupError(
                f"--database.url: the driver of PostgreSQL is missing: {error}; "
                "install psycopg, or pushrelay anew with its extra `postgres`; "
                "docs/operations.md says how"
            ) from error

        return PostgresDatabase(parsed, sync, write_seconds)
    raise StartupError(f"--database.url: {kind} is not supported; {_WRITE}")


def _require_readable(url: str, driver: str) -> None:
    """Refuse the URL of a server that would be taken for something else."""
    if driver not in ("", "psycopg"):
        raise StartupError(
            f"--database.url: the driver {driver} is not used here; write "
            "postgresql://..., without one"
        )
    if _address(url).count("@") > 1:
        raise StartupError(
            "--database.url: there is more than one @ before the parameters; in a user "
            "name or a password, write @ as %40, / as %2F, : as %3A and % as %25"
        )


_WRITE = (
    "write sqlite:///FILE, with a fourth slash for an absolute path, or "
    "postgresql://USER:PASSWORD@HOST/DATABASE"
)


def without_password(url: str) -> str:
    """Return `url` for people, whatever it is."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _without_user(url)
    if _address(url).count("@") > 1:
        return _without_user(url)
    hidden = {name: "HIDDEN" for name in parsed.query if "password" in name}
    if parsed.password is None and not hidden:
        return url
    return parsed.update_query_dict(hidden).render_as_string()


def _without_user(url: str) -> str:
    """Return what is no secret, wherever the password ends."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        # What follows may be anything.
        scheme, separator, rest = url.partition(":")
        return scheme + separator + ("..." if rest else "")
    return scheme + separator + _address(url).rpartition("@")[2]


def _address(url: str) -> str:
    """Return the part with the user, the host and the database."""
    return url.partition("?")[0].partition("://")[2]


def unavailable(database: Database, error: Exception) -> StoreUnavailable:
    """Return the error that tells users of `database` about the driver's `error`."""
    return StoreUnavailable(f"the database is unavailable: {database.explain(error)}")


def unusable(database: Database, error: Exception) -> StartupError:
    """Return the error that tells why `database` cannot even be started with."""
    reason = database.explain(error)
    if database.was_reached(error):
        reason += "; it was left as it is"
    return StartupError(f"the database {database.name} cannot be used: {reason}")


def one_line(error: BaseException) -> str:
    """Return what the driver says, without what SQLAlchemy adds."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
