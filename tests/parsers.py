"""All that reads what comes from outside, with what may come and what may be raised."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cramjam
from compat.metric_messages import (
    COUNTER,
    NATIVE,
    SUMMARY,
    delimited,
    family,
    labels,
)
from readers import (
    KEY,
    LIMITS,
    read_groups_query,
    read_head,
    read_key,
    read_negotiation,
    read_pause,
    read_ping,
    read_runs_query,
    read_source,
    resolve,
)
from run_reports import FINISH, FULL, ID, NOW, START

from pushrelay.calendar_expression import parse_calendar_expression
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
    NotAuthenticated,
    ParseError,
    RunTooOld,
)
from pushrelay.exposition.compression import decode_body
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import parse_job
from pushrelay.job_rules import parse_rules
from pushrelay.relay_url import parse_relay_url
from pushrelay.run_documents import parse_run
from pushrelay.selector_parser import parse_selector
from pushrelay.splitting import parse_by
from pushrelay.strict_json import parse_object
from pushrelay.token_files import parse_tokens
from pushrelay.tokens import id_of, new_text
from pushrelay.web.authentication import _read
from pushrelay.web.errors import HTTPError
from pushrelay.web.importing import _lines
from pushrelay.web.runs import _run_id

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
TOKENS = f"""
[[token]]
name = "backup"
hash = "sha256:{64 * "a"}"
scopes = ["push", "read"]
match = ['{{job=~"backup-.*"}}', '{{job="x"}}']
expires = 2027-01-01T00:00:00Z
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
    "headers of proxies and browsers": Parser(
        read_source,
        (),
        (
            "X-Forwarded-For: 1.2.3.4:5, [2001:db8::1]:80,::ffff:192.0.2.7\n"
            "X-Forwarded-Proto: https\nX-Forwarded-Host: a:1, b",
            "Origin: https://[::1]:70000\nCookie: a=b; pushrelay=x; __Host-pushrelay\n"
            "X-Forwarded-For: 2001:db8::%1",
            "Origin: http://x:8a\nSec-Fetch-Site: cross-site\nHost: [::1]",
        ),
    ),
    "authorization": Parser(
        _read,
        (NotAuthenticated,),
        ("Basic dXNlcjpwYXNzd29yZA==", "Bearer x"),
    ),
    "text of a token": Parser(id_of, (), (new_text().text,)),
    "tokens": Parser(
        lambda text: parse_tokens(text, "f"), (InvalidRules,), (TOKENS, TOKENS * 2)
    ),
    "crontab": Parser(
        lambda text: (adopt(text), adopt(text, system=True)), (), (CRONTAB,)
    ),
    "URL of a relay": Parser(
        parse_relay_url, (InvalidURL,), ("https://u:p@[::1]:9091/a/b/", "relay:1")
    ),
}
