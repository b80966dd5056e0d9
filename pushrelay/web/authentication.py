"""Who sends a request: a user of the web configuration file, a token, or nobody known.

Both come in the header Authorization: a token as Bearer or as the password of Basic
(RFC 6750, RFC 7617), for client libraries know one or the other.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pushrelay.config import Settings
from pushrelay.errors import NotAuthenticated
from pushrelay.rights import ALL_RIGHTS, ANYBODY, USER, Identity, Right, anonymous
from pushrelay.token_book import Refusal, TokenBook
from pushrelay.tokens import Token, is_token, parent_of_user
from pushrelay.web.exchange import Exchange
from pushrelay.web.failures import Failures
from pushrelay.web.sessions import Sessions


class Users(Protocol):
    """Names and passwords; all of them have all rights."""

    def known(self, user: str, password: str) -> bool:
        """Whether the password was found right before; costs next to nothing."""
        ...

    async def check(self, user: str, password: str) -> bool:
        """Whether the password is right; takes long on purpose."""
        ...

    def fingerprint(self, user: str) -> str | None:
        """Return what is another one with another password; None if there is no such
        user."""
        ...


class Credentials(NamedTuple):
    """What came with a request; `user` is empty for a bearer."""

    scheme: str
    user: str
    secret: str


class Authentication:
    """Finds out who sends requests.

    users: returns those of now, None if there is no such file or there are none in it.
    failures: counts those of all credentials.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenBook,
        sessions: Sessions,
        users: Callable[[], Users | None],
        failures: Failures,
    ) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._users = users
        self._asks = settings.asks
        self._doors = frozenset(map(Right, settings.auth_anonymous))
        self._failures = failures

    @property
    def is_required(self) -> bool:
        """Whether anybody is asked who they are."""
        return self._asks or self._users() is not None

    async def identify(self, exchange: Exchange) -> Identity:
        """Return who sent the request.

        Raises NotAuthenticated for credentials that are wrong, and TooManyFailures
        where wrong ones came too often.
        """
        if not self.is_required:
            return ANYBODY
        written = exchange.header("authorization")
        if not written:
            return await self.of_session(exchange) or self._anonymous()
        return await self.check(_read(written), exchange.client)

    async def check(self, credentials: Credentials, client: str) -> Identity:
        """Return whose `credentials` these are that came from the address `client`.
        Raises what `identify` raises."""
        # Who was right before is not held back: others may share the address.
        known = await self._known_owner(credentials)
        if known is not None:
            return known
        with self._failures.attempt(client, credentials):
            return await self._owner(credentials, client)

    async def of_session(self, exchange: Exchange) -> Identity | None:
        """Return who has logged in with the browser that sent the request."""
        session = await self._sessions.find(exchange)
        if session is None:
            return None
        user = session.user
        if user is not None and session.parent != self.parent_of(user):
            return None
        exchange.has_session = True
        return session.identity()

    def parent_of(self, user: str) -> str | None:
        """Return the `parent` of the sessions that are begun by `user`, as long as the
        password stays the same; None if there is no such user."""
        users = self._users()
        fingerprint = users.fingerprint(user) if users else None
        return None if fingerprint is None else parent_of_user(user, fingerprint)

    def _anonymous(self) -> Identity:
        # With users, a Pushgateway asks everybody, probes included.
        is_open = self._users() is None
        return anonymous(self._doors | ({Right.HEALTH} if is_open else set()))

    async def _known_owner(self, credentials: Credentials) -> Identity | None:
        """Return whose they are if that is known without asking or computing."""
        scheme, user, secret = credentials
        if is_token(secret):
            return _owner_of(await self._tokens.known(secret))
        users = self._users() if scheme == BASIC else None
        is_known = users is not None and users.known(user, secret)
        return _identity_of(user) if is_known else None

    async def _owner(self, credentials: Credentials, client: str) -> Identity:
        scheme, user, secret = credentials
        if is_token(secret):
            found = await self._tokens.look_up(secret)
            if owner := _owner_of(found):
                return owner
            raise NotAuthenticated(_refusal(found), scheme)
        users = self._users() if scheme == BASIC else None
        if users is not None:
            async with self._failures.turn(client):
                if await users.check(user, secret):
                    return _identity_of(user)
        raise NotAuthenticated("the password or the token is not known here", scheme)


BASIC = "basic"
BEARER = "bearer"


def _owner_of(found: Token | Refusal) -> Identity | None:
    if isinstance(found, Token) and not found.is_session:
        return found.identity()
    return None


def _refusal(found: Token | Refusal) -> str:
    if isinstance(found, Token):
        return "the text of a session is no token"
    return found.value


def _identity_of(user: str) -> Identity:
    return Identity(user, USER, ALL_RIGHTS)


def _read(written: str) -> Credentials:
    """Return what the header Authorization says. Raises NotAuthenticated."""
    scheme, _, rest = written.partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if scheme == BEARER and rest:
        return Credentials(BEARER, "", rest)
    if scheme == BASIC:
        try:
            text = base64.b64decode(rest, validate=True).decode()
        except ValueError:  # also for what is not ASCII
            raise NotAuthenticated("the header Authorization is malformed") from None
        user, colon, password = text.partition(":")
        if colon:
            return Credentials(BASIC, user, password)
    raise NotAuthenticated(
        "the header Authorization is malformed; write `Bearer TOKEN`, or `Basic` with "
        "user and password"
    )
