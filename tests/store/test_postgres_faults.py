"""What is said of a database on a server that cannot be used."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from command import call
from databases import database_url
from postgres_server import run_sql
from relay_process import free_port
from sqlalchemy import URL, make_url

from pushrelay.store.engine import DriverError
from pushrelay.store.postgres_faults import explain

pytestmark = pytest.mark.postgres


@pytest.fixture
def server_url(tmp_path: Path) -> URL:
    return make_url(database_url(tmp_path, has_tables=False))


@pytest.fixture
def stranger(server_url: URL) -> Iterator[URL]:
    """The URL for a user who may look at the database, and nothing else."""
    name, password = f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    run_sql(
        server_url,
        f"CREATE ROLE {name} LOGIN PASSWORD '{password}';"
        f"GRANT USAGE ON SCHEMA public TO {name}",
    )
    yield server_url.set(username=name, password=password)
    run_sql(server_url, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def backup(tmp_path: Path) -> str:
    file = str(tmp_path / "it.db")
    source = f"--database.url=sqlite:///{tmp_path}/relay.db"
    assert call("db", "upgrade", source).returncode == 0
    assert call("backup", file, source).returncode == 0
    return file


def refusal(url: URL, *command: str) -> str:
    """Return why a command cannot use the database at `url`."""
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = call(*command, f"--database.url={text}")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    begin = f"Error: the database postgresql://{url.username}@{url.host}:{url.port}/"
    assert line.startswith(f"{begin}{url.database} ")
    return line.partition(f"/{url.database} ")[2]


@pytest.mark.parametrize("command", ["serve", "db upgrade", "db current", "db check"])
def test_a_database_that_is_missing_is_said_with_the_command_that_makes_it(
    server_url: URL, command: str
) -> None:
    url = server_url.set(database="nobodys")
    assert refusal(url, *command.split()) == (
        f'cannot be used: connection failed: connection to server at "{url.host}", '
        f'port {url.port} failed: FATAL: database "nobodys" does not exist; make it: '
        f"createdb --owner={url.username} nobodys"
    )


def test_of_what_was_not_reached_nothing_is_said_to_be_left(
    stranger: URL, backup: str
) -> None:
    for url, said in (
        (stranger.set(password="x"), "FATAL: password authentication failed for user"),
        (stranger.set(port=free_port()), "failed: Connection refused. Is the server "),
        (stranger.set(host="nobody.invalid"), "failed to resolve host 'nobody.inv"),
    ):
        for command in (["db", "upgrade"], ["restore", backup]):
            line = refusal(url, *command)
            assert line.startswith("cannot be used: ")
            assert said in line
            assert "left as it" not in line


def test_who_may_not_make_tables_is_told_whose_the_database_should_be(
    stranger: URL, backup: str
) -> None:
    why = (
        "permission denied for schema public; have the database belong to its user, as "
        f"createdb --owner={stranger.username} {stranger.database} makes it, or GRANT "
        "what is missing"
    )
    assert refusal(stranger, "db", "upgrade") == (
        f"cannot be used: {why}; it was left as it is"
    )
    assert refusal(stranger, "restore", backup) == (f"was left as it was: {why}")


def test_what_is_said_in_lines_is_told_in_sentences() -> None:
    said = psycopg.OperationalError(
        "connection failed: refused\n\tIs the server  running?\n"
        "Several attempts failed. All failures were:\n- host: a: refused\n- host: b\n"
    )
    error = DriverError("connection failed")
    error.__cause__ = said
    assert explain(make_url("postgresql://"), error) == (
        "connection failed: refused. Is the server running? Several attempts failed. "
        "All failures were: - host: a: refused; - host: b"
    )


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("postgresql://", "createdb --owner=USER DATABASE"),
        ("postgresql://ann@host", "createdb --owner=ann ann"),
        ("postgresql://a%20b@host/c;d", "createdb --owner='a b' 'c;d'"),
    ],
)
def test_the_command_is_one_for_a_shell(url: str, command: str) -> None:
    missing = psycopg.OperationalError('x: FATAL:  database "a" does not exist\n')
    assert explain(make_url(url), missing).endswith(f"; make it: {command}")
