from __future__ import annotations

from pathlib import Path

import pytest
from builders import commit, group_of, key_of, new_database
from click.testing import CliRunner, Result
from databases import database_url
from sqlalchemy import make_url, text

from pushrelay.cli.main import cli
from pushrelay.store.engine import open_database
from pushrelay.store.migrate import HEAD


def run(command: str, database: Path) -> Result:
    return CliRunner().invoke(
        cli, ["db", command, f"--database.url=sqlite:///{database}"]
    )


def test_upgrade_creates_the_database_once(tmp_path: Path) -> None:
    database = tmp_path / "new" / "relay.db"
    first, second = run("upgrade", database), run("upgrade", database)
    assert first.exit_code == second.exit_code == 0
    assert first.output == f"{database} upgraded to schema {HEAD}\n"
    assert second.output == f"{database} is already at schema {HEAD}\n"


def test_current_and_check_tell_the_schema(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    run("upgrade", database)
    assert run("current", database).output == f"{HEAD}\n"
    assert run("check", database).output == (
        f"{database} is at schema {HEAD} and revision 0 (empty): nothing is wrong\n"
    )


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    for command in ("current", "check"):
        result = run(command, database)
        assert result.exit_code == 1
        assert f"there is no database {database}" in result.output
        assert "--database.url or PUSHRELAY_DATABASE_URL" in result.output
    assert not database.exists()


def test_check_refuses_a_database_without_tables(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    assert open_database(f"sqlite:///{database}").create()
    result = run("check", database)
    assert result.exit_code == 1
    assert "run `pushrelay db upgrade --database.url=...`" in result.output
    assert run("current", database).output == "none\n"


def test_a_url_of_something_else_is_a_clear_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli, ["db", "check", "--database.url=mysql://u:secret@h/d"]
    )
    assert result.exit_code == 1
    assert "mysql is not supported" in result.output
    assert "secret" not in result.output


def test_check_tells_what_is_wrong_a_line_each(tmp_path: Path) -> None:
    database = new_database(tmp_path)
    key = key_of("a", instance="\n\x1b[0m")
    commit(database, group_of("x 1", key), group_of("x 1", key_of("b")))
    with database.migrating() as connection:
        connection.execute(text("UPDATE commits SET at = 1 WHERE revision = 1"))
        broken = text("UPDATE groups SET families = '' WHERE id = :id")
        connection.execute(broken, {"id": key.id})
    database.close()
    result = run("check", tmp_path / "relay.db")
    assert result.exit_code == 1
    clock, group, verdict = result.output.splitlines()
    assert clock.startswith("commits 1: was made ")
    assert group.startswith('groups {job="a",instance="\\n\\x1b[0m"}: cannot be read: ')
    assert group.endswith(
        "; restore a backup, or delete the row and start the relays again"
    )
    assert verdict == (
        f"{tmp_path}/relay.db is at schema {HEAD} and revision 1 (groups 2): 2 faults"
    )


@pytest.mark.postgres
def test_a_database_on_a_server_is_looked_after(tmp_path: Path) -> None:
    url = database_url(tmp_path, has_tables=False)

    def run(command: str) -> str:
        result = CliRunner().invoke(cli, ["db", command, f"--database.url={url}"])
        assert str(make_url(url).password) not in result.output
        return f"{result.exit_code} {result.output}"

    parsed = make_url(url)
    name = f"postgresql://postgres@127.0.0.1:{parsed.port}/{parsed.database}"
    assert run("check") == (
        f"1 Error: the database has schema none, this version needs {HEAD}; "
        "run `pushrelay db upgrade --database.url=...`\n"
    )
    assert run("current") == "0 none\n"
    assert run("upgrade") == f"0 {name} upgraded to schema {HEAD}\n"
    assert run("upgrade") == f"0 {name} is already at schema {HEAD}\n"
    assert run("current") == f"0 {HEAD}\n"
    assert run("check") == (
        f"0 {name} is at schema {HEAD} and revision 0 (empty): nothing is wrong\n"
    )
