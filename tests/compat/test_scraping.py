"""What a scrape looks like: order, numbers, escapes, and what may be negotiated."""

from __future__ import annotations

import gzip
import re
import urllib.parse
from typing import Any

import pytest
from exposition_page import block, lines_of, pushed, read_page
from metric_messages import (
    CONTENT_TYPE,
    GAUGE,
    HEADERS,
    delimited,
    family,
    labels,
    read_delimited,
)
from relay_process import HTTPClient

TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping={}"
PROTOBUF = (
    "application/vnd.google.protobuf; "
    "proto=io.prometheus.client.MetricFamily; encoding={}; escaping={}"
)
ACCEPT_PROTOBUF = CONTENT_TYPE.replace(" ", "")

# What Prometheus 2 and 3 send, with and without native histograms.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,"
    "application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_NATIVE = (
    f"{ACCEPT_PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_NATIVE = f"{ACCEPT_PROTOBUF};escaping=allow-utf-8;q=0.6,{PROMETHEUS_3}"

NEGOTIATED = [
    ("", TEXT.format("underscores")),
    ("*/*", TEXT.format("underscores")),
    ("text/plain", TEXT.format("underscores")),
    ("text/plain;version=0.0.4", TEXT.format("underscores")),
    ("text/plain;version=9", TEXT.format("underscores")),
    ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT.format("underscores")),
    ("application/json", TEXT.format("underscores")),
    ("application/openmetrics-text;version=1.0.0", TEXT.format("underscores")),
    ("nonsense", TEXT.format("underscores")),
    (";;q=x,,", TEXT.format("underscores")),
    ("text/plain;q=0", TEXT.format("underscores")),
    # escaping
    ("text/plain;escaping=allow-utf-8", TEXT.format("allow-utf-8")),
    ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT.format("allow-utf-8")),
    ("text/plain; version=1.0.0; escaping=allow-utf-8", TEXT.format("allow-utf-8")),
    ("text/plain;escaping=dots", TEXT.format("dots")),
    ("text/plain;escaping=values", TEXT.format("values")),
    ("text/plain;escaping=underscores", TEXT.format("underscores")),
    ("text/plain;escaping=nonsense", TEXT.format("underscores")),
    (
        "application/openmetrics-text;escaping=dots,text/plain;q=0.5",
        TEXT.format("dots"),
    ),
    (
        "text/plain,application/openmetrics-text;escaping=dots;q=0.5",
        TEXT.format("underscores"),
    ),
    # protobuf
    (ACCEPT_PROTOBUF, PROTOBUF.format("delimited", "underscores")),
    (CONTENT_TYPE, PROTOBUF.format("delimited", "underscores")),
    (f"{ACCEPT_PROTOBUF};escaping=values", PROTOBUF.format("delimited", "values")),
    (
        f"{ACCEPT_PROTOBUF};q=0.5,text/plain;q=0.4",
        PROTOBUF.format("delimited", "underscores"),
    ),
    (f"{ACCEPT_PROTOBUF};q=0.4,text/plain;q=0.5", TEXT.format("underscores")),
    (
        ACCEPT_PROTOBUF.replace("delimited", "text"),
        PROTOBUF.format("text", "underscores"),
    ),
    (
        ACCEPT_PROTOBUF.replace("delimited", "compact-text"),
        PROTOBUF.format("compact-text", "underscores"),
    ),
    ("application/vnd.google.protobuf;encoding=delimited", TEXT.format("underscores")),
    ("application/vnd.google.protobuf", TEXT.format("underscores")),
    (ACCEPT_PROTOBUF.replace("delimited", "nonsense"), TEXT.format("underscores")),
    # scrapers
    (PROMETHEUS_2, TEXT.format("underscores")),
    (PROMETHEUS_2_NATIVE, PROTOBUF.format("delimited", "underscores")),
    (PROMETHEUS_3, TEXT.format("allow-utf-8")),
    (PROMETHEUS_3_NATIVE, PROTOBUF.format("delimited", "allow-utf-8")),
]

# A value as it is pushed, and as it is shown.
NUMBERS = {
    "0": "0",
    "-0": "0",
    "1": "1",
    "1.0": "1",
    "-1.50": "-1.5",
    "100000": "100000",
    "999999": "999999",
    "123456": "123456",
    "1000000": "1e+06",
    "1234567": "1.234567e+06",
    "123456789": "1.23456789e+08",
    "12345.678": "12345.678",
    "0.0001": "0.0001",
    "0.00001": "1e-05",
    "0.000012345": "1.2345e-05",
    "0.1": "0.1",
    "0.30000000000000004": "0.30000000000000004",
    "1e21": "1e+21",
    "1e100": "1e+100",
    "1e-300": "1e-300",
    "5e-324": "5e-324",
    "1.7976931348623157e308": "1.7976931348623157e+308",
    "9007199254740993": "9.007199254740992e+15",
    "3.14": "3.14",
    "NaN": "NaN",
    "inf": "+Inf",
    "-inf": "-Inf",
}

# A name, and how it is shown with underscores, dots and values.
ESCAPED = [
    ("legacy_name", "legacy_name", "legacy_name", "legacy_name"),
    ("a.b", "a_b", "a_dot_b", "U__a_2e_b"),
    ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
    ("a b", "a_b", "a__b", "U__a_20_b"),
    ("1a", "_a", "__a", "U___31_a"),
    ("größe", "gr__e", "gr____e", "U__gr_f6__df_e"),
    ("日", "_", "__", "U___65e5_"),
    ("a/b", "a_b", "a__b", "U__a_2f_b"),
]


# order ----------------------------------------------------------------------------


def test_families_are_sorted_by_name(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "b 1\nB 1\n_ 1\na 1\nzz 1\nA9 1\n")
    relay.put("/metrics/job/y", "c 1\na_b 1\n")
    names = re.findall(r"^# TYPE (\S+) ", relay.page(), re.MULTILINE)
    assert names == sorted(names)
    assert {"A9", "B", "_", "a", "a_b", "b", "c", "zz"} <= set(names)


def test_series_are_sorted_by_the_number_and_the_values_of_labels(
    relay: HTTPClient,
) -> None:
    relay.put(
        "/metrics/job/x",
        'a{l="b"} 1\na{l="a",m="b"} 2\na{l="a"} 3\na 4\na{l="a",k="z"} 5\na{k="c"} 6\n',
    )
    assert block(relay.page(), "a").splitlines()[1:] == [
        'a{instance="",job="x"} 4',
        'a{instance="",job="x",l="a"} 3',
        'a{instance="",job="x",l="b"} 1',
        'a{instance="",job="x",k="c"} 6',
        'a{instance="",job="x",l="a",m="b"} 2',
        'a{instance="",job="x",k="z",l="a"} 5',
    ]


def test_labels_are_sorted_with_le_and_quantile_last(relay: HTTPClient) -> None:
    relay.put(
        "/metrics/job/x/z/1/A/2/instance/i",
        "# TYPE s summary\n"
        's{quantile="0.5",t="x"} 1\ns{t="x",quantile="0.9"} 2\ns_sum{t="x"} 3\n'
        "# TYPE h histogram\n"
        'h_bucket{le="1",t="x"} 1\nh_bucket{t="x",le="2"} 2\nh_count{t="x"} 3\n',
    )
    page = relay.page()
    own = 'A="2",instance="i",job="x",t="x",z="1"'
    assert block(page, "s").splitlines() == [
        "# TYPE s summary",
        f's{{{own},quantile="0.5"}} 1',
        f's{{{own},quantile="0.9"}} 2',
        f"s_sum{{{own}}} 3",
        f"s_count{{{own}}} 0",
    ]
    assert block(page, "h").splitlines() == [
        "# TYPE h histogram",
        f'h_bucket{{{own},le="1"}} 1',
        f'h_bucket{{{own},le="2"}} 2',
        f'h_bucket{{{own},le="+Inf"}} 3',
        f"h_sum{{{own}}} 0",
        f"h_count{{{own}}} 3",
    ]


def test_buckets_and_quantiles_keep_their_order(relay: HTTPClient) -> None:
    relay.put(
        "/metrics/job/x",
        '# TYPE s summary\ns{quantile="0.9"} 2\ns{quantile="0.5"} 1\n'
        '# TYPE h histogram\nh_bucket{le="2"} 2\nh_bucket{le="1"} 1\n',
    )
    page = relay.page()
    assert re.findall(r'job="x",quantile="([^"]*)"', page) == ["0.9", "0.5"]
    assert re.findall(r'job="x",le="([^"]*)"', page) == ["2", "1", "+Inf"]


def test_a_family_of_several_groups_is_one_block(relay: HTTPClient) -> None:
    for number in range(5):
        relay.put(f"/metrics/job/x/l/{number}", "# TYPE a gauge\na 1\nb 2\n")
    page = relay.page()
    assert page.count("# TYPE a gauge\n") == 1
    assert len([s for s in pushed(page) if s.name == "a"]) == 5


# writing --------------------------------------------------------------------------


def test_numbers_are_written_as_go_writes_them(relay: HTTPClient) -> None:
    body = "".join(f'a{{n="{number}"}} {number}\n' for number in NUMBERS)
    assert relay.put("/metrics/job/x", body).status == 200
    shown = {dict(s.labels)["n"]: s.value for s in pushed(relay.page())}
    assert shown == NUMBERS


def test_bounds_and_quantiles_are_written_as_go_writes_them(relay: HTTPClient) -> None:
    relay.put(
        "/metrics/job/x",
        '# TYPE h histogram\nh_bucket{le="1000000"} 1\nh_bucket{le="0.00001"} 0\n'
        'h_bucket{le="5e-1"} 0\nh_count 1\n'
        '# TYPE s summary\ns{quantile=".99"} 1\n',
    )
    page = relay.page()
    bounds = re.findall(r'job="x",le="([^"]*)"', page)
    assert sorted(bounds, key=float) == ["1e-05", "0.5", "1e+06", "+Inf"]
    assert re.findall(r'job="x",quantile="([^"]*)"', page) == ["0.99"]


def test_large_counts_are_written_with_an_exponent(relay: HTTPClient) -> None:
    relay.put(
        "/metrics/job/x",
        '# TYPE h histogram\nh_bucket{le="1"} 12345678\nh_sum 1\nh_count 12345678\n'
        "# TYPE s summary\ns_sum 1\ns_count 12345678\n",
    )
    values = {s.name: s.value for s in pushed(relay.page())}
    assert values["h_bucket"] == "1.2345678e+07"
    assert values["h_bucket"] == values["h_count"] == values["s_count"]


def test_label_values_are_escaped(relay: HTTPClient) -> None:
    relay.put(r"/metrics/job/x/l/a%5Cb%22c%0Ad", '# HELP a Text\\\\ "and\\nmore\na 1\n')
    assert block(relay.page(), "a").splitlines() == [
        r'# HELP a Text\\ "and\nmore',
        "# TYPE a untyped",
        r'a{instance="",job="x",l="a\\b\"c\nd"} 1',
    ]


def test_control_characters_are_written_as_they_are(relay: HTTPClient) -> None:
    value = "\t\r\0\x0b\x7f\u2028"
    relay.put(f"/metrics/job/{urllib.parse.quote(value)}", f'a{{l="{value}"}} 1\n')
    assert f'a{{instance="",job="{value}",l="{value}"}} 1\n' in relay.page()


def test_the_page_ends_with_a_newline_and_has_no_eof(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    page = relay.page("application/openmetrics-text")
    assert page.endswith("\n")
    assert "# EOF" not in page


# negotiation ----------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "content_type"), NEGOTIATED)
def test_formats_are_negotiated(
    relay: HTTPClient, accept: str, content_type: str
) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    response = relay.get("/metrics", {"Accept": accept} if accept else None)
    assert response.status == 200
    assert response.header("Content-Type") == content_type
    if content_type.startswith("text/plain"):
        assert lines_of(pushed(response.text)) == ["a 1 untyped"]
    elif "delimited" in content_type:
        families = {family.name for family in read_delimited(response.body)}
        assert {"a", "push_time_seconds"} <= families
    else:
        assert b'name: "a"' in response.body or b'name:"a"' in response.body


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("br, zstd", False),
        ("xgzip", False),
    ],
)
@pytest.mark.parametrize("accept", ["text/plain", ACCEPT_PROTOBUF])
def test_pages_are_compressed_on_demand(
    relay: HTTPClient, accept: str, accepted: str, compressed: bool
) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    headers = {"Accept": accept}
    if accepted:
        headers["Accept-Encoding"] = accepted
    response = relay.get("/metrics", headers)
    assert response.header("Content-Encoding") == ("gzip" if compressed else None)
    assert response.header("Vary") is None
    body = gzip.decompress(response.body) if compressed else response.body
    assert b"push_time_seconds" in body


def test_a_page_does_not_change_by_itself(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "b 1\na 1\n")
    first, second = (lines_of(pushed(relay.page()), without=()) for _ in range(2))
    assert first == second


# escaping of names ----------------------------------------------------------------


@pytest.mark.parametrize(("name", "underscores", "dots", "values"), ESCAPED)
def test_names_are_escaped_as_negotiated(
    relay: HTTPClient, name: str, underscores: str, dots: str, values: str
) -> None:
    metric = {"label": labels(**{name: "v"}), "gauge": {"value": 1}}
    body = delimited(family(name, GAUGE, metric))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    shown = {"underscores": underscores, "dots": dots, "values": values}
    for scheme, escaped in {**shown, "allow-utf-8": name}.items():
        page = relay.page(f"text/plain;escaping={scheme}")
        assert lines_of(pushed(page)) == [f'{escaped}{{{escaped}="v"}} 1 gauge']
        accept = f"{ACCEPT_PROTOBUF};escaping={scheme}"
        families = read_delimited(relay.get("/metrics", {"Accept": accept}).body)
        [found] = [family for family in families if family.name == escaped]
        assert escaped in {label.name for label in found.metric[0].label}


def test_names_beyond_the_legacy_set_are_quoted(relay: HTTPClient) -> None:
    metrics: list[dict[str, Any]] = [
        {"gauge": {"value": 1}},
        {"label": labels(**{"l.m": "v"}), "gauge": {"value": 2}},
    ]
    body = delimited(
        family("a.b", GAUGE, *metrics, help="Text."),
        family("c", GAUGE, metrics[1]),
    )
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    page = relay.page("text/plain;escaping=allow-utf-8")
    assert block(page, "a.b").splitlines() == [
        '# HELP "a.b" Text.',
        '# TYPE "a.b" gauge',
        '{"a.b",instance="",job="x"} 1',
        '{"a.b",instance="",job="x","l.m"="v"} 2',
    ]
    assert 'c{instance="",job="x","l.m"="v"} 2\n' in page


def test_suffixes_of_quoted_names_are_inside_the_quotes(relay: HTTPClient) -> None:
    histogram = {
        "sample_count": 1,
        "sample_sum": 0.5,
        "bucket": [{"upper_bound": 1, "cumulative_count": 1}],
    }
    body = delimited(family("a.b", 4, {"histogram": histogram}))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    page = relay.page("text/plain;escaping=allow-utf-8")
    assert lines_of(pushed(page), without=()) == [
        'a.b_bucket{instance="",job="x",le="+Inf"} 1 histogram',
        'a.b_bucket{instance="",job="x",le="1"} 1 histogram',
        'a.b_count{instance="",job="x"} 1 histogram',
        'a.b_sum{instance="",job="x"} 0.5 histogram',
    ]
    assert '{"a.b_bucket",instance="",job="x",le="1"} 1\n' in page


def test_the_whole_page_is_legal_without_groups(relay: HTTPClient) -> None:
    names = {sample.name for sample in read_page(relay.page())}
    assert "pushgateway_build_info" in names
    assert "push_time_seconds" not in names
