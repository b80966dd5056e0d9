"""What is known of tokens: those of the database, and those of a file.

All of them are in memory. They are read again while they are asked for, so that what is
revoked ends within `KNOWN_SECONDS`, on every relay of the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from typing import Any

from pushrelay.errors import StoreUnavailable
from pushrelay.store.engine import Database
from pushrelay.store.shared_call import quiet, wait
from pushrelay.store.token_rows import (
    Row,
    insert_session,
    read_rows,
    remove_session,
)
from pushrelay.token_sources import Known, Source, TokenFile, known
from pushrelay.token_uses import TokenUses
from pushrelay.tokens import Token, digest_of, is_token, new_text

KNOWN_SECONDS = 5.0
"""So old may be what is known of the database, or of the file, while they answer."""

STORE_SECONDS = KNOWN_SECONDS / 2
FILE_SECONDS = 1.0
"""So old is what is known when it is read again, while nobody waits for it."""

SESSION_SECONDS = 12 * 3600

_MOST_UNKNOWN = 10_000


class Refusal(StrEnum):
    """Why a text is that of no token that gives anything, for people."""

    UNKNOWN = "the token is not known here"
    EXPIRED = "the token has expired"
    REVOKED = "the token was revoked"


class TokenBook:
    """Finds tokens, and begins and ends sessions.

    now: Unix nanoseconds. write_seconds: how long the database may take for a session.
    file: tokens beside those of the database.

    Its coroutines must run on one event loop; nothing of it blocks that. Tokens are
    looked up by the SHA-256 of what was sent, of which nobody can choose the beginning,
    so that how long it takes tells nothing.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], int],
        write_seconds: float,
        file: TokenFile | None = None,
    ) -> None:
        self._database = database
        self._now = now
        self._write_seconds = write_seconds
        self._rows: Mapping[Row, Token | None] = {}
        self._stored = Source(
            self._read_stored,
            "tokens",
            database.is_silent,
            STORE_SECONDS,
            KNOWN_SECONDS,
        )
        self._sources = [self._stored]
        self._file = file
        if file is not None:
            source = Source(
                file.read, "token-file", lambda: False, FILE_SECONDS, KNOWN_SECONDS
            )
            self._sources.append(source)
        # When digests were looked for in vain, by the monotonic clock.
        self._unknown: dict[bytes, float] = {}
        self._uses = TokenUses(database)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sessions")

    # --- looking up ---

    async def look_up(self, text: str) -> Token | Refusal:
        """Return the token, or the session, with this text, or why there is none.

        A session that was begun with a token is given as long as that is good, and has
        its name and all that it gives. Of one that a user began, `user` is the name:
        whether that user is still there, with that password, is not known here.

        Text that cannot be a token's costs nothing. For one that is not known, the
        database is asked, at most once a second for all who ask: that may take a second
        or two. Raises StoreUnavailable where it does not answer then; what was known
        before goes on to be found.
        """
        found, digest = await self.known(text), digest_of(text)
        if found is not Refusal.UNKNOWN or not is_token(text):
            return found
        if self._is_in_vain(digest):
            return found
        is_read = await asyncio.gather(*[s.read_anew() for s in self._sources])
        found = self._look_up(digest)
        if found is Refusal.UNKNOWN:
            if not all(is_read):
                raise StoreUnavailable(
                    "whether this token is good cannot be told, for the database does "
                    "not answer; try again later"
                )
            self._note_in_vain(digest)
        return found

    async def known(self, text: str) -> Token | Refusal:
        """Return what `look_up` returns, of what is known by now: nothing is asked for
        one that is not."""
        if not is_token(text):
            return Refusal.UNKNOWN
        if not self._is_fresh():
            await asyncio.gather(*[source.freshen() for source in self._sources])
        return self._look_up(digest_of(text))

    def _is_fresh(self) -> bool:
        fresh = [source.is_fresh() for source in self._sources]
        return all(fresh)

    def _look_up(self, digest: bytes) -> Token | Refusal:
        now = self._now()
        token = self._find(lambda known: known.by_digest.get(digest))
        if token is None:
            return Refusal.UNKNOWN
        if not token.bears(digest, now):
            return Refusal.EXPIRED
        refusal = _refusal(token, now)
        if refusal is None and token.parent is not None and token.user is None:
            return self._of_session(token, token.parent, now)
        if refusal is None:
            self._uses.note(token.id, now)
        return refusal or token

    def _of_session(self, session: Token, parent_id: str, now: int) -> Token | Refusal:
        parent = self._find(lambda known: known.by_id.get(parent_id))
        if parent is None:
            return Refusal.REVOKED
        refusal = _refusal(parent, now)
        if refusal is None:
            self._uses.note(parent_id, now)
        return refusal or parent.giving_to(session)

    def _find(self, find: Callable[[Known], Token | None]) -> Token | None:
        for source in self._sources:
            token = find(source.known)
            if token is not None:
                return token
        return None

    def _is_in_vain(self, digest: bytes) -> bool:
        """Whether it was looked for a moment ago: what is read meanwhile will do."""
        looked_at = self._unknown.get(digest)
        return looked_at is not None and time.monotonic() < looked_at + KNOWN_SECONDS

    def _note_in_vain(self, digest: bytes) -> None:
        if len(self._unknown) >= _MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[digest] = time.monotonic()

    # --- the file ---

    @property
    def has_file(self) -> bool:
        """Whether there are tokens beside those of the database."""
        return self._file is not None

    def load(self) -> None:
        """Read all tokens, before anybody asks for them: the selectors of ten thousand
        take a second, but only the first time."""
        for source in self._sources:
            with suppress(StoreUnavailable):
                source.load()

    async def reload(self) -> None:
        """Read the file again, if there is one, changed or not. Raises InvalidRules
        with all that is wrong with it; then its tokens are those that they were."""
        if self._file is not None:
            self._file.forget()
            await self._sources[-1].read_anew()
            if self._file.refusal is not None:
                raise self._file.refusal

    # --- sessions ---

    async def begin_session(self, parent: Token | str) -> str:
        """Return the text of a new session, which lasts `SESSION_SECONDS`, of who was
        found as this token, or of a user: then it is what `parent_of_user` returns.
        Raises StoreUnavailable."""
        new, now = new_text(), self._now()
        session = Token(
            new.id,
            "",
            new.digest,
            frozenset(),
            created_at=now,
            expires_at=now + SESSION_SECONDS * 10**9,
            parent=parent if isinstance(parent, str) else parent.parent or parent.id,
        )
        await self._write(insert_session, session, now)
        return new.text

    async def end_session(self, session: Token) -> None:
        """Let this session be found no more, here at once. Raises StoreUnavailable."""
        await self._write(remove_session, session.id)

    async def _write(self, change: Callable[..., None], *arguments: Any) -> None:
        writing = quiet(self._thread.submit(change, self._database, *arguments))
        if not await wait(writing, self._write_seconds):
            raise StoreUnavailable("the database did not confirm the session in time")
        writing.result()
        if not await self._stored.read_anew():
            raise StoreUnavailable("the database does not answer; try again later")

    # --- the database ---

    def stop(self) -> None:
        """Note the last uses, and read no more; on a thread that may wait."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._uses.stop()
        for source in self._sources:
            source.stop()

    def _read_stored(self) -> Known:
        rows = self._rows = read_rows(self._database, self._rows)
        return known(token for token in rows.values() if token is not None)


def _refusal(token: Token, now: int) -> Refusal | None:
    if token.revoked_at is not None:
        return Refusal.REVOKED
    return None if token.is_good(now) else Refusal.EXPIRED
