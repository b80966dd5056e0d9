"""Pushes in the delimited protobuf format, and scrapes of them in the same format."""

from __future__ import annotations

from typing import Any

import pytest
from exposition_page import lines_of, pushed
from metric_messages import (
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HEADERS,
    HISTOGRAM,
    SUMMARY,
    UNTYPED,
    delimited,
    family,
    labels,
    read_delimited,
)
from relay_process import HTTPClient

GAUGE_1 = {"gauge": {"value": 1}}

ACCEPTED = {
    "a counter": (
        family("a", COUNTER, {"counter": {"value": 1}}),
        ["a 1 counter"],
    ),
    "a family without a type is a counter": (
        family("a", None, {"counter": {"value": 1}}),
        ["a 1 counter"],
    ),
    "a gauge with labels": (
        family("a", GAUGE, {"label": labels(l="v", k="w"), "gauge": {"value": -1.5}}),
        ['a{k="w",l="v"} -1.5 gauge'],
    ),
    "an untyped metric": (
        family("a", UNTYPED, {"untyped": {"value": float("nan")}}),
        ["a NaN untyped"],
    ),
    "a gauge without a value is 0": (family("a", GAUGE, {"gauge": {}}), ["a 0 gauge"]),
    "a summary": (
        family(
            "a",
            SUMMARY,
            {
                "summary": {
                    "sample_count": 3,
                    "sample_sum": 4.5,
                    "quantile": [{"quantile": 0.5, "value": 2}],
                }
            },
        ),
        ['a{quantile="0.5"} 2 summary', "a_count 3 summary", "a_sum 4.5 summary"],
    ),
    "an empty summary": (
        family("a", SUMMARY, {"summary": {}}),
        ["a_count 0 summary", "a_sum 0 summary"],
    ),
    "a histogram": (
        family(
            "a",
            HISTOGRAM,
            {
                "histogram": {
                    "sample_count": 3,
                    "sample_sum": 4.5,
                    "bucket": [{"upper_bound": 1, "cumulative_count": 2}],
                }
            },
        ),
        [
            'a_bucket{le="+Inf"} 3 histogram',
            'a_bucket{le="1"} 2 histogram',
            "a_count 3 histogram",
            "a_sum 4.5 histogram",
        ],
    ),
    "a float histogram": (
        family(
            "a",
            HISTOGRAM,
            {
                "histogram": {
                    "sample_count_float": 3.5,
                    "sample_sum": 4.5,
                    "bucket": [{"upper_bound": 1, "cumulative_count_float": 2.5}],
                }
            },
        ),
        [
            'a_bucket{le="+Inf"} 3.5 histogram',
            'a_bucket{le="1"} 2.5 histogram',
            "a_count 3.5 histogram",
            "a_sum 4.5 histogram",
        ],
    ),
    "a gauge histogram": (
        family(
            "a",
            GAUGE_HISTOGRAM,
            {"histogram": {"sample_count": 3, "sample_sum": 4.5}},
        ),
        [
            'a_bucket{le="+Inf"} 3 histogram',
            "a_count 3 histogram",
            "a_sum 4.5 histogram",
        ],
    ),
    "a native histogram": (
        family(
            "a",
            HISTOGRAM,
            {
                "histogram": {
                    "sample_count": 3,
                    "sample_sum": 4.5,
                    "schema": 0,
                    "zero_threshold": 0.001,
                    "zero_count": 1,
                    "positive_span": [{"offset": 0, "length": 2}],
                    "positive_delta": [1, 0],
                }
            },
        ),
        [
            'a_bucket{le="+Inf"} 3 histogram',
            "a_count 3 histogram",
            "a_sum 4.5 histogram",
        ],
    ),
    "a unit and unknown fields": (
        family("a", GAUGE, GAUGE_1, unit="seconds").SerializeToString()
        + b"\xfa\x3f\x03abc",
        ["a 1 gauge"],
    ),
    "metrics in the order of the message": (
        family(
            "a",
            GAUGE,
            {"label": labels(l="2"), "gauge": {"value": 2}},
            {"label": labels(l="1"), "gauge": {"value": 1}},
        ),
        ['a{l="1"} 1 gauge', 'a{l="2"} 2 gauge'],
    ),
    "a family without metrics is not shown": (family("a", GAUGE), []),
    "a message without anything": (b"", []),
}

REFUSED_BODIES = {
    "a truncated message": (
        delimited(family("a", GAUGE, GAUGE_1))[:-1],
        "unexpected EOF",
    ),
    "a length without a message": (b"\x05", "unexpected EOF"),
    "half a length": (b"\x80", "unexpected EOF"),
    "a length beyond 32 bits": (b"\xff" * 11, ""),
    "garbage": (delimited(b"\xff\xff\xff\xff"), ""),
    "a wrong wire type": (delimited(b"\x0d\x01\x02\x03\x04" + b"\x07"), ""),
    "a text body": (b"a 1\n", ""),
    "a good family before a bad one": (
        delimited(family("a", GAUGE, GAUGE_1), b"\xff"),
        "",
    ),
    "a family without a name": (delimited(family("", GAUGE, GAUGE_1)), ""),
    "a type that does not exist": (delimited(family("a", 9, GAUGE_1)), ""),
}

# Readable, but refused as inconsistent.
INCONSISTENT = {
    "a value of another type": family("a", GAUGE, {"counter": {"value": 1}}),
    "a metric without a value": family("a", GAUGE, {"label": labels(l="v")}),
    "one of two metrics without a value": family("a", GAUGE, GAUGE_1, {}),
    "a label twice": family(
        "a", GAUGE, {"label": [*labels(l="1"), *labels(l="2")], "gauge": {"value": 1}}
    ),
    "the job twice": family(
        "a", GAUGE, {"label": [*labels(job="1"), *labels(job="2")], "gauge": {}}
    ),
    "a label without a name": family(
        "a", GAUGE, {"label": [{"name": "", "value": "v"}], "gauge": {}}
    ),
    "a reserved label name": family(
        "a", GAUGE, {"label": labels(__l="v"), "gauge": {}}
    ),
    "a quantile label on a summary": family(
        "a", SUMMARY, {"label": labels(quantile="0.5"), "summary": {}}
    ),
    "a timestamp": family("a", GAUGE, {**GAUGE_1, "timestamp_ms": 1}),
    "a timestamp of zero": family("a", GAUGE, {**GAUGE_1, "timestamp_ms": 0}),
}

NATIVE_HISTOGRAMS = {
    "integer counts": {
        "sample_count": 12,
        "sample_sum": 18.4,
        "schema": 1,
        "zero_threshold": 0.001,
        "zero_count": 2,
        "negative_span": [{"offset": 0, "length": 2}, {"offset": 1, "length": 1}],
        "negative_delta": [1, 1, -1],
        "positive_span": [{"offset": -3, "length": 1}, {"offset": 4, "length": 2}],
        "positive_delta": [2, -1, 2],
        "created_timestamp": {"seconds": 1_700_000_000, "nanos": 5},
        "exemplars": [
            {
                "label": labels(trace_id="abc"),
                "value": 1.5,
                "timestamp": {"seconds": 1_700_000_001},
            }
        ],
    },
    "float counts": {
        "sample_count_float": 12.5,
        "sample_sum": 18.4,
        "schema": -4,
        "zero_threshold": 2.938735877055719e-39,
        "zero_count_float": 2.5,
        "positive_span": [{"offset": 0, "length": 2}],
        "positive_count": [6.5, 3.5],
    },
    "classic and native buckets": {
        "sample_count": 3,
        "sample_sum": 4.5,
        "bucket": [
            {"upper_bound": 1, "cumulative_count": 2},
            {"upper_bound": float("inf"), "cumulative_count": 3},
        ],
        "schema": 3,
        "zero_threshold": 0.5,
        "zero_count": 0,
        "positive_span": [{"offset": 0, "length": 1}],
        "positive_delta": [3],
    },
    "no observations": {
        "sample_count": 0,
        "sample_sum": 0,
        "schema": 3,
        "zero_threshold": 1e-128,
        "zero_count": 0,
        "positive_span": [{"offset": 0, "length": 0}],
    },
}


@pytest.mark.parametrize(("message", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(relay: HTTPClient, message: object, expected: list[str]) -> None:
    response = relay.put("/metrics/job/x", delimited(message), HEADERS)
    assert (response.status, response.text) == (200, "")
    assert lines_of(pushed(relay.page())) == sorted(expected)


@pytest.mark.parametrize(("body", "text"), REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_refuses_and_keeps_no_trace(relay: HTTPClient, body: bytes, text: str) -> None:
    response = relay.put("/metrics/job/x", body, HEADERS)
    assert response.status == 400
    assert response.text.startswith(text)
    assert relay.groups() == []
    assert relay.put("/metrics/job/other", "a 1\n").status == 200
    assert lines_of(pushed(relay.page())) == ["a 1 untyped"]


@pytest.mark.parametrize("message", INCONSISTENT.values(), ids=INCONSISTENT)
def test_refuses_and_books_a_failure(relay: HTTPClient, message: object) -> None:
    response = relay.put("/metrics/job/x", delimited(message), HEADERS)
    assert response.status == 400
    assert response.text.startswith(
        "pushed metrics are invalid or inconsistent with existing metrics: "
    )
    group = relay.group(job="x")
    assert group is not None
    assert group["last_push_successful"] is False
    assert pushed(relay.page()) == []


def test_a_label_value_that_is_not_utf8_is_refused(relay: HTTPClient) -> None:
    body = delimited(
        family("a", GAUGE, {"label": labels(l="xyz"), "gauge": {"value": 1}})
    ).replace(b"xyz", b"x\xffz")
    assert relay.put("/metrics/job/x", body, HEADERS).status == 400
    assert pushed(relay.page()) == []
    assert relay.put("/metrics/job/y", "a 1\n").status == 200


def test_a_help_that_is_not_utf8_harms_no_scrape(relay: HTTPClient) -> None:
    body = delimited(family("a", GAUGE, GAUGE_1, help="xyz"))
    relay.put("/metrics/job/x", body.replace(b"xyz", b"x\xffz"), HEADERS)
    assert relay.put("/metrics/job/y", "b 1\n").status == 200
    assert "b 1 untyped" in lines_of(pushed(relay.page()))


def test_the_last_of_two_families_of_one_name_counts(relay: HTTPClient) -> None:
    body = delimited(
        family("a", GAUGE, {"label": labels(l="1"), "gauge": {"value": 1}}),
        family("b", GAUGE, GAUGE_1),
        family("a", COUNTER, {"label": labels(l="2"), "counter": {"value": 2}}),
    )
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    lines = lines_of(pushed(relay.page()))
    assert lines == ['a{l="2"} 2 counter', "b 1 gauge"]


def test_names_outside_of_the_legacy_set_are_kept_and_escaped(
    relay: HTTPClient,
) -> None:
    message = family(
        "a.b", GAUGE, {"label": labels(**{"l.m": "v"}), "gauge": {"value": 1}}
    )
    assert relay.put("/metrics/job/x", delimited(message), HEADERS).status == 200
    assert lines_of(pushed(relay.page())) == ['a_b{l_m="v"} 1 gauge']
    utf8 = relay.page("text/plain; version=1.0.0; escaping=allow-utf-8")
    assert lines_of(pushed(utf8)) == ['a.b{l.m="v"} 1 gauge']


def test_labels_of_the_url_win(relay: HTTPClient) -> None:
    metric = {"label": labels(job="mine", instance="i"), "gauge": {"value": 1}}
    body = delimited(family("a", GAUGE, metric))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    [sample] = pushed(relay.page())
    assert sample.labels == (("instance", "i"), ("job", "x"))


@pytest.mark.parametrize("histogram", NATIVE_HISTOGRAMS.values(), ids=NATIVE_HISTOGRAMS)
@pytest.mark.parametrize("kind", [HISTOGRAM, GAUGE_HISTOGRAM])
def test_native_histograms_come_back_in_protobuf(
    relay: HTTPClient, histogram: dict[str, object], kind: int
) -> None:
    message = family("a", kind, {"histogram": histogram}, help="Text.")
    assert relay.put("/metrics/job/x", delimited(message), HEADERS).status == 200
    expected = family(
        "a",
        kind,
        {"label": labels(instance="", job="x"), "histogram": histogram},
        help="Text.",
    )
    assert _scraped_family(relay, "a") == expected


def test_exemplars_and_created_timestamps_come_back_in_protobuf(
    relay: HTTPClient,
) -> None:
    exemplar = {"label": labels(trace_id="abc"), "value": 1}
    created = {"seconds": 1_700_000_000}
    counter = {"value": 1, "exemplar": exemplar, "created_timestamp": created}
    body = delimited(family("a", COUNTER, {"counter": counter}))
    assert relay.put("/metrics/job/x", body, HEADERS).status == 200
    metric = {"label": labels(instance="", job="x"), "counter": counter}
    assert _scraped_family(relay, "a") == family("a", COUNTER, metric)


def test_a_text_push_is_scraped_in_protobuf(relay: HTTPClient) -> None:
    body = (
        '# TYPE h histogram\nh_bucket{le="1"} 2\nh_sum 4.5\nh_count 3\n'
        '# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 2\ns_count 3\n'
        '# HELP u Text.\nu{l="2"} -0\nu{l="1"} NaN\n'
    )
    assert relay.put("/metrics/job/x", body).status == 200
    identity = labels(instance="", job="x")
    [metric] = _scraped_family(relay, "h").metric
    buckets = [(b.upper_bound, b.cumulative_count) for b in metric.histogram.bucket]
    assert buckets in ([(1, 2)], [(1, 2), (float("inf"), 3)])
    assert (metric.histogram.sample_count, metric.histogram.sample_sum) == (3, 4.5)
    summary = {
        "sample_count": 3,
        "sample_sum": 2,
        "quantile": [{"quantile": 0.5, "value": 1}],
    }
    expected = family("s", SUMMARY, {"label": identity, "summary": summary})
    assert _scraped_family(relay, "s") == expected
    untyped = _scraped_family(relay, "u")
    assert (untyped.type, untyped.help) == (UNTYPED, "Text.")
    assert [metric.label[2].value for metric in untyped.metric] == ["1", "2"]


def test_the_bookkeeping_is_scraped_in_protobuf(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    pushed_at = _scraped_family(relay, "push_time_seconds")
    assert (pushed_at.type, len(pushed_at.metric)) == (GAUGE, 1)
    assert pushed_at.metric[0].gauge.value > 1.7e9


def _scraped_family(relay: HTTPClient, name: str) -> Any:
    accept = HEADERS["Content-Type"]
    response = relay.get("/metrics", {"Accept": accept})
    assert response.status == 200
    found = [f for f in read_delimited(response.body) if f.name == name]
    assert len(found) == 1
    return found[0]
