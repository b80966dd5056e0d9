"""The books of relays in a test's own process, which read again soon."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from databases import database_in
from relay_use import Clock, open_relay
from waiting import DEADLINE

from pushrelay import token_book, token_sources
from pushrelay.errors import StoreUnavailable
from pushrelay.relay import Relay
from pushrelay.store.engine import Database
from pushrelay.store.token_rows import Row, read_rows
from pushrelay.token_book import Refusal, TokenBook
from pushrelay.token_files import table_of
from pushrelay.token_sources import TokenFile
from pushrelay.tokens import Token


def read_soon(patch: pytest.MonkeyPatch, answer: float = DEADLINE) -> None:
    """Let what is known be read again soon. answer: seconds to wait for that; by
    default, however busy the machine is."""
    patch.setattr(token_book, "STORE_SECONDS", 0.05)
    patch.setattr(token_book, "KNOWN_SECONDS", 0.1)
    patch.setattr(token_book, "FILE_SECONDS", 0.02)
    patch.setattr(token_sources, "PACE_SECONDS", 0.05)
    patch.setattr(token_sources, "ANSWER_SECONDS", answer)


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


class File:
    """A file of tokens, and the book of a relay that has it."""

    def __init__(self, path: Path, relay: Relay, clock: Clock) -> None:
        self.path = path
        self.telemetry = relay.telemetry
        file = TokenFile(path, self.telemetry)
        self.database = relay._database
        self.book = TokenBook(self.database, clock, 15, file)

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
