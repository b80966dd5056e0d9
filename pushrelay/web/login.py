"""The page on which people log in, and log out."""

from __future__ import annotations

from flask import Flask

from pushrelay.errors import NotAuthenticated, PushrelayError
from pushrelay.rights import USER, Right
from pushrelay.token_book import TokenBook
from pushrelay.tokens import Token, is_token
from pushrelay.web.authentication import BASIC, BEARER, Authentication, Credentials
from pushrelay.web.authorisation import require_right
from pushrelay.web.errors import quiet_headers_of, reason_of, status_of, text_of
from pushrelay.web.exchange import HTML, Exchange, Handlers, Headers
from pushrelay.web.noting import note
from pushrelay.web.page_forms import read_page_form
from pushrelay.web.pages import HEADERS
from pushrelay.web.sessions import Sessions

FORM_BYTES = 8 * 1024
"""More than user and password take."""

_ADVICE = "Other clients need no session: let them send credentials with each request"
_PRIVATE: Headers = (("Cache-Control", "no-store"),)

# Relative, so that it does not matter below which path a proxy shows the relay.
_PAGE, _LOGIN = "./", "./login"

_AGAIN = (
    b'<!doctype html><meta http-equiv="refresh" content="0"><title>pushrelay</title>'
)


class Login:
    """Handles the form, in which a token may be the password, and its consequences.

    app: has the templates.
    """

    def __init__(
        self,
        authentication: Authentication,
        sessions: Sessions,
        tokens: TokenBook,
        app: Flask,
    ) -> None:
        self._authentication = authentication
        self._sessions = sessions
        self._tokens = tokens
        self._template = app.jinja_env.get_template("login.html")

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {"login": self.show, "log_in": self.log_in, "log_out": self.log_out}

    async def show(self, exchange: Exchange, _rest: str) -> None:
        """Show the form, where anybody is asked who they are."""
        if not self._authentication.is_required:
            await _send_to(_PAGE, exchange)
            return
        identity = await self._authentication.of_session(exchange)
        exchange.identity = identity or exchange.identity
        await self._show(exchange, 200)

    async def log_in(self, exchange: Exchange, _rest: str) -> None:
        """Begin a session of who is right in the form, and show the page."""
        form = await read_page_form(exchange, FORM_BYTES, _ADVICE)
        if not self._authentication.is_required:
            await _send_to(_PAGE, exchange)
            return
        user, secret = form.one("user") or "", form.one("password") or ""
        try:
            cookie = await self._begin(exchange, user, secret)
        except PushrelayError as error:
            note("refused to log in", exchange, {"reason": reason_of(error)})
            if exchange.prefers_json:
                raise
            await self._show(exchange, status_of(error), error, user)
        else:
            note("logged in", exchange, {})
            await _send_to(_PAGE, exchange, ("Set-Cookie", cookie))

    async def log_out(self, exchange: Exchange, _rest: str) -> None:
        """End the session, and show the form."""
        cookie = await self._sessions.end(exchange)
        await _send_to(_LOGIN, exchange, ("Set-Cookie", cookie))

    def invites(self, exchange: Exchange, error: Exception) -> bool:
        """Whether a browser is better shown the form than told of `error`."""
        return (
            isinstance(error, NotAuthenticated)
            and not error.scheme
            and "text/html" in (exchange.header("accept") or "")
        )

    async def invite(self, exchange: Exchange) -> None:
        """Show the form instead of the page."""
        if exchange.header("sec-fetch-site") == "cross-site":
            # Who followed a link from elsewhere may have logged in: the browser has
            # kept the cookie to itself, and sends it if our own page asks.
            await exchange.answer(200, _AGAIN, HTML, _PRIVATE)
        else:
            await _send_to(_LOGIN, exchange)

    async def _begin(self, exchange: Exchange, user: str, secret: str) -> str:
        """Return the cookie of a new session. Raises NotAuthenticated, NotAllowed,
        TooManyFailures and StoreUnavailable."""
        token = secret.strip()
        credentials = Credentials(BASIC, user, secret)
        if is_token(token):
            credentials = Credentials(BEARER, "", token)
        # Of the password that is looked at: it may be another one when that is done.
        parent = self._authentication.parent_of(user)
        identity = await self._authentication.check(credentials, exchange.client)
        exchange.identity = identity
        require_right(identity, Right.READ)
        if identity.kind == USER and parent is not None:
            return await self._sessions.begin(exchange, parent)
        found = await self._tokens.look_up(token)
        if not isinstance(found, Token):
            raise NotAuthenticated(found.value)
        return await self._sessions.begin(exchange, found)

    async def _show(
        self,
        exchange: Exchange,
        status: int,
        error: PushrelayError | None = None,
        user: str = "",
    ) -> None:
        html = self._template.render(
            error=None if error is None else text_of(error),
            user=user,
            identity=exchange.identity,
            has_session=exchange.has_session,
            is_current=True,
        )
        headers = (*HEADERS.items(), *_PRIVATE)
        if error is not None:
            headers += quiet_headers_of(error)
        await exchange.answer(status, html.encode(), HTML, headers)


async def _send_to(
    location: str, exchange: Exchange, *headers: tuple[str, str]
) -> None:
    await exchange.answer(303, headers=(("Location", location), *_PRIVATE, *headers))
