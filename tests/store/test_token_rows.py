"""Tokens as rows, and what is done with them in the database."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from builders import change, new_database
from sound import faults_of
from sqlalchemy import insert, select, text, update
from token_use import HOUR, NOW, made, new_token

from pushrelay.errors import InvalidToken, StoreUnavailable
from pushrelay.job_rules import RuleLimits
from pushrelay.rights import Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.backup import back_up
from pushrelay.store.backup_reader import open_backup
from pushrelay.store.engine import Database
from pushrelay.store.restore import restore
from pushrelay.store.schema import commits, tokens
from pushrelay.store.token_rows import (
    KEPT_SECONDS,
    insert_session,
    insert_token,
    list_tokens,
    note_used,
    read_rows,
    remove_session,
    revoke,
    rotate,
)
from pushrelay.tokens import Token, digest_of


def stored(database: Database) -> list[Token]:
    """Return all tokens and sessions that can be read."""
    return [token for token in read_rows(database, {}).values() if token is not None]


def begin_session(database: Database, parent: Token, ends: int = NOW + HOUR) -> Token:
    session, _ = new_token("", parent=parent.id, scopes=frozenset(), expires_at=ends)
    insert_session(database, session, NOW)
    return session


def test_a_token_is_read_as_it_was_stored(database: Database) -> None:
    whole, _ = made(
        database,
        scopes=frozenset([Right.READ, Right.ADMIN]),
        selectors=(parse_selector("job=~'a.*',l!='\"'"), parse_selector("x=''")),
        limits=RuleLimits(series=1, label_value_bytes=2**62),
        expires_at=NOW + HOUR,
        former=bytes(32),
        former_until=NOW + 1,
    )
    least, _ = made(database, "other", created_at=NOW + 1)
    assert list_tokens(database) == [whole, least]
    assert faults_of(database) == []


def test_the_database_has_no_secret(database: Database) -> None:
    _, of_token = made(database)
    _, new = rotate(database, "backup", NOW, HOUR)
    with database.snapshot() as connection:
        row = repr(connection.execute(select(tokens)).all())
    for secret in (of_token, new.text):
        assert secret.split("_", 2)[2] not in row


def test_what_was_read_before_is_not_read_again(database: Database) -> None:
    made(database)
    first = read_rows(database, {})
    made(database, "other", created_at=NOW + 1)
    [kept, _] = read_rows(database, first).values()
    assert kept is next(iter(first.values()))


def test_names_are_unique_among_good_tokens(database: Database) -> None:
    made(database, expires_at=NOW + HOUR)
    with pytest.raises(InvalidToken, match="there is a token backup already"):
        made(database)
    made(database, now=NOW + HOUR)
    revoke(database, "backup", NOW + HOUR)
    made(database, now=NOW + HOUR)
    assert len(list_tokens(database)) == 3


def test_of_two_at_once_one_gets_the_name(database: Database) -> None:
    def insert(_: int) -> bool:
        try:
            made(database)
        except InvalidToken:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(insert, range(4))) == 1


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_token_is_revoked_by_name_or_id_and_its_sessions_end(
    by: str, database: Database
) -> None:
    token, _ = made(database)
    other, _ = made(database, "other", created_at=NOW + 1)
    begin_session(database, token)
    session = begin_session(database, other)
    assert revoke(database, getattr(token, by), NOW).id == token.id
    assert list_tokens(database) == [replace(token, revoked_at=NOW), other]
    assert [each for each in stored(database) if each.is_session] == [session]
    with pytest.raises(InvalidToken, match="no token backup, or it is revoked"):
        revoke(database, "backup", NOW)


@pytest.mark.parametrize("keep", [0, HOUR])
def test_a_token_is_rotated_and_what_it_is_for_stays(
    keep: int, database: Database
) -> None:
    token, text = made(database, expires_at=NOW + 2 * HOUR, limits=RuleLimits(series=1))
    begin_session(database, token)
    _, new = rotate(database, "backup", NOW, keep)
    [rotated] = stored(database)
    assert rotated.bears(digest_of(new.text), NOW)
    assert rotated.bears(digest_of(text), NOW) is bool(keep)
    assert not rotated.bears(digest_of(text), NOW + HOUR)
    former = {"former": rotated.former, "former_until": rotated.former_until}
    assert rotated == replace(token, digest=new.digest, **former)
    assert faults_of(database) == []


def test_a_rotated_token_may_get_another_expiry(database: Database) -> None:
    made(database, expires_at=NOW + HOUR)
    rotate(database, "backup", NOW, 0, NOW + 3 * HOUR)
    [token] = list_tokens(database)
    assert token.expires_at == NOW + 3 * HOUR
    with pytest.raises(InvalidToken, match="no token backup"):
        rotate(database, "backup", NOW + 3 * HOUR, 0)


def test_the_last_use_is_the_latest_that_was_noted(database: Database) -> None:
    token, _ = made(database)
    for at, last in ((NOW + 2, NOW + 2), (NOW + 1, NOW + 2), (NOW + 3, NOW + 3)):
        note_used(database, {token.id: at, "gone": at})
        assert [each.last_used_at for each in list_tokens(database)] == [last]


def test_sessions_end_one_by_one_and_are_forgotten_once_over(
    database: Database,
) -> None:
    token, _ = made(database)
    sessions = [begin_session(database, token, NOW + n) for n in (0, HOUR, 2 * HOUR)]
    remove_session(database, sessions[1].id)
    last = begin_session(database, token)
    left = {each.id for each in stored(database) if each.is_session}
    assert left == {sessions[2].id, last.id}
    assert list_tokens(database) == [token]


def test_tokens_that_give_nothing_are_forgotten_in_the_end(database: Database) -> None:
    made(database, "expired", expires_at=NOW)
    made(database, "revoked")
    revoke(database, "revoked", NOW)
    made(database, "later", now=NOW + KEPT_SECONDS * 10**9 - 1)
    assert len(list_tokens(database)) == 3
    made(database, "last", now=NOW + KEPT_SECONDS * 10**9)
    assert {token.name for token in list_tokens(database)} == {"later", "last"}


def test_a_token_that_cannot_be_read_gives_nothing_and_can_be_revoked(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    made(database)
    other, _ = made(database, "other")
    change(database, update(tokens).where(tokens.c.name == "backup").values(scopes="x"))
    read = read_rows(database, {})
    assert [*read.values()] in ([None, other], [other, None])
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        assert read_rows(database, read) == read
    assert caplog.text == ""
    assert revoke(database, "backup", NOW).name == "backup"


def test_without_its_table_nothing_is_known_or_changed(database: Database) -> None:
    change(database, text("DROP TABLE tokens"))
    token, _ = new_token()
    with pytest.raises(StoreUnavailable):
        read_rows(database, {})
    with pytest.raises(StoreUnavailable):
        insert_token(database, token, NOW)


def test_what_is_revoked_stays_so_when_a_backup_is_restored(
    database: Database, tmp_path: Path
) -> None:
    kept, _ = made(database, "kept")
    token, _ = made(database, created_at=NOW + 1)
    begin_session(database, token)
    file = tmp_path / "backup.db"
    assert back_up(database, file).rows["tokens"] == 2
    revoke(database, "backup", NOW + HOUR)
    made(database, "younger")
    with open_backup(file, str(file)) as backup:
        restore(database, backup, replace=True)
    assert stored(database) == [kept, replace(token, revoked_at=NOW + HOUR)]


@pytest.mark.parametrize("is_newer", [False, True])
def test_what_was_rotated_since_a_backup_keeps_its_secret_when_that_is_restored(
    database: Database, tmp_path: Path, is_newer: bool
) -> None:
    token, _ = made(database, expires_at=NOW + 9 * HOUR)
    commit = {"revision": 2, "nonce": bytes(16), "at": NOW}
    change(database, insert(commits).values(commit))
    file = tmp_path / "backup.db"
    back_up(database, file)
    # What a copy knows that was left behind is older than the backup.
    newest = update(commits).where(commits.c.revision == 2)
    change(database, newest.values(revision=3 if is_newer else 1))
    _, new = rotate(database, "backup", NOW, HOUR, NOW + 5 * HOUR)
    with open_backup(file, str(file)) as backup:
        restore(database, backup, replace=True)
    rotated = replace(
        token,
        digest=new.digest,
        former=token.digest,
        former_until=NOW + HOUR,
        expires_at=NOW + 5 * HOUR,
    )
    assert stored(database) == [rotated if is_newer else token]


def test_a_new_database_has_what_the_backup_had(
    database: Database, tmp_path: Path
) -> None:
    token, _ = made(database, limits=RuleLimits(labels=1))
    file = tmp_path / "backup.db"
    back_up(database, file)
    directory = tmp_path / "other"
    directory.mkdir()
    other = new_database(directory)
    with open_backup(file, str(file)) as backup:
        restore(other, backup)
    assert stored(other) == [token]
    other.close()
