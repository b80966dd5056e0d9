"""All that reads what comes from outside, with what may come and what may be raised."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

import cramjam
from compat.metric_messages import (
    COUNTER,
    HISTOGRAM,
    SUMMARY,
    delimited,
    family,
    labels,
)
from run_reports import FINISH, FULL, ID, NOW, START

from pushrelay.calendar_expression import parse_calendar_expression
from pushrelay.config import Limits, Settings
from pushrelay.cron_line import parse_cron_line
from pushrelay.crontab import adopt
from pushrelay.durations import parse_duration
from pushrelay.errors import (
    InvalidCalendarExpression,
    InvalidCronLine,
    InvalidDuration,
    InvalidExpectation,
    InvalidGroupingKey,
    InvalidJSON,
    InvalidLabels,
    InvalidRequest,
    InvalidRules,
    InvalidRun,
    InvalidSelector,
    InvalidURL,
    LimitExceeded,
    ParseError,
    RunTooOld,
)
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.exposition.negotiation import (
    accepts_gzip,
    negotiate,
    prefers_json,
    push_format,
)
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.text_parser import parse_text
from pushrelay.group_list import Order
from pushrelay.group_list import State as GroupState
from pushrelay.grouping_key import GroupingKey, parse_job, parse_path
from pushrelay.job_rules import parse_rules
from pushrelay.pings import parse_ping
from pushrelay.relay_url import parse_relay_url
from pushrelay.run_documents import parse_run
from pushrelay.selector_parser import parse_selector
from pushrelay.splitting import parse_by
from pushrelay.strict_json import parse_object
from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import Exchange
from pushrelay.web.head import check_head
from pushrelay.web.importing import _lines
from pushrelay.web.jobs import _end_of_pause
from pushrelay.web.parameters import Parameters, pairs_of
from pushrelay.web.push_request import push_request
from pushrelay.web.routing import Router
from pushrelay.web.runs import _run_id, _wanted

KEY = GroupingKey.of({"job": "x", "instance": ""})
LIMITS = Limits(body_bytes=1 << 20, series=10_000)
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH")
ROUTERS = [
    Router(Settings(enable_admin_api=True)),
    Router(Settings(route_prefix="/p", telemetry_path="/t")),
]
TEXT = b"""# HELP a_total A "thing".
# TYPE a_total counter
a_total{b="c\\n\\"",d="\xc3\xa9"} 1.5e+09
# TYPE h histogram
h_bucket{le="0.5"} 1
h_bucket{le="+Inf"} 2
h_sum -0
h_count 2
# TYPE s summary
s{quantile="0.9"} NaN
s_sum 1
s_count 1
"""
NATIVE = delimited(
    family(
        "native",
        HISTOGRAM,
        {
            "histogram": {
                "sample_count": 6,
                "sample_sum": 9.5,
                "schema": 0,
                "zero_threshold": 0.001,
                "zero_count": 1,
                "positive_span": [{"offset": 0, "length": 2}],
                "positive_delta": [1, 1],
                "negative_span": [{"offset": 0, "length": 1}],
                "negative_delta": [2],
            }
        },
    )
)
SIMPLE = delimited(
    family("a", COUNTER, {"label": labels(b="c"), "counter": {"value": 1}}),
    family("s", SUMMARY, {"summary": {"quantile": [{"quantile": 0.5, "value": 1}]}}),
)
RULES = """
[[jobs]]
match = '{job=~"backup-.*"}'
stale_after = "26h"
mode = "add"
schedule = "0 3 * * *"
tz = "Europe/Berlin"
[jobs.limits]
series = 10
"""
CRONTAB = """PATH=/bin:/usr/bin
CRON_TZ=UTC
0 3 * * * cd /x && backup 'a b' "$C" | tee >(cat) # nightly
@daily root /bin/true; false\n"""


@dataclass(frozen=True)
class Parser:
    """Something that reads bytes, or text that may have surrogate escapes.

    errors: what it may raise. seeds: what it takes, or nearly.
    """

    read: Callable[[Any], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[Any, ...]


def exchange_of(
    method: str, target: str, headers: list[tuple[bytes, bytes]]
) -> Exchange:
    """Return the exchange of a request with the head that is given."""

    async def nothing(*_: Any) -> Any:
        await asyncio.sleep(0)

    path, _, query = target.partition("?")
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "path": "/"},
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query.encode("utf-8", "replace"),
        "headers": headers,
    }
    return Exchange(scope, nothing, nothing, LIMITS)


def read_head(text: str) -> object:
    """Read a request whose lines are its target and its headers."""
    target, *lines = text.split("\n")
    headers = [(b"host", b"x")]
    for line in lines:
        name, _, value = line.partition(":")
        named = name.strip().lower().encode("utf-8", "replace")
        headers.insert(0, (named, value.strip().encode("utf-8", "replace")))
    for method in ("PUT", "POST"):
        exchange = exchange_of(method, target, headers)
        check_head(exchange, LIMITS)
        push_request(exchange)
    return exchange.parameters


def resolve(path: str) -> object:
    raw = path.encode("utf-8", "surrogateescape").decode("latin-1")
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
    return _end_of_pause(Parameters(form), NOW)


def read_runs_query(query: str) -> object:
    return _wanted(Parameters(query), NOW)


OF_RUNS = (InvalidRun, InvalidExpectation, RunTooOld, InvalidRequest)
OF_BODIES = (InvalidRequest, LimitExceeded)
PARSERS: dict[str, Parser] = {
    "path of a push": Parser(
        partial(read_key, utf8_names=False),
        (InvalidGroupingKey, LimitExceeded),
        ("job/x/instance/y", "job@base64/YQ/l@base64/=", "job/x/"),
    ),
    "path of a push with UTF-8 names": Parser(
        partial(read_key, utf8_names=True),
        (InvalidGroupingKey, InvalidLabels, LimitExceeded),
        ("job/x/U__a_2e_b/y", "job/x/é/y", "job/x/U___5f_/y"),
    ),
    "path of a job": Parser(
        parse_job, (InvalidGroupingKey,), ("jobs/a/b", "jobs@base64/YQ=")
    ),
    "target": Parser(
        resolve,
        (),
        (
            *("/metrics/job/x", "/api/v1/jobs/a/pause", "/api/v1/runs/1", "/p/t/"),
            *("//../API/V1/Groups/", "/api/v1/jobs@base64/YQ/expectation", "/static/"),
        ),
    ),
    "head": Parser(
        read_head,
        (InvalidRequest, LimitExceeded, HTTPError),
        (
            "/x?stale_after=1h&dry_run\nIdempotency-Key: k\nExpect: 100-continue",
            "/%41?mode=%72eplace\nX-Pushrelay-Stale-After: 26h\nHost: a:1",
        ),
    ),
    "text": Parser(lambda body: parse_text(body, KEY, LIMITS), OF_BODIES, (TEXT,)),
    "text with UTF-8 names": Parser(
        lambda body: parse_text(body, KEY, LIMITS, utf8_names=True),
        (ParseError, LimitExceeded),
        (TEXT + b'{"u.v",w="x"} 3\n',),
    ),
    "protobuf": Parser(
        lambda body: parse_protobuf(body, KEY, LIMITS),
        OF_BODIES,
        (NATIVE, SIMPLE),
    ),
    "gzip": Parser(
        lambda body: decode_body(body, "gzip", 1 << 20),
        OF_BODIES,
        (gzip.compress(TEXT, mtime=0), gzip.compress(b"a" * 9_000, mtime=0) * 2),
    ),
    "snappy": Parser(
        lambda body: decode_body(body, "snappy", 1 << 20),
        OF_BODIES,
        (bytes(cramjam.snappy.compress(TEXT)), bytes(cramjam.snappy.compress(b"a"))),
    ),
    "JSON": Parser(parse_object, (InvalidJSON,), (json.dumps(FULL).encode(),)),
    "run document": Parser(
        lambda body: parse_run(body, ID, NOW, utf8_names=False),
        OF_RUNS,
        tuple(json.dumps(each).encode() for each in (START, FINISH, FULL)),
    ),
    "id of a run": Parser(_run_id, (InvalidRun,), (str(ID), str(ID).upper())),
    "ping": Parser(
        read_ping,
        OF_RUNS,
        (
            "job=x&status=start&rid=1&label.a=b&schedule=0+3+*+*+*&tz=UTC&grace=1h",
            "job=x&exit_code=-1&every=1h&max_runtime=5m&per_instance=true",
        ),
    ),
    "pause": Parser(
        read_pause, (InvalidRequest,), ("until=2h", "until=2026-11-25T03:00:00%2B01:00")
    ),
    "query for groups": Parser(
        read_groups_query,
        (InvalidRequest,),
        (
            "match[]=%7Bjob%3D~%22a.*%22%7D&state=stale&older_than=1h&limit=5&dry_run",
            "sort=pushed&cursor=cHVzaGVkIDEgam9i_3j-",
        ),
    ),
    "query for runs": Parser(
        read_runs_query,
        (InvalidRequest,),
        (
            "job=x&state=success&since=7d&until=1795378800.5&id=0190b5a4-&limit=9",
            "cursor=AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA&since=2026-11-25T03:00:00Z",
        ),
    ),
    "labels to split by": Parser(
        lambda by: parse_by(by, LIMITS), OF_BODIES, ("job,instance", "job")
    ),
    "selector": Parser(
        lambda text: parse_selector(text, of_series=True),
        (InvalidSelector,),
        ("a:b{job=\"x\\n\",i=~'a|b.*',c!=`d`,}", '{"é"!~"[^a]{2,3}"}', "{}"),
    ),
    "cron line": Parser(
        parse_cron_line,
        (InvalidCronLine,),
        ("0 3 * * MON-FRI", "*/5 1,2-9/3 1-7 JAN *", "@daily"),
    ),
    "calendar expression": Parser(
        parse_calendar_expression,
        (InvalidCalendarExpression,),
        ("Mon..Fri *-*-* 03:00", "2026-01/2-1..7 00/4:15:00", "weekly"),
    ),
    "duration": Parser(parse_duration, (InvalidDuration,), ("1h30m", "0", "1y2w3d4ms")),
    "job rules": Parser(lambda text: parse_rules(text, "f"), (InvalidRules,), (RULES,)),
    "import": Parser(
        lambda body: list(_lines(body)),
        (InvalidRequest,),
        (
            b'{"labels":{"job":"a"},"pushed_at_ns":1,"families":"AAAA"}\n',
            b'{"labels":{"job":"a"},"failed_at_ns":1,"families_pushed_at_ns":{"a":1}}',
        ),
    ),
    "negotiation": Parser(
        read_negotiation,
        (),
        (
            "application/json;q=0.9, text/plain;version=0.0.4;escaping=dots,*/*;q=1e9",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            'encoding="delimited", gzip;q=0',
        ),
    ),
    "crontab": Parser(
        lambda text: (adopt(text), adopt(text, system=True)), (), (CRONTAB,)
    ),
    "URL of a relay": Parser(
        parse_relay_url, (InvalidURL,), ("https://u:p@[::1]:9091/a/b/", "relay:1")
    ),
}
