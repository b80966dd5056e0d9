"""What is known of tokens: those of the database, and those of a file.

All of them are in memory. They are read again while they are asked for, so that what is
revoked ends within `KNOWN_SECONDS`, on every relay of the database.
"""

from __future__ import annotations

from enum import StrEnum

from pushrelay.tokens import Token

KNOWN_SECONDS = 5.0
"""So old may be what is known of the database, or of the file, while they answer."""


class Refusal(StrEnum):
    """Why a text is that of no token that gives anything, for people."""

    UNKNOWN = "the token is not known here"
    EXPIRED = "the token has expired"
    REVOKED = "the token was revoked"


class TokenBook:
    """Finds tokens, and begins and ends sessions. Its coroutines must run on one event
    loop; nothing of it blocks that."""

    async def find(self, text: str) -> Token | Refusal:
        """Return the token, or the session, with this text, or why there is none.

        A session that was begun with a token is given as long as that is good, and has
        its name and all that it gives. Of one that a user began, `user` is the name:
        whether that user is still there is not known here.

        Text that cannot be a token's costs nothing. For one that is not known, the
        database is asked, at most once a second for all who ask: that may take a second
        or two. Raises StoreUnavailable where it does not answer then; what was known
        before goes on to be found.
        """
        raise NotImplementedError

    async def begin_session(self, parent: Token | str) -> str:
        """Return the text of a new session, which lasts `SESSION_SECONDS`, of who was
        found as this token, or is the user of this name. Raises StoreUnavailable."""
        raise NotImplementedError

    async def end_session(self, session: Token) -> None:
        """Let this session be found no more, here at once. Raises StoreUnavailable."""
        raise NotImplementedError
