"""The forms of pages, as browsers send them."""

from __future__ import annotations

from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.web.exchange import Exchange
from pushrelay.web.parameters import Parameters

_FORM = "application/x-www-form-urlencoded"


async def read_page_form(exchange: Exchange, most: int, advice: str) -> Parameters:
    """Return the fields of the form, which may have `most` bytes.

    advice: what clients do that are no page. Raises InvalidRequest, LimitExceeded, and
    what reading a body raises.
    """
    kind = (exchange.header("content-type") or "").partition(";")[0].strip().lower()
    length = exchange.content_length
    if kind != _FORM or length is None:
        raise InvalidRequest(
            f"this is for the form of the page, which is sent as {_FORM} with a "
            f"Content-Length. {advice}"
        )
    if length > most:
        raise LimitExceeded(
            "body_bytes", f"the form is larger than the limit of {most} bytes"
        )
    return Parameters((await exchange.body()).decode("latin-1"))
