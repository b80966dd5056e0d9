"""How parsers are called by whatever calls them: reads requests in parts, and the
like."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from run_reports import NOW

from pushrelay.config import Limits, Settings
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import (
    accepts_gzip,
    negotiate,
    prefers_json,
    push_format,
)
from pushrelay.group_list import Order
from pushrelay.group_list import State as GroupState
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.pings import parse_ping
from pushrelay.token_book import TokenBook
from pushrelay.web.exchange import Exchange
from pushrelay.web.failures import Failures
from pushrelay.web.head import check_head
from pushrelay.web.jobs import end_of_pause
from pushrelay.web.origin import is_foreign
from pushrelay.web.parameters import Parameters, pairs_of
from pushrelay.web.proxies import Proxies
from pushrelay.web.push_request import push_request
from pushrelay.web.routing import Router
from pushrelay.web.runs import _wanted
from pushrelay.web.sessions import Sessions

KEY = GroupingKey.of({"job": "x", "instance": ""})
LIMITS = Limits(body_bytes=1 << 20, series=10_000)
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH")
PROXIES = Proxies(["192.0.2.0/24", "2001:db8::/32"])
ROUTERS = [
    Router(Settings(enable_admin_api=True)),
    Router(Settings(route_prefix="/p", telemetry_path="/t")),
]


def exchange_of(
    method: str, target: str, headers: list[tuple[bytes, bytes]]
) -> Exchange:
    """Return the exchange of a request with the head that is given, by a proxy that is
    trusted."""

    async def nothing(*_: Any) -> Any:
        await asyncio.sleep(0)

    path, _, query = target.partition("?")
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "path": "/"},
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query.encode("utf-8", "replace"),
        "headers": headers,
        "client": ("192.0.2.1", 1),
    }
    return Exchange(scope, nothing, nothing, LIMITS, PROXIES)


def read_head(text: str) -> object:
    """Read a request whose lines are its target and its headers."""
    target, *lines = text.split("\n")
    headers = headers_of(lines)
    for method in ("PUT", "POST"):
        exchange = exchange_of(method, target, headers)
        check_head(exchange, LIMITS)
        push_request(exchange)
    return exchange.parameters


def headers_of(lines: list[str]) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", b"x")]
    for line in lines:
        name, _, value = line.partition(":")
        named = name.strip().lower().encode("utf-8", "replace")
        headers.insert(0, (named, value.strip().encode("utf-8", "replace")))
    return headers


def read_source(text: str) -> object:
    """Read what proxies and browsers say in the headers that the lines are."""
    exchange = exchange_of("POST", "/", headers_of(text.split("\n")))
    sessions = Sessions(Settings(), TokenBook.__new__(TokenBook), Failures())
    source = exchange.source
    return source, is_foreign(exchange, "http://x"), sessions._cookie_of(exchange)


def resolve(path: str) -> object:
    raw = path.encode("utf-8", "surrogatepass").decode("latin-1")
    return [router.resolve(method, raw) for router in ROUTERS for method in METHODS] + [
        router.is_api(raw) for router in ROUTERS
    ]


def read_groups_query(query: str) -> object:
    parameters = Parameters(query)
    cursor = parameters.one("cursor")
    for order in Order:
        if cursor is not None and order is (parameters.choice("sort", Order) or order):
            order.read_cursor(cursor)
    return (
        parameters.selectors(),
        parameters.choice("state", GroupState),
        parameters.duration("older_than"),
        parameters.number("limit", 1000),
        parameters.flag("dry_run"),
    )


def read_negotiation(header: str) -> object:
    return (
        negotiate(header),
        push_format(header),
        accepts_gzip(header),
        prefers_json(header),
    )


def read_key(path: str, *, utf8_names: bool) -> object:
    key = parse_path(path, utf8_names=utf8_names)
    check_grouping_labels(key, LIMITS)
    # What is shown as its path leads to it.
    assert parse_path(unquote(key.path), utf8_names=utf8_names) == key
    return key


def read_ping(form: str) -> object:
    fields = pairs_of(form, errors="surrogateescape")
    return parse_ping(fields, NOW, utf8_names=False)


def read_pause(form: str) -> object:
    return end_of_pause(Parameters(form), NOW)


def read_runs_query(query: str) -> object:
    return _wanted(Parameters(query), NOW)
