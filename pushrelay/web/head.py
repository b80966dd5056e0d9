"""Checks the head of a request before anything else looks at it."""

from __future__ import annotations

import re
from http import HTTPStatus

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import Exchange
from pushrelay.web.proxies import HOST

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def check_head(exchange: Exchange, limits: Limits) -> None:
    """Raise LimitExceeded, InvalidRequest or HTTPError for a head that Go's server,
    which the Pushgateway has, would not take, or that is over the limit."""
    path = exchange.raw_path
    if len(path) + len(exchange.query) > limits.target_bytes:
        raise LimitExceeded(
            "target_bytes",
            "the request target is longer than the limit of "
            f"{limits.target_bytes} bytes",
        )
    host = exchange.header("host")
    if host is None and exchange.scope["http_version"] == "1.1":
        raise InvalidRequest("missing required Host header")
    if host is not None and not HOST.fullmatch(host):
        raise InvalidRequest("malformed Host header")
    if "%" in path and _MALFORMED_ESCAPE.search(path):
        raise InvalidRequest("the path has a % without two hexadecimal digits")
    if (exchange.header("expect") or "100-continue").lower() != "100-continue":
        raise HTTPError(
            HTTPStatus.EXPECTATION_FAILED,
            "the only Expect header that can be met is 100-continue",
            plain="",
        )
