"""What families of running totals count beyond what was pushed last."""

from __future__ import annotations

from functools import partial

import pytest
from builders import families_of, families_of_messages, key_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.protobuf_encoder import encode_family
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.groups import StoredFamily
from pushrelay.increments import increments_of
from pushrelay.model import MetricFamily

KEY = key_of()
BEGAN, BEGAN_LATER = (f"created_timestamp {{ seconds: {n} nanos: 5 }}" for n in (1, 2))
EXEMPLAR = "exemplar { value: %s }"
WHOLE = "whole"
"""Stands for what was pushed."""


def family_of(text: str) -> MetricFamily:
    """Return a pushed family, in the text format or in protobuf's."""
    if text.startswith("#"):
        (family,) = families_of(text, KEY)
    else:
        (family,) = families_of_messages([text], KEY)
    return family


def message_of(family: MetricFamily) -> pb.MetricFamily:
    return pb.MetricFamily.FromString(encode_family(family))


def message(type_: str, value: str) -> str:
    """Return a family of one metric in protobuf's text format."""
    return f'name: "x" type: {type_} metric {{ {type_.lower()} {{ {value} }} }}'


counter, summary = partial(message, "COUNTER"), partial(message, "SUMMARY")
histogram = partial(message, "HISTOGRAM")


def classic(low: int, count: int, total: float = 0.5, bound: float = 2) -> str:
    return histogram(
        f"sample_count: {count} sample_sum: {total} "
        f"bucket {{ cumulative_count: {low} upper_bound: {bound} }}"
        f"bucket {{ cumulative_count: {count} upper_bound: inf }}"
    )


def native(first: int, second: int, more: str = "") -> str:
    return histogram(
        f"sample_count: {first + second} sample_sum: 2 schema: 1 zero_threshold: 0.5 "
        f"zero_count: 0 positive_span {{ offset: 1 length: 2 }} "
        f"positive_delta: [{first}, {second - first}] {more}"
    )


TEXT = "# TYPE x counter\nx"
INCREASES = {
    "a counter": (f"{TEXT} 2", f"{TEXT} 5.5", f"{TEXT} 3.5"),
    "a counter that stayed": (f"{TEXT} 2", f"{TEXT} 2", f"{TEXT} 0"),
    "a counter that fell": (f"{TEXT} 5", f"{TEXT} 3", WHOLE),
    "a counter that is at zero again": (f"{TEXT} 5", f"{TEXT} 0", WHOLE),
    "a counter that is no number": (f"{TEXT} 5", f"{TEXT} NaN", WHOLE),
    "a counter that was no number": (f"{TEXT} NaN", f"{TEXT} 5", WHOLE),
    "a counter that is infinite": (f"{TEXT} 5", f"{TEXT} +Inf", WHOLE),
    "a counter that was below zero": (f"{TEXT} -5", f"{TEXT} 5", WHOLE),
    "new series": (
        f'{TEXT}{{l="1"}} 2\nx{{l="2"}} 2',
        f'{TEXT}{{l="3"}} 7\nx{{l="1"}} 5',
        f'{TEXT}{{l="3"}} 7\nx{{l="1"}} 3',
    ),
    "help": (
        f"# HELP x Old.\n{TEXT} 2",
        f"# HELP x H.\n{TEXT} 3",
        "# HELP x H.\n# TYPE x counter\nx 1",
    ),
    "a counter that began earlier": (
        counter(f"value: 2 {BEGAN_LATER}"),
        counter(f"value: 5 {BEGAN}"),
        counter(f"value: 3 {BEGAN}"),
    ),
    "a counter that has gone on": (
        counter(f"value: 2 {BEGAN} {EXEMPLAR % 1}"),
        counter(f"value: 5 {BEGAN} {EXEMPLAR % 2}"),
        counter(f"value: 3 {BEGAN} {EXEMPLAR % 2}"),
    ),
    "a counter that began later": (
        counter(f"value: 2 {BEGAN}"),
        counter(f"value: 5 {BEGAN_LATER}"),
        WHOLE,
    ),
    "a counter that began later, with the same value": (
        counter(f"value: 2 {BEGAN}"),
        counter(f"value: 2 {BEGAN_LATER}"),
        WHOLE,
    ),
    "a counter of which nobody knew when it began": (
        counter("value: 2"),
        counter(f"value: 5 {BEGAN}"),
        counter(f"value: 3 {BEGAN}"),
    ),
    "a counter that says no more when it began": (
        counter(f"value: 2 {BEGAN}"),
        counter("value: 5"),
        counter("value: 3"),
    ),
    "text after protobuf": (counter(f"value: 2 {BEGAN}"), f"{TEXT} 5", f"{TEXT} 3"),
    "a summary": (
        summary("sample_count: 2 sample_sum: 3 quantile { quantile: 0.5 value: 1 }"),
        summary("sample_count: 5 sample_sum: 1 quantile { quantile: 0.9 value: 2 }"),
        summary("sample_count: 3 sample_sum: -2 quantile { quantile: 0.9 value: 2 }"),
    ),
    "a summary that fell": (
        summary("sample_count: 5 sample_sum: 3"),
        summary("sample_count: 4 sample_sum: 9"),
        WHOLE,
    ),
    "a summary that began later": (
        summary(f"sample_count: 5 {BEGAN}"),
        summary(f"sample_count: 6 {BEGAN_LATER}"),
        WHOLE,
    ),
    "a sum that is infinite": (
        summary("sample_count: 2 sample_sum: inf"),
        summary("sample_count: 3 sample_sum: inf"),
        summary("sample_count: 1 sample_sum: 0"),
    ),
    "a sum that is no number": (
        summary("sample_count: 2 sample_sum: nan"),
        summary("sample_count: 3 sample_sum: nan"),
        summary("sample_count: 1 sample_sum: 0"),
    ),
    "a sum that has become infinite": (
        summary("sample_count: 2 sample_sum: 1"),
        summary("sample_count: 3 sample_sum: inf"),
        summary("sample_count: 1 sample_sum: inf"),
    ),
    "a histogram": (classic(1, 2), classic(2, 6, 4.5), classic(1, 4, 4.0)),
    "more than a float can count": (
        classic(2**53, 2**53),
        classic(2**53 + 1, 2**53 + 3),
        classic(1, 3, 0),
    ),
    "a histogram whose count fell": (classic(1, 5), classic(1, 4), WHOLE),
    "a histogram whose bucket fell": (classic(3, 5), classic(2, 9), WHOLE),
    "a histogram with other buckets": (classic(1, 2), classic(2, 6, bound=3), WHOLE),
    "a histogram that began later": (
        histogram(f"sample_count: 1 {BEGAN}"),
        histogram(f"sample_count: 5 {BEGAN_LATER}"),
        WHOLE,
    ),
    "a histogram that does not say what is below infinity": (
        classic(1, 2),
        histogram(
            "sample_count: 4 sample_sum: 0.5 "
            "bucket { cumulative_count: 1 upper_bound: 2 }"
        ),
        classic(0, 2, 0),
    ),
    "a histogram of floats": (
        classic(1, 2),
        histogram(
            "sample_count_float: 4.5 sample_sum: 0.5 "
            "bucket { cumulative_count_float: 1.5 upper_bound: 2 }"
        ),
        histogram(
            "sample_count_float: 2.5 sample_sum: 0 "
            "bucket { cumulative_count_float: 0.5 upper_bound: 2 }"
            "bucket { cumulative_count_float: 2.5 upper_bound: inf }"
        ),
    ),
    "a native histogram": (
        native(1, 2, f"{BEGAN} exemplars {{ value: 1 }}"),
        native(4, 3, f"{BEGAN} exemplars {{ value: 2 }}"),
        native(3, 1, f"{BEGAN} exemplars {{ value: 2 }}").replace("_sum: 2", "_sum: 0"),
    ),
    "a native histogram that fell": (native(2, 2), native(1, 9), WHOLE),
    "a native histogram that began later": (
        native(1, 2, BEGAN),
        native(1, 2, BEGAN_LATER),
        WHOLE,
    ),
    "a native histogram whose classic bucket fell": (
        native(1, 1, "bucket { cumulative_count: 2 upper_bound: 9 }"),
        native(2, 2, "bucket { cumulative_count: 1 upper_bound: 9 }"),
        WHOLE,
    ),
    "a native histogram after a classic one": (
        histogram("sample_count: 1"),
        native(1, 2),
        WHOLE,
    ),
    "a classic histogram after a native one": (
        native(1, 2),
        histogram("sample_count: 9"),
        WHOLE,
    ),
    "native histograms that cannot be compared": (
        native(1, 2).replace("0.5", "inf"),
        native(2, 2),
        WHOLE,
    ),
}


@pytest.mark.parametrize(
    ("last", "pushed", "expected"), INCREASES.values(), ids=INCREASES
)
def test_what_is_counted_since(last: str, pushed: str, expected: str) -> None:
    before, after = (to_stored(family_of(text), 1) for text in (last, pushed))
    grown = increments_of(
        before, StoredFamily(after.shape, 2, after.series, after.message)
    )
    wanted = pushed if expected is WHOLE else expected
    assert message_of(from_stored(grown)) == message_of(family_of(wanted))
    assert grown.pushed_at == 2


def test_series_keep_the_order_in_which_they_are_pushed() -> None:
    last, pushed = (
        to_stored(family_of(f'{TEXT}{{l="{a}"}} {n}\nx{{l="{b}"}} {n}'), 1)
        for n, a, b in ((1, 1, 2), (3, 2, 1))
    )
    assert increments_of(last, pushed).shape is pushed.shape


LABELS = ["", "1", "2", "é \\n"]
NUMBERS = st.sampled_from(["0", "-0", "1", "2.5", "1e300", "NaN", "+Inf", "-1"])
BODIES = st.dictionaries(st.sampled_from(LABELS), NUMBERS, min_size=1).map(
    lambda series: (
        "# TYPE x counter\n"
        + "\n".join(f'x{{l="{label}"}} {number}' for label, number in series.items())
    )
)


@given(BODIES, BODIES)
def test_lines_tell_the_same_as_metrics(last: str, pushed: str) -> None:
    """Plain counters are compared by their lines, and others are read."""
    before, after = (to_stored(family_of(text), 1) for text in (last, pushed))
    read = StoredFamily(
        before.shape, 1, before.series, encode_family(from_stored(before))
    )
    by_lines, by_metrics = increments_of(before, after), increments_of(read, after)
    assert by_lines.series == by_metrics.series
    assert by_lines.shape is by_metrics.shape
