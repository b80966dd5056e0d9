from __future__ import annotations

from math import copysign, inf

import pytest

from pushrelay.config import Limits
from pushrelay.exposition.protobuf_encoder import encode_family
from pushrelay.exposition.protobuf_parser import metrics_of
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import StoredFamily
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

KEY = GroupingKey.of({"job": "etl"})
HISTOGRAM = b"# TYPE x histogram\n"
FULL_HISTOGRAM = HISTOGRAM + b'x_bucket{le="1"} 2\nx_bucket{le="+Inf"} 3\n'


def parse(body: bytes) -> MetricFamily:
    (family,) = parse_text(body, KEY, Limits(), utf8_names=True)
    return family


def store(body: bytes) -> StoredFamily:
    return to_stored(parse(body), 5)


def test_a_family_is_kept_as_scrapes_show_it() -> None:
    stored = store(b'# HELP x h\n# TYPE x gauge\nx{a="2"} 1\nx{a="1"} 2\nx 3\n')
    assert stored.series == (
        b'x{instance="",job="etl"} 3\n'
        b'x{a="1",instance="",job="etl"} 2\n'
        b'x{a="2",instance="",job="etl"} 1\n'
    )
    assert (stored.name, stored.type, stored.help) == ("x", MetricType.GAUGE, "h")
    assert (stored.pushed_at, stored.size) == (5, 3)
    assert stored.shape.pushed_order == (2, 1, 0)
    assert stored.message is None
    assert stored.shape.utf8_names is False


def test_an_order_that_is_the_same_is_not_kept() -> None:
    assert store(b'x 1\nx{a="1"} 2\n').shape.pushed_order is None


@pytest.mark.parametrize(
    "body",
    [
        b'x{a="3"} 3\nx{a="1"} 1\nx 0\nx{a="2"} 2\nx{a="1",b="1"} 4\n',
        b"# HELP x some \\\\ help\\n\n# TYPE x counter\nx 1\n",
        b"x +Inf\n",
        b'x{a="\\"\\\\\\n\r\x00"} 1e-300\n',
        b"# TYPE x summary\nx_count 3\n",
        b'# TYPE x summary\nx{quantile="0.9"} 3\nx{quantile="0.5"} 1\nx_sum{b="1"} 3\n',
        b'# TYPE x summary\nx{quantile="1"} 3\nx{quantile="1"} 1\n',
        b"# TYPE x summary\nx_count -2\n",
        FULL_HISTOGRAM + b"x_sum 5\nx_count 3\n",
        FULL_HISTOGRAM.replace(b" 2", b" 0.5") + b"x_count 3\n",
        FULL_HISTOGRAM.replace(b"histogram", b"gaugehistogram"),
        HISTOGRAM + b'x_bucket{le="+Inf"} 3\nx_bucket{le="1"} 2\n',
        HISTOGRAM + b'x_bucket{le="1"} 3\n',
        HISTOGRAM + b'x_bucket{le="1",b="2"} 3\nx_bucket{le="1",b="1"} 4\nx_sum -0\n',
        HISTOGRAM + b"x 3\n",
        b'# TYPE "a.b" histogram\n{"a.b_bucket",le="+Inf","l.b"="1"} 3\n',
        b'{"a.b_count"} 3\n',
    ],
)
def test_a_family_comes_back_as_it_was_pushed(body: bytes) -> None:
    family = parse(body)
    back = from_stored(to_stored(family, 5))
    assert back.metrics == family.metrics
    assert (back.name, back.type, back.help) == (family.name, family.type, family.help)


@pytest.mark.parametrize(
    "body",
    [
        b"x 1\n",
        b"x NaN\n",
        b"# TYPE x summary\nx_count 9007199254740992\n",
        FULL_HISTOGRAM,
        FULL_HISTOGRAM.replace(b" 3", b" 0.5"),
    ],
)
def test_no_message_is_kept_where_text_is_enough(body: bytes) -> None:
    assert store(body).message is None


@pytest.mark.parametrize(
    "body",
    [
        b"x 1\n" + b'x{a="1"} -0\n',
        b"# TYPE x summary\nx_sum -0\n",
        b'# TYPE x summary\nx{quantile="-0"} 1\n',
        b'# TYPE x summary\nx{quantile="1"} -0\n',
        b"# TYPE x summary\nx_count -2\n",
        HISTOGRAM + b'x_bucket{le="1"} 1\n',
        FULL_HISTOGRAM + b"x_sum -0\n",
        FULL_HISTOGRAM + b'x_bucket{le="-0"} 0\n',
    ],
)
def test_a_message_is_kept_where_text_would_lose_something(body: bytes) -> None:
    stored = store(body)
    assert stored.message is not None
    assert len(metrics_of(stored.message)) == stored.size


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram(3.0, 0.0, [(inf, 3.0)]),
        Histogram(2**53 + 1, 0.0, [(inf, 3)]),
        Histogram(3, 0.0, [(inf, 2**64 - 1)]),
    ],
)
def test_counts_that_text_cannot_give_back_are_kept_as_a_message(
    histogram: Histogram,
) -> None:
    metric = Metric((("instance", ""), ("job", "etl")), histogram)
    family = MetricFamily("x", MetricType.HISTOGRAM, metrics=[metric])
    stored = to_stored(family, 5)
    assert stored.message is not None
    (back,) = from_stored(stored).metrics
    assert isinstance(back.value, Histogram)
    assert back.value == histogram
    assert type(back.value.sample_count) is type(histogram.sample_count)


def test_a_label_that_looks_like_a_bound_is_kept_as_a_message() -> None:
    labels = (("instance", ""), ("job", "etl"), ("le", "7"))
    metric = Metric(labels, Histogram(1, 0.0, [(inf, 1)]))
    family = MetricFamily("x", MetricType.HISTOGRAM, metrics=[metric])
    assert from_stored(to_stored(family, 5)).metrics == [metric]


def test_the_sign_of_zero_comes_back() -> None:
    (metric,) = from_stored(store(b"x -0\n")).metrics
    assert isinstance(metric.value, float)
    assert copysign(1, metric.value) == -1


def test_an_invented_infinite_bucket_does_not_come_back() -> None:
    stored = store(HISTOGRAM + b'x_bucket{le="1"} 2\nx_count 3\n')
    assert b'le="+Inf"} 3\n' in stored.series
    (metric,) = from_stored(stored).metrics
    assert metric.value == Histogram(3, 0.0, [(1.0, 2)])


def test_a_message_follows_its_metrics_into_exposition_order_and_back() -> None:
    family = parse(b'# TYPE x gauge\nx{a="2"} 1\nx{a="1"} 2\nx{a="0"} 3\n')
    family.metrics = family.metrics[1:] + family.metrics[:1]
    family.message = encode_family(family)
    stored = to_stored(family, 5)
    assert stored.message is not None
    exposed = [metric.value for metric in metrics_of(stored.message)]
    assert exposed == [3.0, 2.0, 1.0]
    back = from_stored(stored)
    assert back.metrics == family.metrics
    assert back.message is not None
    assert metrics_of(back.message) == family.metrics


def test_a_family_without_metrics_is_its_message() -> None:
    message = encode_family(MetricFamily("x", MetricType.GAUGE, "h"))
    family = MetricFamily("x", MetricType.GAUGE, "h", message=message)
    stored = to_stored(family, 5)
    assert (stored.series, stored.size, stored.message) == (b"", 0, message)
    assert from_stored(stored) == family


@pytest.mark.parametrize(
    ("body", "utf8_names"),
    [(b"x 1\n", False), (b'{"a.b"} 1\n', True), (b'x{"a.b"="1"} 1\n', True)],
)
def test_names_that_scrapes_must_escape_are_noted(
    body: bytes, utf8_names: bool
) -> None:
    assert store(body).shape.utf8_names is utf8_names


def test_an_empty_summary_comes_back() -> None:
    (metric,) = from_stored(store(b"# TYPE x summary\nx 3\n")).metrics
    assert metric.value == Summary()
