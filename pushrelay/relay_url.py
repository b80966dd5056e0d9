"""URLs of relays, as people write them."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pushrelay.errors import InvalidURL

_PATH_CHARACTERS = "/%:!$&'()*+,;=~"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!-~]+")


class RelayURL(NamedTuple):
    """Where a relay is, and who asks it.

    prefix: of all paths, percent-encoded, without a slash at its end. authorization:
    the header for it, if there is one.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    authorization: dict[str, str]

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == _DEFAULT_PORTS[self.scheme]
        address = host if usual else f"{host}:{self.port}"
        return f"{self.scheme}://{address}{self.prefix}"


def parse_relay_url(url: str, token: str | None = None) -> RelayURL:
    """Return what `url` says, and how to show `token`, None for none.

    Raises InvalidURL; also for a token that cannot be sent, or not beside a user.
    """
    parts, port = _split(url)
    prefix = quote(parts.path.rstrip("/"), safe=_PATH_CHARACTERS)
    authorization = _authorization(parts, token)
    return RelayURL(parts.scheme, parts.hostname or "", port, prefix, authorization)


def _split(url: str) -> tuple[SplitResult, int]:
    """Return the parts of `url` and its port."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usual_port = _DEFAULT_PORTS[parts.scheme]
        port = parts.port or usual_port
        url.encode()  # which bytes that are no UTF-8 prevent
        # An `@` behind a slash is most likely that of a password with a slash in it.
        is_whole = not (parts.query or parts.fragment or "@" in parts.path)
        if parts.hostname and is_whole:
            return parts, port
    except (ValueError, KeyError):
        pass
    # Whatever is wrong with it, a part of it may be a password.
    shown = "the URL" if "@" in url else url or "an empty text"
    raise InvalidURL(
        f"{shown} is no URL of a relay; write http://HOST:PORT or https://HOST:PORT, "
        "with USER:PASSWORD@ before the host (`/`, `@` and `:` in them as %2F, %40 and "
        "%3A) and a path prefix behind the port (`@` in it as %40) if need be"
    )


def _authorization(parts: SplitResult, token: str | None) -> dict[str, str]:
    if token is not None:
        _check_token(token, parts)
        return {"Authorization": f"Bearer {token}"}
    if parts.username is None:
        return {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    encoded = base64.b64encode(credentials.encode(errors="surrogateescape"))
    return {"Authorization": f"Basic {encoded.decode()}"}


def _check_token(token: str, parts: SplitResult) -> None:
    if _TOKEN.fullmatch(token) is None:
        raise InvalidURL(
            "the token cannot be sent, for it is empty or has blanks, line ends or "
            "characters that are not ASCII in it; give it as it was made"
        )
    if parts.username is not None:
        raise InvalidURL(
            "there is a token, and a user in the URL as well; only one of them can be "
            "sent, so leave out the token, or take what is before the @ out of the URL"
        )
