"""What all pages have in common: their frame, their headers, and who looks at them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, g, render_template, request

from pushrelay.config import Settings
from pushrelay.errors import PushrelayError
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.relay import Relay
from pushrelay.rights import Identity, Right
from pushrelay.web.errors import quiet_headers_of, status_of, text_of
from pushrelay.web.flask_bridge import HAS_SESSION, IDENTITY
from pushrelay.web.pages.messages import message_of
from pushrelay.web.spoken import duration, exact_duration, relative, size, span

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    # With no-referrer, browsers would keep from us, too, where a form was sent from.
    "Referrer-Policy": "same-origin",
}
"""Headers of the pages and of their assets: what was pushed can run nothing, even if it
were not escaped, and nobody else learns or keeps hold of who looks at it."""

_OF_THE_MOMENT = re.compile(
    r'(?<=<html lang="en") data-now="[^"]*"|(?<= data-relative>)[^<]*'
    r'|(?<= data-relative="bare">)[^<]*'
)
"""What of a page is another one each time, which the script keeps current by itself."""

ERROR_CHARACTERS = 2_000
"""How much of the text of an error is shown; it may quote what was given."""

pages = Blueprint(
    "pages", __name__, template_folder=str(Path(__file__).parents[1] / "templates")
)

for _filter in (duration, exact_duration, relative, size, span):
    pages.add_app_template_filter(_filter, _filter.__name__)


@pages.after_request
def _secure(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


def the_relay() -> Relay:
    """Return the relay that is shown."""
    relay: Relay = current_app.extensions["pushrelay"]
    return relay


def the_settings() -> Settings:
    """Return its settings."""
    settings: Settings = current_app.extensions["pushrelay_settings"]
    return settings


def who_asks() -> Identity:
    """Return who looks at the page."""
    identity: Identity = request.environ[IDENTITY]
    return identity


def refresh() -> None:
    """Bring up to date what is shown, or have the page say that it is not."""
    g.is_current = the_relay().refresh_blocking()


def show(template: str, status: int = 200, **shown: Any) -> Response:
    """Return the page that `template` makes of what is `shown`.

    The same page again, asked for with its ETag, is but a 304; how long ago things were
    does not count. now: the moment that this is told from.
    """
    html = render_template(
        template,
        has_session=request.environ.get(HAS_SESSION, False),
        is_current=g.get("is_current", True),
        message=message_of(request.args),
        **frame_of(who_asks(), the_settings()),
        **shown,
    )
    response = Response(html, status, headers={"Cache-Control": "no-store"})
    if status == 200:
        same = sha256(_OF_THE_MOMENT.sub("", html).encode())
        response.set_etag(same.hexdigest()[:32], weak=True)
        response.make_conditional(request)
    return response


@pages.errorhandler(PushrelayError)
def _show_error(error: PushrelayError) -> Response:
    """Return the page that tells of `error`."""
    response = show("error.html", status_of(error), error=told(error))
    response.headers.extend(quiet_headers_of(error))
    return response


def frame_of(identity: Identity, settings: Settings) -> dict[str, Any]:
    """Return what the frame of each page shows, for `identity`."""
    return {
        "identity": identity,
        "may": _rights(identity, settings),
        "settings": settings,
    }


def moment(nanoseconds: int | None) -> datetime | None:
    """Return a Unix time that may be 0 or None for never."""
    if not nanoseconds:
        return None
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)


def told(error: Exception) -> str:
    """Return what a page says of `error`."""
    return cut(text_of(error), ERROR_CHARACTERS)


def cut(text: str, length: int) -> str:
    """Return `text`, or so many characters of it."""
    return text if len(text) <= length else text[:length] + "…"


def _rights(identity: Identity, settings: Settings) -> dict[str, bool]:
    """Return what who looks at the page may do from it."""
    grant = identity.grant
    manages = grant.allows(Right.ADMIN)
    return {
        "delete": grant.allows(Right.PUSH),
        "scrape": grant.allows(Right.SCRAPE),
        "manage": manages,
        "wipe": settings.enable_admin_api and manages and not grant.is_bounded,
        "log_in": identity.is_anonymous and not identity.is_anybody,
    }
