from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_validity import check_native_histogram

RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "native_histograms.json").read_text()
)

VALID = {
    "classic": "sample_count: 9 bucket { cumulative_count: 3 upper_bound: 1 }",
    "nothing": "",
    "never observed": "schema: 3 zero_threshold: 0.1",
    "a span that does nothing": "schema: 3 positive_span { offset: 0 length: 0 }",
    "both sides": "sample_count: 13 zero_count: 2"
    " negative_span { offset: -5 length: 2 } negative_delta: [1, 3]"
    " positive_span { length: 1 } positive_span { offset: 7 length: 1 }"
    " positive_delta: [5, -4]",
    "empty buckets": "sample_count: 1 positive_span { length: 3 }"
    " positive_delta: [0, 1, -1]",
    "an observation that is NaN": "sample_count: 2 sample_sum: nan"
    " positive_span { length: 1 } positive_delta: 1",
    "the coarsest schema": "schema: -4 zero_threshold: 1",
    "the finest schema": "schema: 8 zero_threshold: 1",
    "a count of 64 bits": f"sample_count: {2**64 - 1} zero_count: {2**64 - 1}",
    "float": "sample_count_float: 4 zero_count_float: 0.5 positive_span { length: 2 }"
    " positive_count: [1.5, 2]",
    "float with more than its buckets have": "sample_count_float: 9 zero_threshold: 1",
    "float with a large count": "sample_count_float: 1e300 positive_span { length: 1 }"
    " positive_count: 1e300",
    "float whose sum is rounded": "sample_count_float: 1 positive_span { length: 10 }"
    " positive_count: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]",
    "float with deltas that nobody reads": "sample_count_float: 1 zero_threshold: 1"
    " positive_delta: [-1, -1]",
    "float with a count that is NaN": "sample_count_float: 1"
    " positive_span { length: 1 } positive_count: nan",
    "far apart": "sample_count: 2 positive_span { offset: -2147483648 length: 1 }"
    " positive_span { offset: 2147483645 length: 1 } positive_delta: [1, 0]",
    "another schema without anything native": "schema: 99 sample_count: 1",
}

INVALID = {
    "spans longer than the deltas": (
        "sample_count: 1 positive_span { length: 2 } positive_delta: 1",
        "its positive spans need 2 buckets, but it has 1",
    ),
    "spans shorter than the deltas": (
        "sample_count: 3 negative_span { length: 1 } negative_delta: [1, 1]",
        "its negative spans need 1 buckets, but it has 2",
    ),
    "huge spans": (
        "positive_span { length: 4294967295 } positive_span { length: 4294967295 }",
        "its positive spans need 8589934590 buckets, but it has 0",
    ),
    "deltas without spans": (
        "sample_count: 1 positive_delta: 1",
        "its positive spans need 0 buckets, but it has 1",
    ),
    "spans without deltas": (
        "positive_span { length: 1 }",
        "its positive spans need 1 buckets, but it has 0",
    ),
    "counts in a histogram of integers": (
        "positive_span { length: 1 } positive_count: 1",
        "its positive spans need 1 buckets, but it has 0",
    ),
    "deltas in a float histogram": (
        "sample_count_float: 3.5 positive_span { length: 1 } positive_delta: 1",
        "its positive spans need 1 buckets, but it has 0",
    ),
    "a negative gap": (
        "sample_count: 2 positive_span { length: 1 } positive_span { offset: -3"
        " length: 1 } positive_delta: [1, 0]",
        "positive span 2 has the negative offset -3",
    ),
    "gaps that Prometheus cannot join": (
        "sample_count: 2 positive_span { offset: -2147483648 length: 1 }"
        " positive_span { offset: 2147483647 length: 1 }"
        " positive_span { offset: 2147483646 length: 1 } positive_delta: [1, -1, 1]",
        "its positive spans reach too far",
    ),
    "a bucket beyond 32 bits": (
        "sample_count: 2 negative_span { offset: 2147483647 length: 2 }"
        " negative_delta: [1, 0]",
        "its negative spans reach too far",
    ),
    "a negative count": (
        "positive_span { length: 3 } positive_delta: [1, -5, 4]",
        "positive bucket 2 has the count -4",
    ),
    "a count beyond 64 bits": (
        f"positive_span {{ length: 2 }} positive_delta: [{2**63 - 1}, 1]",
        f"positive bucket 2 has the count {2**63}",
    ),
    "a negative float count": (
        "sample_count_float: 1 negative_span { length: 1 } negative_count: -0.5",
        "negative bucket 1 has the count -0.5",
    ),
    "fewer observations than in the buckets": (
        "sample_count: 1 zero_count: 1 positive_span { length: 1 } positive_delta: 1",
        "its buckets have 2 observations, but its count is 1",
    ),
    "fewer observations than in the buckets, one NaN": (
        "sample_count: 1 sample_sum: nan zero_count: 2",
        "its buckets have 2 observations, but its count is 1",
    ),
    "fewer float observations than in the buckets": (
        "sample_count_float: 1 positive_span { length: 1 } positive_count: 1.5",
        "its buckets have 1.5 observations, but its count is 1.0",
    ),
    "float without a count": (
        "zero_count_float: 1 negative_span { length: 1 } negative_count: 1",
        "its buckets have 1.0 observations, but its count is 0.0",
    ),
    "a negative float zero count": (
        "sample_count_float: 1 zero_threshold: 1 zero_count_float: -1",
        "its count, or that of its zero bucket, is negative",
    ),
    "too coarse a schema": (
        "schema: -5 zero_threshold: 1",
        "its schema is -5, not -4 to 8",
    ),
    "too fine a schema": ("schema: 9 positive_span {}", "its schema is 9, not -4 to 8"),
    "custom bounds": (
        "schema: -53 zero_threshold: 1",
        "its schema is -53, not -4 to 8",
    ),
}


def histogram(text: str) -> pb.Histogram:
    return text_format.Parse(text, pb.Histogram())


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_what_prometheus_takes_is_valid(text: str) -> None:
    check_native_histogram(histogram(text))


@pytest.mark.parametrize(("text", "reason"), INVALID.values(), ids=INVALID)
def test_what_prometheus_would_refuse_is_invalid(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_native_histogram(histogram(text))

    assert str(caught.value) == reason


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["case"])
def test_what_a_client_pushes_is_valid(case: dict[str, Any]) -> None:
    [metric] = pb.MetricFamily.FromString(base64.b64decode(case["message"])).metric

    check_native_histogram(metric.histogram)
