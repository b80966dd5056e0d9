"""A state of the database that somebody keeps open, as a backup does, for long.

Meanwhile nothing of what is replaced or deleted can be cleaned away.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from builders import key_of
from databases import database_url
from desks import Desk, x
from plans import pages_read
from postgres_server import plain, run_sql
from sqlalchemy import make_url, text

from pushrelay.store import postgres_session, pruning, reader
from pushrelay.store.change_rows import REVISED
from pushrelay.store.engine import Database
from pushrelay.store.group_rows import to_row
from pushrelay.store.statements import Statement, sql

pytestmark = [pytest.mark.postgres, pytest.mark.system]

COMMITS = 2000
MORE = 10
"""So many pages more a statement may look at: indexes that have grown are higher."""


def asked_by_a_push(desk: Desk) -> dict[str, tuple[Statement, dict[str, Any]]]:
    """Return what is asked of the database for a push, but for what it adds."""
    position = desk.decider.position
    assert position is not None
    since = {"revision": position.revision, "most": reader.FEW}
    groups = REVISED[0]
    oldest = desk.writer._pruner._oldest
    return {
        "lock": (sql(text(postgres_session._LOCK)), {}),
        "clock": (reader._NEWEST, {}),
        "changes": (groups._some, since),
        "old group": (groups.replacing.remove, {"ids": [key_of().id]}),
        "new group": (groups.replacing.insert, to_row(x("a")) | {"revision": -1}),
        "oldest": (pruning._OLDEST, {"known": oldest}),
        "prune": (pruning._PRUNE_COMMITS, {"oldest": oldest, "through": oldest}),
    }


def test_what_a_push_asks_for_takes_no_longer_while_a_snapshot_is_open(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "KEPT_COMMITS", 100)
    url = make_url(database_url(tmp_path))
    desk = Desk(database)
    desk.write(x("a"))

    def pages() -> dict[str, int]:
        # As the server does by itself every minute.
        run_sql(url, "ANALYZE")
        with closing(database.open_writer()) as session:
            return {
                name: pages_read(session, statement, values)
                for name, (statement, values) in asked_by_a_push(desk).items()
            }

    before = pages()
    with psycopg.connect(plain(url)) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        other.execute("SELECT count(*) FROM commits")
        for number in range(COMMITS):
            assert desk.write(x("a", number)) == [None]
        after = pages()
        assert run_sql(url, "SELECT pg_relation_size('write_lock')") == [(8192,)]
        held = other.execute("SELECT max(revision) FROM commits").fetchone()
        assert held == (1,)
    grown = {name: after[name] - pages for name, pages in before.items()}
    assert max(grown.values()) <= MORE, grown
    desk.writer.stop()
