"""Brings the schema of a database up to date, and says where it stands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Inspector, insert, inspect, select, text
from sqlalchemy.engine import Connection

from pushrelay.errors import StartupError
from pushrelay.store.engine import NO_LOCK_ROW, Database, DatabaseErrors, unusable
from pushrelay.store.schema import write_lock

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0008"
"""The schema that this version works with; importing Alembic to find out is slow."""


def current_schema(database: Database) -> str | None:
    """Return the schema version of `database`, None where it has no tables yet.

    Raises StartupError where the file is not a database or belongs to something else.
    """
    return _state(database)[0]


def upgrade(database: Database) -> bool:
    """Bring `database` to the schema `HEAD`; return whether anything had to be done.
    The row that writers lock is put back if it has gone.

    Safe to run by several processes at once. Raises StartupError for a schema that
    this version does not know and for a database that cannot be read or written.
    """
    if _state(database) == (HEAD, True):
        return False
    try:
        with database.migrating() as connection:
            current = _current(connection)
            if current == HEAD:
                return _put_back_lock_row(connection)
            _refuse_unknown(current)
            _run_migrations(connection)
    except (*DatabaseErrors, OSError) as error:
        raise unusable(database, error) from error
    return True


def require_head(database: Database) -> None:
    """Raise StartupError unless `database` has exactly the schema `HEAD`, and the row
    that writers lock."""
    current, has_lock_row = _state(database)
    _require_head(current)
    if not has_lock_row:
        raise StartupError(NO_LOCK_ROW)


def require_schema(database: Database) -> None:
    """Raise StartupError unless `database` has exactly the schema `HEAD`."""
    _require_head(current_schema(database))


def prepare(connection: Connection) -> None:
    """Make the tables in a database that has none, and the row that writers lock if it
    has gone, in the transaction of `connection`. Raises StartupError for another schema
    than `HEAD`."""
    current = _current(connection)
    if current is None:
        _run_migrations(connection)
    else:
        _require_head(current)
        _put_back_lock_row(connection)


def is_known(schema: str) -> bool:
    """Whether `schema` is one that this version can bring up to date."""
    if schema == HEAD:
        return True
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return schema in {script.revision for script in scripts}


def _require_head(current: str | None) -> None:
    if current != HEAD:
        _refuse_unknown(current)
        raise StartupError(
            f"the database has schema {current or 'none'}, this version needs {HEAD}; "
            "run `pushrelay db upgrade --database.url=...`"
        )


def _state(database: Database) -> tuple[str | None, bool]:
    """Return the schema version of `database`, and whether it is ours and has the row
    that writers lock."""
    try:
        with database.snapshot() as connection:
            current = _current(connection)
            return current, current == HEAD and _has_lock_row(connection)
    except DatabaseErrors as error:
        raise unusable(database, error) from error


def _has_lock_row(connection: Connection) -> bool:
    return connection.execute(select(write_lock)).first() is not None


def _put_back_lock_row(connection: Connection) -> bool:
    """Return whether it had gone."""
    if _has_lock_row(connection):
        return False
    connection.execute(insert(write_lock), {"id": 1})
    return True


def _current(connection: Connection) -> str | None:
    inspector = inspect(connection)
    # Tables of others may lie in schemas that are looked through after our own.
    tables = set(inspector.get_table_names(_own_schema(inspector)))
    if "alembic_version" in tables:
        query = text("SELECT version_num FROM alembic_version")
        version: str | None = connection.execute(query).scalar()
        return version
    if tables:
        raise StartupError(
            f"the database holds other tables: {', '.join(sorted(tables))}; "
            "give pushrelay a database of its own with --database.url"
        )
    return None


def _own_schema(inspector: Inspector) -> str:
    """Return the schema in which tables are made."""
    schema = inspector.default_schema_name
    if schema is None:
        raise StartupError(
            "no schema in the search_path of --database.url's user exists; make one"
        )
    return schema


def _refuse_unknown(current: str | None) -> None:
    if current is not None and not is_known(current):
        raise StartupError(
            f"the database has schema {current}, which is newer than this version of "
            f"pushrelay knows ({HEAD}); start the version that wrote it, or a newer one"
        )


def _run_migrations(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("pushrelay.migrations")))
    return config
