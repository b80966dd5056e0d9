"""How a relay follows its file of tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from relay_use import SECOND, Clock, on_loop
from token_books import (
    Readings,
    found,
    until_found,
    with_file,
)
from token_use import made, new_token
from waiting import DEADLINE

from pushrelay.errors import InvalidRules, StoreUnavailable
from pushrelay.store.token_rows import revoke
from pushrelay.token_book import Refusal
from pushrelay.tokens import new_text

pytestmark = pytest.mark.usefixtures("rarely")

HOUR = 3600 * SECOND


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_the_tokens_of_a_file_are_found_like_others_and_follow_it(
    tmp_path: Path, clock: Clock
) -> None:
    async with with_file(tmp_path, clock) as file:
        token, text = new_token(expires_at=clock() + HOUR)
        stored, stored_text = made(file.database, "stored")
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


@pytest.mark.usefixtures("tokens_read_soon")
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


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_the_tokens_of_a_file_need_no_database(
    tmp_path: Path, clock: Clock, readings: Readings
) -> None:
    async with with_file(tmp_path, clock) as file:
        readings.fails = True
        token, text = new_token()
        file.write(token)
        assert (await found(file.book, text)).name == token.name


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_a_token_that_is_revoked_in_the_database_is_so_in_the_file(
    tmp_path: Path, clock: Clock
) -> None:
    async with with_file(tmp_path, clock) as file:
        token, text = made(file.database)
        file.write(token)
        revoke(file.database, token.name, clock())
        await until_found(file.book, text, Refusal.REVOKED)


@pytest.mark.usefixtures("tokens_read_soon")
@on_loop
async def test_no_secret_is_in_a_log_or_an_error(
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    readings: Readings,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with with_file(tmp_path, clock) as file:
        book, database = file.book, file.database
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
