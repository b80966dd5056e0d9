"""Whether a browser sent a request from a page that is not the relay's own.

Browsers send what any page asks them to, with the cookies and passwords that they have
for the relay, and from inside a network that the page's author cannot reach. So what
changes something must come from our own page, or from a client that is no browser,
which sends none of the headers that are looked at here. Pages cannot forge them.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from pushrelay.quoting import quote
from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import Exchange
from pushrelay.web.noting import note

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""They change nothing here."""

_OURS = ("same-origin", "none")
"""What Sec-Fetch-Site says of our own pages, and of what a person asked for."""

_USUAL_PORTS = {"http": 80, "https": 443}
_SHOWN_CHARACTERS = 200


def require_own_origin(exchange: Exchange, external: str) -> None:
    """Refuse a request that could change something and that a browser sent from another
    origin. `external`: the origin of the external URL, empty for none."""
    if exchange.method in SAFE_METHODS or not is_foreign(exchange, external):
        return
    origin = (exchange.header("origin") or "unknown")[:_SHOWN_CHARACTERS]
    note("refused a page of another origin", exchange, {"origin": origin})
    raise HTTPError(
        HTTPStatus.FORBIDDEN,
        f"a page of another origin ({quote(origin)}) had a browser send this, and such "
        "pages may change nothing here; use the relay's own page, or a client that is "
        "no browser. If this was the relay's own page, tell the relay its address with "
        "--web.external-url, or with --web.trusted-proxies which proxies know it",
    )


def is_foreign(exchange: Exchange, external: str) -> bool:
    """Whether a browser sent this for a page of another origin.

    Browsers tell us by Sec-Fetch-Site if they trust the connection (TLS or loopback),
    whatever proxies are between. Else Origin is compared with what was asked for; it is
    `null` for pages that hide their own.
    """
    origin = exchange.header("origin")
    if origin is not None and external and origin == external:
        return False
    site = exchange.header("sec-fetch-site")
    if site is not None:
        return site not in _OURS
    if origin is None:
        return False
    source = exchange.source
    return origin != origin_of(f"{source.scheme}://{source.host}")


def origin_of(url: str) -> str:
    """Return the origin of `url` as browsers write it; empty if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host or parts.scheme not in _USUAL_PORTS:
        return ""
    shown = f"[{host}]" if ":" in host else host
    usual = port is None or port == _USUAL_PORTS[parts.scheme]
    return f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"
