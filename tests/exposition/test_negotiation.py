from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.negotiation import (
    FormatKind,
    PushFormat,
    ScrapeFormat,
    accepts_gzip,
    negotiate,
    prefers_json,
    push_format,
)

TYPE = "application/vnd.google.protobuf"
PROTO = "proto=io.prometheus.client.MetricFamily"
DELIMITED = f"{TYPE};{PROTO};encoding=delimited"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@pytest.mark.parametrize(
    "content_type",
    [
        f"{TYPE}; {PROTO}; encoding=delimited",
        f"{TYPE};{PROTO};encoding=delimited",
        f"{TYPE}; encoding=delimited; {PROTO}",
        f"  {TYPE} ;\tencoding = delimited ; {PROTO} ; ",
        f"Application/VND.Google.Protobuf; ENCODING=delimited; Proto={PROTO[6:]}",
        f'{TYPE}; proto="io.prometheus.client.MetricFamily"; encoding="delimited"',
        f'{TYPE}; {PROTO}; encoding=delimited; charset=utf-8; x="a;b=\\"c"',
        f"{TYPE}; {PROTO}; encoding=delimited; encoding=delimited",
    ],
)
def test_a_complete_protobuf_type_is_protobuf(content_type: str) -> None:
    assert push_format(content_type) is PushFormat.PROTOBUF


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        ";;;",
        "text/plain; version=0.0.4; charset=utf-8",
        "application/json",
        "application/x-www-form-urlencoded",
        OPENMETRICS,
        TYPE,
        f"{TYPE}; {PROTO}",
        f"{TYPE}; encoding=delimited",
        f"{TYPE}; {PROTO}; encoding=text",
        f"{TYPE}; {PROTO}; encoding=compact-text",
        f"{TYPE}; {PROTO}; encoding=DELIMITED",
        f"{TYPE}; {PROTO.lower()}; encoding=delimited",
        f"{TYPE}; {PROTO}; encoding=delimited; encoding=text",
        f"{TYPE}; {PROTO}; encoding=delimited; broken",
        f"{TYPE}; {PROTO}; encoding=delimited;;",
        f"{TYPE}; {PROTO}; encoding=delimited, text/plain",
        f'{TYPE}; {PROTO}; encoding="delimited',
        f"{TYPE} x; {PROTO}; encoding=delimited",
        f"{TYPE}+x; {PROTO}; encoding=delimited",
    ],
)
def test_every_other_type_is_text(content_type: str | None) -> None:
    assert push_format(content_type) is PushFormat.TEXT


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, FormatKind.TEXT),
        ("", FormatKind.TEXT),
        ("*/*", FormatKind.TEXT),
        ("application/json", FormatKind.TEXT),
        (OPENMETRICS, FormatKind.TEXT),
        ("text/plain;version=0.0.4", FormatKind.TEXT),
        ("text/plain;version=1.0.0", FormatKind.TEXT),
        (DELIMITED, FormatKind.PROTOBUF_DELIMITED),
        (f"{TYPE}; {PROTO}; encoding=text", FormatKind.PROTOBUF_TEXT),
        (f"{TYPE}; {PROTO}; encoding=compact-text", FormatKind.PROTOBUF_COMPACT),
        (f"{TYPE};{PROTO};encoding=other", FormatKind.TEXT),
        (f"{TYPE};encoding=delimited", FormatKind.TEXT),
        (f"text/plain,{DELIMITED}", FormatKind.TEXT),
        (f"{DELIMITED},text/plain", FormatKind.PROTOBUF_DELIMITED),
        (f"text/plain;q=0.5,{DELIMITED};q=0.7", FormatKind.PROTOBUF_DELIMITED),
        (f"text/plain; q=0.5, {DELIMITED}; q=.3", FormatKind.TEXT),
        (f"text/plain;version=1.0.0,{DELIMITED};q=0.3", FormatKind.PROTOBUF_DELIMITED),
        (f"{DELIMITED};q=0", FormatKind.TEXT),
        (f"{DELIMITED};q=nan", FormatKind.TEXT),
        (f"{OPENMETRICS},{DELIMITED};q=0.1,*/*;q=0.9", FormatKind.PROTOBUF_DELIMITED),
    ],
)
def test_the_best_known_entry_is_chosen(accept: str | None, kind: FormatKind) -> None:
    assert negotiate(accept) == ScrapeFormat(kind, Escaping.UNDERSCORES)


@pytest.mark.parametrize(
    ("accept", "escaping"),
    [
        ("text/plain;version=0.0.4", Escaping.UNDERSCORES),
        ("text/plain;escaping=allow-utf-8", Escaping.ALLOW_UTF8),
        ("text/plain;escaping=dots", Escaping.DOTS),
        ("text/plain;escaping=values", Escaping.VALUES),
        ("text/plain;escaping=underscores", Escaping.UNDERSCORES),
        ("text/plain;escaping=other", Escaping.UNDERSCORES),
        ("text/plain;version=1.0.0;escaping=dots,text/plain;q=0.4", Escaping.DOTS),
        ("text/plain;q=0.4,text/plain;version=1.0.0;escaping=dots", Escaping.DOTS),
        ("text/plain,text/plain;version=1.0.0;escaping=dots", Escaping.UNDERSCORES),
        (f"{OPENMETRICS};escaping=values,*/*;q=0.1", Escaping.VALUES),
        (
            f"{OPENMETRICS};escaping=values,text/plain;escaping=other;q=.5",
            Escaping.VALUES,
        ),
        (f"{OPENMETRICS};escaping=values,text/plain;escaping=dots;q=.5", Escaping.DOTS),
    ],
)
def test_the_escaping_is_of_the_chosen_or_of_a_better_entry(
    accept: str, escaping: Escaping
) -> None:
    assert negotiate(accept) == ScrapeFormat(FormatKind.TEXT, escaping)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (  # Prometheus 2.42
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
            "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ScrapeFormat(FormatKind.TEXT, Escaping.UNDERSCORES),
        ),
        (  # Prometheus 2.42 with native histograms
            f"{DELIMITED},application/openmetrics-text;version=1.0.0;q=0.8,"
            "application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ScrapeFormat(FormatKind.PROTOBUF_DELIMITED, Escaping.UNDERSCORES),
        ),
        (  # Prometheus 3
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ScrapeFormat(FormatKind.TEXT, Escaping.ALLOW_UTF8),
        ),
        (  # Prometheus 3 with native histograms
            f"{DELIMITED};escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ScrapeFormat(FormatKind.PROTOBUF_DELIMITED, Escaping.ALLOW_UTF8),
        ),
    ],
)
def test_prometheus_gets_what_it_asks_for(accept: str, expected: ScrapeFormat) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize(
    ("kind", "escaping", "content_type"),
    [
        (
            FormatKind.TEXT,
            Escaping.UNDERSCORES,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        ),
        (
            FormatKind.PROTOBUF_DELIMITED,
            Escaping.ALLOW_UTF8,
            "application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
            "escaping=allow-utf-8",
        ),
        (
            FormatKind.PROTOBUF_TEXT,
            Escaping.DOTS,
            "application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=text; escaping=dots",
        ),
        (
            FormatKind.PROTOBUF_COMPACT,
            Escaping.VALUES,
            "application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=compact-text; "
            "escaping=values",
        ),
    ],
)
def test_the_content_type_says_format_and_escaping(
    kind: FormatKind, escaping: Escaping, content_type: str
) -> None:
    assert ScrapeFormat(kind, escaping).content_type == content_type


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate", True),
        ("deflate, gzip;q=0.5", True),
        ("deflate , gzip ; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, deflate", False),
        ("*", False),
        ("identity", False),
        ("x-gzip", False),
    ],
)
def test_gzip_is_accepted_only_by_name(
    accept_encoding: str | None, accepted: bool
) -> None:
    assert accepts_gzip(accept_encoding) is accepted


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", True),
        ("application/problem+json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/jsonp", False),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", False),
        ("text/plain;q=0.5, application/json", True),
        ("application/json;q=0.5, text/plain", False),
        ("application/json;q=0.5, text/*;q=0.9", False),
        ("application/json;q=0.5, */*;q=0.1", True),
        ("application/json;q=0.1, */*;q=0.5", False),
        ("application/json;q=0, */*;q=0.1", False),
        ("application/json;q=0, application/problem+json;q=0.2", True),
        ("text/html, application/json;q=0.9", True),
        ("application/json;q=x", False),
    ],
)
def test_json_is_preferred_only_by_name_and_quality(
    accept: str | None, json: bool
) -> None:
    assert prefers_json(accept) is json


@given(st.text() | st.text(alphabet='aq*/;,=" .0\\'))
def test_no_header_is_an_error(header: str) -> None:
    assert push_format(header) is PushFormat.TEXT
    assert negotiate(header).kind is FormatKind.TEXT
    accepts_gzip(header)
    assert not prefers_json(header)


@pytest.mark.parametrize(
    "header",
    [
        ";" * 100_000,
        "a/b" + " ;a=" * 50_000,
        "a/b;c=d" + " " * 100_000 + "x",
        "a/b" + " " * 100_000 + "x",
        "a" * 100_000,
        'a/b;c="' + "\\a" * 50_000,
        "a/b;" + "c" * 100_000,
        "a/b;q=" + "1" * 100_000 + "x",
    ],
    ids=lambda header: header[:10],
)
def test_a_long_header_is_read_in_no_time(header: str) -> None:
    assert push_format(header) is PushFormat.TEXT
    assert negotiate(header).kind is FormatKind.TEXT
    assert not accepts_gzip(header)


@pytest.mark.parametrize(("length", "format_"), [(1000, "protobuf"), (1001, "text")])
def test_a_content_type_that_is_too_long_is_text(length: int, format_: str) -> None:
    header = f"{DELIMITED};encoding=delimited".ljust(length)

    assert push_format(header) is PushFormat(format_)


@pytest.mark.parametrize(("length", "heard"), [(8000, True), (8001, False)])
def test_what_is_accepted_at_too_great_a_length_is_not_heard(
    length: int, heard: bool
) -> None:
    kind = FormatKind.PROTOBUF_DELIMITED if heard else FormatKind.TEXT

    assert negotiate(DELIMITED.ljust(length)).kind is kind
    assert accepts_gzip("gzip".ljust(length)) is heard
