"""What tests do to a PostgreSQL server and to those who are connected to it."""

from __future__ import annotations

import time

from postgres_server import PATIENCE, run_sql
from sqlalchemy import URL, text

from pushrelay.store.engine import Database, open_database
from pushrelay.store.session import Session
from pushrelay.store.statements import sql


def opened(
    url: URL, sync: str = "normal", write_seconds: float = 15.0, **parts: object
) -> Database:
    """Open the database at `url`, with `parts` of it replaced."""
    changed = url.set(**parts)  # type: ignore[arg-type]  # whichever they are
    text = changed.render_as_string(hide_password=False)
    return open_database(text, sync, write_seconds)


def with_options(url: URL, options: str) -> URL:
    """Return `url` with settings for its connections, as a role may have them."""
    return url.update_query_dict({"options": options})


def setting(session: Session, name: str) -> str:
    """Return a setting of the connection as it is now."""
    query = text(f"SELECT current_setting('{name}')")  # the test's own
    found = session.first(sql(query))
    assert found is not None
    return str(found[0])


def cut_all(url: URL) -> None:
    """Have the server end the connections of all relays to the database."""
    run_sql(
        url,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'pushrelay'",
    )


def wait_until(url: URL, condition: str) -> None:
    """Wait until somebody's connection to the database meets `condition`."""
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "  # noqa: S608  # the test's own
        f"AND pid <> pg_backend_pid() AND {condition}"
    )
    deadline = time.monotonic() + PATIENCE
    while not run_sql(url, query):
        assert time.monotonic() < deadline, f"never: {condition}"
        time.sleep(0.01)
