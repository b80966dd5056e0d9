"""Families that are kept as protobuf messages, in the modes merge and add. Those of the
text format are in test_aggregation."""

from __future__ import annotations

import pytest
from builders import families_of, families_of_messages, key_of
from google.protobuf import text_format

from pushrelay.errors import InconsistentPush
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.findings import Findings
from pushrelay.groups import StoredFamily
from pushrelay.merged_family import merge_families
from pushrelay.model import MetricFamily

KEY = key_of()
OLD, NEW = "created_timestamp { seconds: 1 }", "created_timestamp { seconds: 2 }"
EXEMPLAR = "exemplar { value: %s }"
NATIVE = (
    "sample_count: 3 sample_sum: 2 schema: 1 zero_threshold: 0.5 zero_count: 1 "
    "positive_span { offset: 1 length: 2 } positive_delta: [1, 0]"
)
TWICE_NATIVE = (
    "sample_count: 6 sample_sum: 4 schema: 1 zero_threshold: 0.5 zero_count: 2 "
    "positive_span { offset: 1 length: 2 } positive_delta: [2, 0]"
)
CLASSIC = (
    "bucket { cumulative_count: 1 upper_bound: 2 } "
    "bucket { cumulative_count: 3 upper_bound: inf }"
)
TWICE_CLASSIC = (
    "bucket { cumulative_count: 2 upper_bound: 2 } "
    "bucket { cumulative_count: 6 upper_bound: inf }"
)


def family_of(text: str) -> MetricFamily:
    """Return a family as pushed, in the text format or in protobuf's, and kept."""
    if text.startswith("#"):
        (family,) = families_of(text, KEY)
    else:
        (family,) = families_of_messages([text], KEY)
    return from_stored(to_stored(family, 1))


def metric(value: str, label: str = "") -> str:
    """Return a metric in protobuf's text format."""
    shown = f'label {{ name: "l" value: "{label}" }}' if label else ""
    return f" metric {{ {shown} {value} }}"


def merged(held: str, pushed: str, *, adds: bool = True) -> StoredFamily:
    findings = Findings()
    family = merge_families(family_of(held), family_of(pushed), findings, adds=adds)
    findings.raise_if_any()
    return to_stored(family, 2)


def shown(stored: StoredFamily) -> pb.MetricFamily:
    """Return the message of a family, without the labels of its group."""
    assert stored.message is not None
    message = pb.MetricFamily.FromString(stored.message)
    for metric in message.metric:
        own = [pair for pair in metric.label if pair.name == b"l"]
        del metric.label[:]
        metric.label.extend(own)
    return message


def counter(*values: str) -> str:
    return 'name: "x" type: COUNTER' + "".join(
        metric(f"counter {{ {value} }}") for value in values
    )


def summary(value: str) -> str:
    return f'name: "x" type: SUMMARY metric {{ summary {{ {value} }} }}'


def histogram(value: str) -> str:
    return f'name: "x" type: HISTOGRAM metric {{ histogram {{ {value} }} }}'


ADDED = {
    "the exemplar is the push's, the created timestamp is not": (
        counter(f"value: 1 {OLD} {EXEMPLAR % 1}"),
        counter(f"value: 2 {NEW} {EXEMPLAR % 2}"),
        counter(f"value: 3 {OLD} {EXEMPLAR % 2}"),
    ),
    "a counter whose start nobody knows": (
        counter("value: 1"),
        counter(f"value: 2 {NEW} {EXEMPLAR % 2}"),
        counter(f"value: 3 {EXEMPLAR % 2}"),
    ),
    "a counter from a text body": (
        counter(f"value: 1 {OLD}"),
        "# TYPE x counter\nx 2",
        counter(f"value: 3 {OLD}"),
    ),
    "a counter from a text body that protobuf adds to": (
        "# TYPE x counter\nx 2",
        counter(f"value: 1 {EXEMPLAR % 1}"),
        counter(f"value: 3 {EXEMPLAR % 1}"),
    ),
    "other series stay": (
        'name: "x" type: COUNTER'
        + metric(f"counter {{ value: 1 {OLD} {EXEMPLAR % 1} }}")
        + metric(f"counter {{ value: 2 {OLD} }}", "1"),
        'name: "x" type: COUNTER'
        + metric("counter { value: 3 }", "2")
        + metric("counter { value: 4 }", "1"),
        'name: "x" type: COUNTER'
        + metric(f"counter {{ value: 1 {OLD} {EXEMPLAR % 1} }}")
        + metric(f"counter {{ value: 6 {OLD} }}", "1")
        + metric("counter { value: 3 }", "2"),
    ),
    "a unit": (
        counter("value: 1") + ' unit: "old"',
        counter("value: 1") + ' unit: "new"',
        counter("value: 2") + ' unit: "new"',
    ),
    "a unit that is not pushed again": (
        counter("value: 1") + ' unit: "old"',
        counter("value: 1"),
        counter("value: 2") + ' unit: "old"',
    ),
    "nothing but a name": (
        'name: "x" type: COUNTER',
        'name: "x" type: COUNTER help: "h"',
        'name: "x" type: COUNTER help: "h"',
    ),
    "a summary": (
        summary(
            f"sample_count: 1 sample_sum: 2 {OLD} quantile {{ quantile: 0.5 value: 1 }}"
        ),
        summary(
            f"sample_count: 3 sample_sum: 4 {NEW} quantile {{ quantile: 0.9 value: 2 }}"
        ),
        summary(
            f"sample_count: 4 sample_sum: 6 {OLD} quantile {{ quantile: 0.9 value: 2 }}"
        ),
    ),
    "a classic histogram": (
        histogram(f"sample_count: 3 sample_sum: 1 {OLD} {CLASSIC}"),
        histogram(f"sample_count: 3 sample_sum: 1 {NEW} {CLASSIC}"),
        histogram(f"sample_count: 6 sample_sum: 2 {OLD} {TWICE_CLASSIC}"),
    ),
    "a classic histogram with exemplars": (
        histogram(
            f"sample_count: 3 bucket {{ cumulative_count: 1 upper_bound: 2 "
            f"{EXEMPLAR % 1} }}"
        ),
        histogram(
            f"sample_count: 3 bucket {{ cumulative_count: 3 upper_bound: inf "
            f"{EXEMPLAR % 2} }} bucket {{ cumulative_count: 1 upper_bound: 2 }}"
        ),
        histogram(
            f"sample_count: 6 sample_sum: 0 bucket {{ cumulative_count: 2 upper_bound: "
            f"2 }} bucket {{ cumulative_count: 6 upper_bound: inf {EXEMPLAR % 2} }}"
        ),
    ),
    "a classic histogram of floats": (
        histogram(f"sample_count: 3 sample_sum: 1 {CLASSIC}"),
        histogram(
            "sample_count_float: 1.5 sample_sum: 1 "
            "bucket { cumulative_count_float: 0.5 upper_bound: 2 }"
        ),
        histogram(
            "sample_count_float: 4.5 sample_sum: 2 "
            "bucket { cumulative_count_float: 1.5 upper_bound: 2 }"
            "bucket { cumulative_count_float: 4.5 upper_bound: inf }"
        ),
    ),
    "a native histogram": (
        histogram(f"{NATIVE} {OLD} exemplars {{ value: 1 }}"),
        histogram(f"{NATIVE} {NEW} exemplars {{ value: 2 }}"),
        histogram(f"{TWICE_NATIVE} {OLD} exemplars {{ value: 2 }}"),
    ),
    "a histogram that is native and classic": (
        histogram(f"{NATIVE} {CLASSIC}"),
        histogram(f"{NATIVE} {CLASSIC}"),
        histogram(f"{TWICE_NATIVE} {TWICE_CLASSIC}"),
    ),
    "a native histogram of floats": (
        histogram(f"{NATIVE} {CLASSIC}"),
        histogram(
            f"sample_count_float: 0.5 sample_sum: 2 schema: 1 zero_threshold: 0.5 "
            f"zero_count_float: 0.25 {CLASSIC}"
        ),
        histogram(
            "sample_count_float: 3.5 sample_sum: 4 schema: 1 zero_threshold: 0.5 "
            "zero_count_float: 1.25 positive_span { offset: 1 length: 2 } "
            "positive_count: [1, 1] "
            "bucket { cumulative_count_float: 2 upper_bound: 2 } "
            "bucket { cumulative_count_float: 6 upper_bound: inf }"
        ),
    ),
    "floats only in the zero bucket": (
        histogram("zero_threshold: 0.5 zero_count_float: 0.5"),
        histogram("sample_count: 3 zero_threshold: 0.5 zero_count: 1"),
        histogram(
            "sample_count_float: 3 sample_sum: 0 schema: 0 zero_threshold: 0.5 "
            "zero_count_float: 1.5 positive_span { offset: 0 length: 0 }"
        ),
    ),
    "floats only in classic buckets": (
        histogram(f"{NATIVE} {CLASSIC}"),
        histogram(
            f"{NATIVE} bucket {{ cumulative_count_float: 0.5 upper_bound: 2 }} "
            f"bucket {{ cumulative_count: 3 upper_bound: inf }}"
        ),
        histogram(
            "sample_count_float: 6 sample_sum: 4 schema: 1 zero_threshold: 0.5 "
            "zero_count_float: 2 positive_span { offset: 1 length: 2 } "
            "positive_count: [2, 2] "
            "bucket { cumulative_count_float: 1.5 upper_bound: 2 } "
            "bucket { cumulative_count_float: 6 upper_bound: inf }"
        ),
    ),
    "one that was never observed": (
        histogram("schema: 1 zero_threshold: 0.5 positive_span {}"),
        histogram(NATIVE),
        histogram(NATIVE),
    ),
}


@pytest.mark.parametrize(("held", "pushed", "expected"), ADDED.values(), ids=ADDED)
def test_messages_are_added(held: str, pushed: str, expected: str) -> None:
    total = shown(merged(held, pushed))
    assert total == text_format.Parse(expected, pb.MetricFamily())


def test_text_shows_what_the_message_says() -> None:
    stored = merged(histogram(f"{NATIVE} {CLASSIC}"), histogram(f"{NATIVE} {CLASSIC}"))
    assert stored.series.decode().splitlines() == [
        'x_bucket{instance="",job="a",le="2"} 2',
        'x_bucket{instance="",job="a",le="+Inf"} 6',
        'x_sum{instance="",job="a"} 4',
        'x_count{instance="",job="a"} 6',
    ]


def test_messages_are_merged() -> None:
    held = 'name: "x" type: HISTOGRAM' + "".join(
        metric(f"histogram {{ {NATIVE} {OLD} }}", label) for label in "12"
    )
    pushed = 'name: "x" type: HISTOGRAM' + "".join(
        metric(f"histogram {{ {value} }}", label)
        for label, value in [("3", NATIVE), ("2", f"{TWICE_NATIVE} {NEW}")]
    )
    expected = 'name: "x" type: HISTOGRAM' + "".join(
        metric(f"histogram {{ {value} }}", label)
        for label, value in [
            ("1", f"{NATIVE} {OLD}"),
            ("2", f"{TWICE_NATIVE} {NEW}"),
            ("3", NATIVE),
        ]
    )
    total = shown(merged(held, pushed, adds=False))
    assert total == text_format.Parse(expected, pb.MetricFamily())


def test_classic_and_native_series_stand_side_by_side() -> None:
    held = f'name: "x" type: HISTOGRAM {metric(f"histogram {{ {NATIVE} }}", "1")}'
    stored = merged(held, "# TYPE x histogram\nx_count 5")
    assert stored.size == 2
    assert b'x_count{instance="",job="a"} 5\n' in stored.series


@pytest.mark.parametrize("adds", [False, True])
def test_no_message_is_kept_that_is_not_needed(adds: bool) -> None:
    held = '# TYPE x counter\nx -0\nx{l="1"} 1'
    assert family_of(held).message is not None
    stored = merged(held, "# TYPE x counter\nx 2", adds=adds)
    assert stored.message is None


REFUSED = {
    "classic on native": (
        histogram(NATIVE),
        histogram(f"sample_count: 3 {CLASSIC}"),
        'histogram "x" {instance="", job="a"} cannot be added up: a native histogram '
        "is held and a classic one is pushed; to start anew, replace the group with "
        "PUT or delete it",
    ),
    "native on classic": (
        "# TYPE x histogram\nx_count 5",
        histogram(NATIVE),
        "a classic histogram is held and a native one is pushed; to start anew",
    ),
    "other classic buckets of native histograms": (
        histogram(f"{NATIVE} {CLASSIC}"),
        histogram(NATIVE),
        "its buckets differ: only held are those up to 2, only pushed",
    ),
    "no finite counts": (
        histogram(NATIVE),
        histogram(
            "sample_count_float: inf zero_threshold: 1 positive_span { length: 1 }"
            " positive_count: 1"
        ),
        "the pushed count +Inf is not finite",
    ),
    "too far apart": (
        histogram(
            "sample_count: 1 positive_span { offset: 2147483646 length: 1 }"
            " positive_delta: 1"
        ),
        histogram(
            "sample_count: 1 positive_span { offset: -9 length: 1 } positive_delta: 1"
        ),
        "the buckets of the two native histograms lie too far apart; to start anew",
    ),
    "further than Prometheus can number": (
        histogram(
            "sample_count: 2 positive_span { offset: -9 length: 1 }"
            " positive_span { offset: 2147483644 length: 1 } positive_delta: [1, 0]"
        ),
        histogram(
            "sample_count: 1 positive_span { offset: -20 length: 1 } positive_delta: 1"
        ),
        "its positive spans reach too far; to start anew",
    ),
    "a counter that goes down": (
        counter("value: 1"),
        counter(f"value: -1 {EXEMPLAR % 1}"),
        "the pushed value -1 is not finite and at least 0",
    ),
}


@pytest.mark.parametrize(("held", "pushed", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_added(held: str, pushed: str, words: str) -> None:
    with pytest.raises(InconsistentPush, match="cannot be added up") as raised:
        merged(held, pushed)
    assert words in str(raised.value)
