"""How large a database is, and what becomes of one that does not say so."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import new_database
from databases import database_url
from postgres_server import run_sql
from postgres_use import opened
from sqlalchemy import URL, make_url

from pushrelay.store.database_size import DatabaseSize

PATIENCE = 30
FUNCTION = "FUNCTION pg_database_size(name)"


@pytest.fixture
def owner_url(tmp_path: Path) -> URL:
    return make_url(database_url(tmp_path))


@pytest.fixture
def stranger_url(owner_url: URL) -> Iterator[URL]:
    """The URL for a role that is not told how large the database is."""
    role = f"u{secrets.token_hex(4)}"
    run_sql(
        owner_url,
        f"CREATE ROLE {role} LOGIN PASSWORD 'p'; "
        f"REVOKE EXECUTE ON {FUNCTION} FROM public",
    )
    yield owner_url.set(username=role, password="p")
    tell_all(owner_url)
    run_sql(owner_url, f"DROP ROLE {role}")


def tell_all(owner_url: URL) -> None:
    """Let every role know how large the database is."""
    run_sql(owner_url, f"GRANT EXECUTE ON {FUNCTION} TO public")


def test_a_database_says_how_large_it_is(tmp_path: Path) -> None:
    database = new_database(tmp_path)
    size = DatabaseSize(database)
    assert size.bytes == 0
    size.measure().result(PATIENCE)
    assert 10_000 < size.bytes < 10**9
    size.stop()
    database.close()


@pytest.mark.postgres
def test_a_server_that_does_not_say_it_is_told_of_once(
    owner_url: URL, stranger_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    database = opened(stranger_url)
    size = DatabaseSize(database)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            size.measure().result(PATIENCE)
    [record] = caplog.records
    assert "permission denied for function pg_database_size" in record.getMessage()
    assert size.bytes == 0
    tell_all(owner_url)
    size.measure().result(PATIENCE)
    assert size.bytes > 10_000
    size.stop()
    database.close()
