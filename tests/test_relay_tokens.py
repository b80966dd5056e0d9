"""How a relay finds tokens, and learns what became of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from databases import database_in, database_url
from postgres_use import opened
from relay_use import SECOND, Clock, on_loop
from sqlalchemy import make_url
from tcp_proxy import TcpProxy
from token_books import (
    Readings,
    at_work,
    found,
    read_soon,
    until,
    until_found,
)
from token_use import made
from waiting import DEADLINE

from pushrelay import token_sources, token_uses
from pushrelay.errors import StoreUnavailable
from pushrelay.rights import Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.engine import Database
from pushrelay.store.token_rows import list_tokens, revoke, rotate
from pushrelay.token_book import Refusal, TokenBook
from pushrelay.tokens import new_text

pytestmark = pytest.mark.usefixtures("rarely")

HOUR = 3600 * SECOND


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    read_soon(monkeypatch, answer=0.05)


@pytest.mark.usefixtures("tokens_read_soon")
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


@pytest.mark.usefixtures("tokens_read_soon")
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


@pytest.mark.usefixtures("tokens_read_soon")
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


@pytest.mark.usefixtures("tokens_read_soon")
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
        # It was read when the relay began.
        assert readings.count == 1


@on_loop
async def test_many_who_guess_share_one_look_and_the_next_does_not_look_again(
    tmp_path: Path,
    clock: Clock,
    readings: Readings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_sources, "ANSWER_SECONDS", DEADLINE)
    async with at_work(tmp_path, clock) as (book, database):
        guesses = [new_text().text for _ in range(200)]
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
        assert count <= 4


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


@pytest.mark.postgres
@pytest.mark.usefixtures("impatient")
@on_loop
async def test_behind_a_server_that_says_nothing_what_was_known_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    url = make_url(database_url(tmp_path))
    with TcpProxy(url.port or 0) as proxy:
        far, near = opened(url, port=proxy.port), opened(url)
        book = TokenBook(far, clock, 15)
        token, text = made(near)
        await until_found(book, text, None)
        proxy.before = lambda _link, _data: False
        other, other_text = made(near, "other")
        for _ in range(5):
            await asyncio.sleep(0.05)
            assert (await found(book, text)).name == token.name
        with pytest.raises(StoreUnavailable, match="cannot be told"):
            await book.look_up(other_text)
        proxy.before = lambda _link, _data: True
        proxy.cut()
        await until_found(book, other_text, None)
        assert (await found(book, other_text)).name == other.name
        await asyncio.to_thread(book.stop)
        far.close()
        near.close()


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
