"""The sessions of who has logged in."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from builders import change
from relay_use import SECOND, Clock, on_loop
from sqlalchemy import text as text_of
from token_books import (
    Readings,
    at_work,
    found,
    until_found,
)
from token_use import made
from waiting import DEADLINE

from pushrelay import token_book
from pushrelay.errors import StoreUnavailable
from pushrelay.rights import Identity
from pushrelay.store.token_rows import revoke
from pushrelay.token_book import SESSION_SECONDS, Refusal
from pushrelay.tokens import Token, parent_of_user

pytestmark = pytest.mark.usefixtures("rarely")

HOUR = 3600 * SECOND


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_a_session_lasts_as_long_as_its_token_and_half_a_day(
    tmp_path: Path, clock: Clock
) -> None:
    async with (
        at_work(tmp_path, clock) as (book, database),
        at_work(tmp_path, clock) as (other, _),
    ):
        token, text = made(database)
        first = await book.begin_session(await found(book, text))
        for relay in (book, other):
            session = await relay.look_up(first)
            assert isinstance(session, Token)
            assert session.is_session
            assert session.identity() == token.identity()
        await book.end_session(session)
        assert await book.look_up(first) is Refusal.UNKNOWN
        await until_found(other, first, Refusal.UNKNOWN)
        again = await book.begin_session(await found(book, text))
        third = await book.begin_session(await found(book, again))
        assert (await found(book, third)).parent == token.id
        revoke(database, token.name, clock())
        for secret in (again, third):
            await until_found(book, secret, Refusal.UNKNOWN)


@on_loop
async def test_the_session_of_a_user_expires(tmp_path: Path, clock: Clock) -> None:
    async with at_work(tmp_path, clock) as (book, _):
        text = await book.begin_session(parent_of_user("anna", "0f"))
        session = await found(book, text)
        assert session.user == "anna"
        assert session.identity() == Identity("anna", "user", session.identity().grant)
        clock.go(SESSION_SECONDS)
        assert await book.look_up(text) is Refusal.EXPIRED


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_a_session_ends_when_its_token_expires(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database, now=clock(), expires_at=clock() + HOUR)
        session = await book.begin_session(await found(book, text))
        assert (await found(book, session)).name == token.name
        clock.go(3600)
        assert await book.look_up(session) is Refusal.EXPIRED
        change(database, text_of("DELETE FROM tokens WHERE parent IS NULL"))
        await until_found(book, session, Refusal.REVOKED)


@on_loop
async def test_without_the_database_nobody_logs_in(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        change(database, text_of("DROP TABLE tokens"))
        with pytest.raises(StoreUnavailable):
            await book.begin_session("user:0f:anna")


@on_loop
async def test_a_log_in_does_not_wait_for_ever(
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    readings: Readings,
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(token_book, "insert_session", lambda *_: hangs.wait(DEADLINE))
    async with at_work(tmp_path, clock) as (book, _):
        monkeypatch.setattr(book, "_write_seconds", 0.05)
        with pytest.raises(StoreUnavailable, match="did not confirm the session"):
            await book.begin_session("user:0f:anna")
        readings.fails = True
        hangs.set()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await book.begin_session("user:0f:anna")
