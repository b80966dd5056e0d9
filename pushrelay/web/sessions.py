"""Sessions: who has logged in on the page, and says so by a cookie since then."""

from __future__ import annotations

from urllib.parse import quote

from pushrelay.config import Settings
from pushrelay.token_book import SESSION_SECONDS, Refusal, TokenBook
from pushrelay.tokens import Token
from pushrelay.web.exchange import Exchange
from pushrelay.web.failures import Failures
from pushrelay.web.origin import is_foreign

COOKIE = "pushrelay"

_WHOLE_HOST, _SECURE = f"__Host-{COOKIE}", f"__Secure-{COOKIE}"
"""Browsers take cookies of these names by TLS alone, and the first one from nobody but
the host itself."""


class Sessions:
    """Begins and ends sessions, and finds that of a request."""

    def __init__(
        self, settings: Settings, tokens: TokenBook, failures: Failures
    ) -> None:
        self._tokens = tokens
        self._failures = failures
        self._origin = settings.external_origin
        path = quote(settings.external_path or settings.route_prefix)
        self._path = path or "/"

    async def find(self, exchange: Exchange) -> Token | None:
        """Return the session of a request, if it has one that still lasts.

        Cookies come with what pages of other origins load from here, too, and do not
        count there. One that has ended is no failure, but who sends many that are not
        known waits for his turn. Raises StoreUnavailable and TooManyFailures.
        """
        text = self._cookie_of(exchange)
        if text is None or not self._is_ours(exchange):
            return None
        found = await self._tokens.known(text)
        if found is Refusal.UNKNOWN:
            with self._failures.attempt(exchange.client, text):
                found = await self._tokens.look_up(text)
        return found if isinstance(found, Token) and found.is_session else None

    async def begin(self, exchange: Exchange, parent: Token | str) -> str:
        """Return the cookie of a new session of a token, or of a user with this parent
        of sessions. Raises StoreUnavailable."""
        text = await self._tokens.begin_session(parent)
        return self._cookie(exchange, text, SESSION_SECONDS)

    async def end(self, exchange: Exchange) -> str:
        """End the session of a request; return the cookie that ends it in the browser,
        too. Raises StoreUnavailable."""
        session = await self.find(exchange)
        if session is not None:
            await self._tokens.end_session(session)
        return self._cookie(exchange, "", 0)

    def _is_ours(self, exchange: Exchange) -> bool:
        """Whether our own page asks, or a person who follows a link to us."""
        if exchange.header("sec-fetch-dest") == "document":
            return True
        return not is_foreign(exchange, self._origin)

    def _cookie_of(self, exchange: Exchange) -> str | None:
        cookies: dict[str, str] = {}
        for each in (exchange.header("cookie") or "").split(";"):
            name, _, value = each.strip().partition("=")
            cookies.setdefault(name, value)
        # By TLS, other hosts of the domain could have set the one without a prefix.
        plain = () if exchange.source.scheme == "https" else (COOKIE,)
        for name in (_WHOLE_HOST, _SECURE, *plain):
            if name in cookies:
                return cookies[name]
        return None

    def _cookie(self, exchange: Exchange, text: str, seconds: int) -> str:
        is_secure = exchange.source.scheme == "https" or _comes_by_tls(exchange)
        name = COOKIE
        if is_secure:
            name = _WHOLE_HOST if self._path == "/" else _SECURE
        flags = "HttpOnly; SameSite=Strict" + ("; Secure" if is_secure else "")
        return f"{name}={text}; Path={self._path}; Max-Age={seconds}; {flags}"


def _comes_by_tls(exchange: Exchange) -> bool:
    """Whether the browser says so, where a proxy that is not trusted ends TLS."""
    return (exchange.header("origin") or "").startswith("https://")
