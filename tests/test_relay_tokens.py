"""How a relay finds tokens, and learns what became of them."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import change
from databases import database_in
from relay_use import SECOND, Clock, on_loop, open_relay
from sqlalchemy import text as text_of
from token_use import made, new_token
from waiting import DEADLINE

from pushrelay import token_book, token_sources, token_uses
from pushrelay.errors import InvalidRules, StoreUnavailable
from pushrelay.relay import Relay
from pushrelay.rights import Identity, Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.engine import Database
from pushrelay.store.token_rows import Row, list_tokens, read_rows, revoke, rotate
from pushrelay.token_book import SESSION_SECONDS, Refusal, TokenBook
from pushrelay.token_files import table_of
from pushrelay.token_sources import TokenFile
from pushrelay.tokens import Token, new_text

pytestmark = pytest.mark.usefixtures("rarely")

HOUR = 3600 * SECOND


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is known be read again soon."""
    monkeypatch.setattr(token_book, "STORE_SECONDS", 0.05)
    monkeypatch.setattr(token_book, "KNOWN_SECONDS", 0.1)
    monkeypatch.setattr(token_book, "FILE_SECONDS", 0.02)
    monkeypatch.setattr(token_sources, "PACE_SECONDS", 0.05)
    # However busy the machine is.
    monkeypatch.setattr(token_sources, "ANSWER_SECONDS", DEADLINE)


@pytest.fixture
def impatient(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait long for an answer, either."""
    monkeypatch.setattr(token_sources, "ANSWER_SECONDS", 0.05)


class Readings:
    """Counts how often tokens are read of the database, which can hang or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()
        monkeypatch.setattr(token_book, "read_rows", self._read)

    def _read(
        self, database: Database, known: Mapping[Row, Token | None]
    ) -> dict[Row, Token | None]:
        self.count += 1
        assert self.go_on.wait(DEADLINE)
        if self.fails:
            raise StoreUnavailable("it fails")
        return read_rows(database, known)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Readings]:
    readings = Readings(monkeypatch)
    yield readings
    readings.go_on.set()


@asynccontextmanager
async def at_work(
    directory: Path, clock: Clock
) -> AsyncIterator[tuple[TokenBook, Database]]:
    """Run a relay; gives its book, and its database as others open it."""
    async with open_relay(directory, clock=clock) as relay:
        database = database_in(directory)
        yield relay.tokens, database
        database.close()


async def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def found(book: TokenBook, text: str) -> Token:
    """Return the token with this text."""
    token = await book.look_up(text)
    assert isinstance(token, Token), token
    return token


async def until_found(book: TokenBook, text: str, found: Refusal | None) -> None:
    """Wait until that is what becomes of the token."""
    deadline = time.monotonic() + DEADLINE
    outcome: Token | Refusal | StoreUnavailable
    while True:
        try:
            outcome = await book.look_up(text)
        except StoreUnavailable as error:
            outcome = error
        if outcome is found or (found is None and isinstance(outcome, Token)):
            return
        assert time.monotonic() < deadline, outcome
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
@on_loop
async def test_a_token_is_found_as_soon_as_it_is_made(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        assert await book.look_up(new_text().text) is Refusal.UNKNOWN
        token, text = made(database, selectors=(parse_selector("job='a'"),))
        assert (await found(book, text)).name == token.name
        other, text = made(database, "other", scopes=frozenset([Right.READ]))
        assert (await found(book, text)).name == other.name


@pytest.mark.usefixtures("quick")
@on_loop
async def test_a_token_that_is_revoked_ends_on_every_relay(
    tmp_path: Path, clock: Clock
) -> None:
    async with (
        at_work(tmp_path, clock) as (one, database),
        at_work(tmp_path, clock) as (other, _),
    ):
        token, text = made(database)
        for book in (one, other):
            assert (await found(book, text)).name == token.name
        revoke(database, token.name, clock())
        await until_found(one, text, Refusal.REVOKED)
        await until_found(other, text, Refusal.REVOKED)


@pytest.mark.usefixtures("quick")
@on_loop
async def test_a_relay_that_was_not_asked_for_long_looks_first(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database)
        assert (await found(book, text)).name == token.name
        revoke(database, token.name, clock())
        await asyncio.sleep(0.15)
        assert await book.look_up(text) is Refusal.REVOKED


@on_loop
async def test_a_token_expires_by_the_clock_of_the_relay(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database, now=clock(), expires_at=clock() + HOUR)
        assert (await found(book, text)).name == token.name
        clock.go(3600)
        assert await book.look_up(text) is Refusal.EXPIRED


@pytest.mark.usefixtures("quick")
@on_loop
async def test_both_secrets_of_a_rotated_token_are_good_for_a_while(
    tmp_path: Path, clock: Clock
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        token, old = made(database)
        assert (await found(book, old)).name == token.name
        _, new = rotate(database, token.name, clock(), HOUR)
        rotated = await found(book, new.text)
        assert (await found(book, old)).name == rotated.name
        assert rotated.identity() == token.identity()
        clock.go(3600)
        assert await book.look_up(old) is Refusal.EXPIRED
        assert (await found(book, new.text)).name == rotated.name
        _, newer = rotate(database, token.name, clock(), 0)
        assert (await found(book, newer.text)).name == token.name
        await until_found(book, new.text, Refusal.UNKNOWN)


@pytest.mark.parametrize("garbage", ["", "secret", "prt_", "prt_0_\x00", "é" * 10_000])
@on_loop
async def test_garbage_costs_nothing(
    garbage: str, tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with at_work(tmp_path, clock) as (book, _):
        assert await book.look_up(garbage) is Refusal.UNKNOWN
        assert readings.count == 0


@on_loop
async def test_many_who_guess_share_one_look_and_the_next_does_not_look_again(
    tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        guesses = [new_text().text for _ in range(1000)]
        looks = [asyncio.ensure_future(book.look_up(guess)) for guess in guesses]
        await asyncio.sleep(0.1)
        token, text = made(database)
        assert (await found(book, text)).name == token.name
        assert {await look for look in looks} == {Refusal.UNKNOWN}
        began, count = time.monotonic(), readings.count
        for guess in guesses:
            assert await book.look_up(guess) is Refusal.UNKNOWN
        # As it is used, it is read again every few seconds.
        assert readings.count - count <= 1 + (time.monotonic() - began)
        assert count <= 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["hangs", "fails"])
@on_loop
async def test_without_the_database_what_was_known_last_goes_on(
    how: str, tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database)
        assert (await found(book, text)).name == token.name
        other, other_text = made(database, "other")
        readings.fails = how == "fails"
        if how == "hangs":
            readings.go_on.clear()
        for _ in range(5):
            await asyncio.sleep(0.05)
            assert (await found(book, text)).name == token.name
        with pytest.raises(StoreUnavailable, match="cannot be told"):
            await book.look_up(other_text)
        readings.fails = False
        readings.go_on.set()
        await until_found(book, text, None)
        await until_found(book, other_text, None)
        assert (await found(book, other_text)).name == other.name


@pytest.mark.usefixtures("impatient")
@on_loop
async def test_nobody_waits_long_for_a_database_that_hangs(
    tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with at_work(tmp_path, clock) as (book, _):
        readings.go_on.clear()
        looks = [book.look_up(new_text().text) for _ in range(100)]
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await book.look_up(new_text().text)
        assert time.monotonic() - began < DEADLINE / 2


@on_loop
async def test_the_last_use_is_noted_beside_and_not_each_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Mapping[str, int]] = []
    note = token_uses.note_used

    def noting(database: Database, used: Mapping[str, int]) -> None:
        written.append(used)
        note(database, used)

    monkeypatch.setattr(token_uses, "note_used", noting)
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database)
        other, other_text = made(database, "other", created_at=token.created_at + 1)
        await book.look_up(text)
        await until(lambda: list_tokens(database)[0].last_used_at == clock())
        for _ in range(20):
            clock.go(1)
            assert await book.look_up(text)
        assert (await found(book, other_text)).name == other.name
        await asyncio.sleep(0.1)
        assert len(written) == 1
    # What came after the last time is written when the relay ends.
    database = database_in(tmp_path)
    assert [each.last_used_at for each in list_tokens(database)] == [clock()] * 2
    assert written[1:] == [{token.id: clock(), other.id: clock()}]
    database.close()


@on_loop
async def test_uses_that_cannot_be_noted_harm_nobody(
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_database: Database, _used: Mapping[str, int]) -> None:
        raise StoreUnavailable("it fails")

    monkeypatch.setattr(token_uses, "note_used", fail)
    monkeypatch.setattr(token_uses, "EVERY_SECONDS", 0.01)
    caplog.set_level(logging.DEBUG)
    async with at_work(tmp_path, clock) as (book, database):
        token, text = made(database)
        for _ in range(3):
            assert (await found(book, text)).name == token.name
            await asyncio.sleep(0.05)
    told = [r for r in caplog.records if "are not noted" in r.getMessage()]
    assert len(told) >= 2
    assert {record.levelname for record in told} == {"DEBUG"}


# --- sessions ---


@pytest.mark.usefixtures("quick")
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
        text = await book.begin_session("anna")
        session = await found(book, text)
        assert session.user == "anna"
        assert session.identity() == Identity("anna", "user", session.identity().grant)
        clock.go(SESSION_SECONDS)
        assert await book.look_up(text) is Refusal.EXPIRED


@pytest.mark.usefixtures("quick")
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
            await book.begin_session("anna")


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
            await book.begin_session("anna")
        readings.fails = True
        hangs.set()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await book.begin_session("anna")


# --- the file ---


class File:
    """A file of tokens, and the book of a relay that has it."""

    def __init__(self, path: Path, relay: Relay, clock: Clock) -> None:
        self.path = path
        self.telemetry = relay.telemetry
        file = TokenFile(path, self.telemetry)
        self.book = TokenBook(relay._database, clock, 15, file)

    def write(self, *tokens: Token) -> None:
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(map(table_of, tokens)))
        os.replace(new, self.path)


@asynccontextmanager
async def with_file(directory: Path, clock: Clock) -> AsyncIterator[File]:
    async with open_relay(directory, clock=clock) as relay:
        file = File(directory / "tokens.toml", relay, clock)
        yield file
        await asyncio.to_thread(file.book.stop)


@pytest.mark.usefixtures("quick")
@on_loop
async def test_the_tokens_of_a_file_are_found_like_others_and_follow_it(
    tmp_path: Path, clock: Clock
) -> None:
    async with with_file(tmp_path, clock) as file:
        token, text = new_token(expires_at=clock() + HOUR)
        stored, stored_text = made(database_of(file), "stored")
        file.write(token)
        assert (await found(file.book, text)).name == token.name
        assert (await found(file.book, stored_text)).name == stored.name
        other, other_text = new_token("other")
        file.write(other)
        assert (await found(file.book, other_text)).name == other.name
        await until_found(file.book, text, Refusal.UNKNOWN)
        file.write(other, token)
        await until_found(file.book, text, None)
        session = await file.book.begin_session(await found(file.book, text))
        assert (await found(file.book, session)).name == token.name
        clock.go(3600)
        assert await file.book.look_up(text) is Refusal.EXPIRED
        file.write(other)
        await until_found(file.book, session, Refusal.REVOKED)


def database_of(file: File) -> Database:
    return file.book._database


@pytest.mark.usefixtures("quick")
@on_loop
async def test_a_file_that_turns_bad_changes_nothing_and_is_told(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_file(tmp_path, clock) as file:
        token, text = new_token()
        file.write(token)
        file.book.load()
        assert file.telemetry.has_tokens_of_file is True
        file.path.write_text("[[token]]\nname = 1\n")
        deadline = time.monotonic() + DEADLINE
        while file.telemetry.has_tokens_of_file:
            assert time.monotonic() < deadline
            assert (await found(file.book, text)).name == token.name
            await asyncio.sleep(0.01)
        assert f"{file.path}:2: token[1].name: must be a name" in caplog.text
        assert (await found(file.book, text)).name == token.name
        with pytest.raises(InvalidRules, match="must be a name"):
            await file.book.reload()
        file.path.unlink()
        with pytest.raises(InvalidRules, match="No such file"):
            await file.book.reload()
        assert (await found(file.book, text)).name == token.name
        file.write()
        await file.book.reload()
        assert await file.book.look_up(text) is Refusal.UNKNOWN
        assert file.telemetry.has_tokens_of_file is True


@pytest.mark.usefixtures("quick")
@on_loop
async def test_the_tokens_of_a_file_need_no_database(
    tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with with_file(tmp_path, clock) as file:
        readings.fails = True
        token, text = new_token()
        file.write(token)
        assert (await found(file.book, text)).name == token.name


@pytest.mark.usefixtures("quick")
@on_loop
async def test_a_token_that_is_revoked_in_the_database_is_so_in_the_file(
    tmp_path: Path, clock: Clock
) -> None:
    async with with_file(tmp_path, clock) as file:
        token, text = made(database_of(file))
        file.write(token)
        revoke(database_of(file), token.name, clock())
        await until_found(file.book, text, Refusal.REVOKED)


@pytest.mark.usefixtures("quick")
@on_loop
async def test_no_secret_is_in_a_log_or_an_error(
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    readings: Readings,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with with_file(tmp_path, clock) as file:
        book, database = file.book, database_of(file)
        _, text = made(database)
        other, of_file = new_token("other")
        file.write(other)
        texts = [text, of_file, new_text().text]
        outcomes = [await book.look_up(each) for each in texts]
        session = await book.begin_session(await found(book, text))
        readings.fails = True
        unknown = new_text().text
        with pytest.raises(StoreUnavailable) as error:
            await book.look_up(unknown)
    told = caplog.text + repr(outcomes) + repr(error.value)
    for secret in (*texts, session):
        assert secret.split("_", 2)[2] not in told
