from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from builders import stay_distinct
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.protobuf_encoder import (
    delimit,
    encode_family,
    encode_header,
    encode_metrics,
    to_text,
)
from pushrelay.exposition.protobuf_parser import (
    metrics_of,
    parse_protobuf,
    reorder_message,
)
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

KEY = GroupingKey.of({"job": "batch"})
PLACED = (("instance", ""), ("job", "batch"))
LIMITS = Limits()
NATIVE = [
    base64.b64decode(case["message"])
    for case in json.loads(
        (Path(__file__).parents[1] / "data" / "native_histograms.json").read_text()
    )
]
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def message(text: str) -> bytes:
    """Encode a family that is written in protobuf's text format."""
    return text_format.Parse(text, pb.MetricFamily()).SerializeToString()


def body(*messages: bytes) -> bytes:
    return b"".join(delimit(len(message)) + message for message in messages)


def parse(*messages: bytes, limits: Limits = LIMITS) -> list[MetricFamily]:
    return parse_protobuf(body(*messages), KEY, limits)


def parse_one(text: str) -> MetricFamily:
    [family] = parse(message(text))
    return family


VALUES: dict[str, tuple[str, MetricType, object]] = {
    "counter": (
        "type: COUNTER metric { counter { value: 2.5 } }",
        MetricType.COUNTER,
        2.5,
    ),
    "no type": ("metric { counter { value: 1 } }", MetricType.COUNTER, 1.0),
    "gauge": (
        "type: GAUGE metric { gauge { value: inf } }",
        MetricType.GAUGE,
        math.inf,
    ),
    "gauge without a value": ("type: GAUGE metric { gauge {} }", MetricType.GAUGE, 0.0),
    "untyped": (
        "type: UNTYPED metric { untyped { value: -1 } }",
        MetricType.UNTYPED,
        -1.0,
    ),
    "summary": (
        "type: SUMMARY metric { summary { sample_count: 3 sample_sum: 4.5"
        " quantile { quantile: 0.5 value: 1 } quantile { quantile: 0.9 value: 2 } } }",
        MetricType.SUMMARY,
        Summary(3, 4.5, [(0.5, 1.0), (0.9, 2.0)]),
    ),
    "empty summary": (
        "type: SUMMARY metric { summary {} }",
        MetricType.SUMMARY,
        Summary(0, 0.0, []),
    ),
    "histogram": (
        "type: HISTOGRAM metric { histogram { sample_count: 3 sample_sum: 4.5"
        " bucket { cumulative_count: 1 upper_bound: 0.5 }"
        " bucket { cumulative_count: 3 upper_bound: inf } } }",
        MetricType.HISTOGRAM,
        Histogram(3, 4.5, [(0.5, 1), (math.inf, 3)]),
    ),
    "gauge histogram": (
        "type: GAUGE_HISTOGRAM metric { histogram { sample_count: 1"
        " bucket { cumulative_count: 1 upper_bound: inf } } }",
        MetricType.GAUGE_HISTOGRAM,
        Histogram(1, 0.0, [(math.inf, 1)]),
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_are_read_and_kept_as_text(case: str) -> None:
    text, type_, value = VALUES[case]

    family = parse_one('name: "a" help: "What it is." ' + text)

    assert family == MetricFamily(
        "a",
        type_,
        "What it is.",
        [Metric(PLACED, value)],  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "text",
    [
        "type: COUNTER metric { gauge { value: 1 } }",
        "type: GAUGE metric {}",
        "type: SUMMARY metric { histogram {} }",
        "type: UNTYPED metric { counter {} }",
        "type: HISTOGRAM metric { summary {} }",
        "type: GAUGE_HISTOGRAM metric { gauge {} }",
    ],
)
def test_a_value_of_another_type_is_none(text: str) -> None:
    assert parse_one('name: "a" ' + text).metrics == [Metric(PLACED, None)]


def test_a_float_histogram_has_float_counts() -> None:
    family = parse_one(
        'name: "a" type: HISTOGRAM metric { histogram { sample_count: 9'
        " sample_count_float: 2.0 bucket { cumulative_count_float: 1.5 upper_bound: 1 }"
        " bucket { cumulative_count: 1 cumulative_count_float: 0 upper_bound: 2 } } }"
    )

    value = family.metrics[0].value
    assert value == Histogram(2.0, 0.0, [(1.0, 1.5), (2.0, 1)])
    assert isinstance(value, Histogram)
    assert isinstance(value.sample_count, float)


def test_grouping_labels_are_put_in_place() -> None:
    family = parse_one(
        'name: "a" type: GAUGE metric { label { name: "z" value: "1" }'
        ' label { name: "job" value: "pushed" } label { name: "b" value: "2" }'
        " gauge {} }"
    )

    assert family.metrics[0].labels == (
        ("b", "2"),
        ("instance", ""),
        ("job", "batch"),
        ("z", "1"),
    )


def test_a_repeated_label_stays_repeated() -> None:
    family = parse_one(
        'name: "a" type: GAUGE metric { label { name: "l" value: "1" }'
        ' label { name: "l" value: "2" } gauge {} }'
    )

    assert family.metrics[0].labels == (*PLACED, ("l", "1"), ("l", "2"))


def test_the_last_of_two_families_replaces_the_first() -> None:
    families = parse(
        message('name: "a" type: GAUGE metric { gauge { value: 1 } }'),
        message('name: "b" type: GAUGE metric { gauge { value: 2 } }'),
        message('name: "a" type: COUNTER metric { counter { value: 3 } }'),
    )

    assert {family.name: family.metrics[0].value for family in families} == {
        "a": 3.0,
        "b": 2.0,
    }


@pytest.mark.parametrize("timestamp", [1, 0, -1])
def test_a_timestamp_is_noticed(timestamp: int) -> None:
    family = parse_one(
        'name: "a" type: GAUGE metric { gauge {} }'
        f" metric {{ gauge {{}} timestamp_ms: {timestamp} }}"
    )

    assert family.timestamped


def test_names_are_not_checked() -> None:
    assert parse_one('name: "a b.ö"').name == "a b.ö"


def test_a_label_that_is_not_utf_8_is_left_for_the_check() -> None:
    family = parse_one(
        'name: "a" type: GAUGE metric { gauge {}'
        ' label { name: "l\\xff" value: "\\xfe" } }'
    )

    assert ("l\udcff", "\udcfe") in family.metrics[0].labels


def test_an_empty_body_has_no_families() -> None:
    assert parse() == []


GAUGE = message('name: "a" type: GAUGE metric { gauge { value: 1 } }')


def test_a_message_without_anything_is_nothing() -> None:
    assert parse_protobuf(body(b""), KEY, Limits()) == []


@pytest.mark.parametrize(
    ("pushed", "text"),
    [
        (b"\x80", "unexpected EOF"),
        (b"\x05ab", "unexpected EOF"),
        (body(GAUGE) + b"\x01", "unexpected EOF"),
        (b"\xff" * 9 + b"\x01", "unexpected EOF"),
        (b"\xff" * 9 + b"\x02", "proto: variable length integer overflow"),
        (b"\xff" * 20, "proto: variable length integer overflow"),
        (body(b"\x0a\x05a"), "proto: cannot parse invalid wire-format data"),
        (body(b"\x00"), "proto: cannot parse invalid wire-format data"),
        (body(b"\x0b" * 1000), "proto: cannot parse invalid wire-format data"),
        (body(GAUGE, b"\x18\x01"), "metric family 2 of the push has no name"),
        (
            body(b"\x0a\x02a\xff"),
            'the name of metric family 1 is not valid UTF-8: "a\\xff"',
        ),
        (
            body(b"\x0a\x01a\x12\x01\xff"),
            'the help text of metric family "a" is not valid UTF-8: "\\xff"',
        ),
        (body(GAUGE + b"\x18\x06"), 'metric family "a" has an unknown type'),
        (body(b"\x0a\x01a\x18\x63"), 'metric family "a" has an unknown type'),
        (body(b"\x0a\x01a\x1a\x01\x01"), 'metric family "a" has an unknown type'),
    ],
)
def test_what_cannot_be_read_is_refused(pushed: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_protobuf(pushed, KEY, LIMITS)

    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(series=3), "series"),
        (Limits(labels=1), "labels"),
        (Limits(label_value_bytes=2), "label_value_bytes"),
    ],
)
def test_limits_hold(limits: Limits, name: str) -> None:
    metric = 'metric { label { name: "a" value: "123" } label { name: "b" } gauge {} }'
    pushed = [message(f'name: "{n}" type: GAUGE {metric} {metric}') for n in "ab"]

    just_enough = Limits(series=4, labels=2, label_value_bytes=3)
    assert len(parse(*pushed, limits=just_enough)) == 2
    with pytest.raises(LimitExceeded) as caught:
        parse(*pushed, limits=limits)
    assert caught.value.limit == name


def test_too_many_series_are_counted_before_they_take_memory() -> None:
    with pytest.raises(LimitExceeded):
        parse(b"\x0a\x01a" + b"\x22\x00" * 2**20, limits=Limits(series=1000))


@pytest.mark.parametrize(
    "buckets",
    [
        "sample_count: 3 positive_span { length: 3 } positive_delta: [1, 0, 0]",
        "sample_count: 3 negative_span { length: 3 } negative_delta: [1, 0, 0]",
        "sample_count_float: 3 positive_span { length: 3 } positive_count: [1, 1, 1]",
        "sample_count_float: 3 negative_span { length: 3 } negative_count: [1, 1, 1]",
    ],
)
def test_buckets_of_native_histograms_are_limited_as_series_are(buckets: str) -> None:
    metric = f"metric {{ histogram {{ {buckets} }} }}"
    pushed = [message(f'name: "{name}" type: HISTOGRAM {metric}') for name in "ab"]
    assert len(parse(*pushed, limits=Limits(series=6))) == 2
    with pytest.raises(LimitExceeded, match="more buckets of native histograms than"):
        parse(*pushed, limits=Limits(series=5))


def test_families_without_series_are_limited_as_series_are() -> None:
    pushed = [message(f'name: "{name}"') for name in "abb"]
    assert len(parse(*pushed, limits=Limits(series=2))) == 2
    with pytest.raises(LimitExceeded) as caught:
        parse(*pushed, limits=Limits(series=1))
    assert caught.value.limit == "series"


BEYOND_THE_MODEL = {
    "no metrics": "type: GAUGE",
    "unit": 'type: GAUGE unit: "s" metric { gauge {} }',
    "another type's value": "type: GAUGE metric { gauge {} untyped { value: 1 } }",
    "counter exemplar": "type: COUNTER metric { counter { exemplar {} } }",
    "counter created": "metric { counter { created_timestamp {} } }",
    "summary created": "type: SUMMARY metric { summary { created_timestamp {} } }",
}
BEYOND_THE_MODELS_HISTOGRAM = {
    "schema": "schema: 0",
    "zero threshold": "zero_threshold: 0",
    "spans": "positive_span { length: 1 } positive_delta: 1 sample_count: 1",
    "negative spans": "negative_span { length: 1 } negative_delta: 1 sample_count: 1",
    "created": "created_timestamp { seconds: 1 }",
    "exemplars": "exemplars { value: 1 }",
    "bucket exemplar": "bucket { upper_bound: 1 exemplar { value: 1 } }",
    "float count": "sample_count_float: 3",
    "float bucket": "bucket { cumulative_count_float: 3 }",
}
BEYOND_TEXT = {
    "negative zero": "type: GAUGE metric { gauge { value: -0.0 } }",
    "untyped negative zero": "type: UNTYPED metric { untyped { value: -0.0 } }",
    "summary count": "type: SUMMARY metric {summary {sample_count: 0x20000000000001}}",
    "summary sum": "type: SUMMARY metric { summary { sample_sum: -0.0 } }",
    "quantile": "type: SUMMARY metric { summary { quantile { quantile: -0.0 } } }",
    "quantile value": "type: SUMMARY metric { summary { quantile { value: -0.0 } } }",
    "no +Inf": "type: HISTOGRAM metric { histogram { bucket { upper_bound: 1 } } }",
    "no buckets": "type: HISTOGRAM metric { histogram { sample_count: 1 } }",
}
BEYOND_TEXTS_HISTOGRAM = {
    "count": f"sample_count: {2**53 + 1}",
    "bucket count": f"bucket {{ cumulative_count: {2**53 + 1} }}",
    "sum": "sample_sum: -0.0",
    "bound": "bucket { upper_bound: -0.0 }",
}


def histograms_with(fields: dict[str, str]) -> dict[str, str]:
    bucket = "bucket { upper_bound: inf }"
    return {
        name: f"type: HISTOGRAM metric {{ histogram {{ {bucket} {field} }} }}"
        for name, field in fields.items()
    }


BEYOND_THE_MODEL |= histograms_with(BEYOND_THE_MODELS_HISTOGRAM)
BEYOND_TEXT |= histograms_with(BEYOND_TEXTS_HISTOGRAM)


@pytest.mark.parametrize("case", BEYOND_THE_MODEL)
def test_a_family_that_the_model_cannot_hold_keeps_its_message(case: str) -> None:
    written = 'name: "a" help: "h" ' + BEYOND_THE_MODEL[case]

    family = parse_one(written)

    expected = text_format.Parse(written, pb.MetricFamily())
    for metric in expected.metric:
        for name, value in PLACED:
            metric.label.add(name=name.encode(), value=value.encode())
    assert family.message is not None
    assert pb.MetricFamily.FromString(family.message) == expected
    assert metrics_of(family.message) == family.metrics


@pytest.mark.parametrize("case", BEYOND_TEXT)
def test_a_family_that_only_text_cannot_give_back_is_stored_as_a_message(
    case: str,
) -> None:
    family = parse_one('name: "a" help: "h" ' + BEYOND_TEXT[case])
    stored = to_stored(family, 1)

    assert family.message is None
    assert stored.message is not None
    # repr: it tells -0.0 from 0.0.
    assert repr(from_stored(stored).metrics) == repr(family.metrics)


@pytest.mark.parametrize(
    ("bits", "special"),
    [
        (0x7FF8000000000000, False),
        (0x7FF8000000000001, False),
        (0x7FF0000000000002, True),
        (0xFFF8000000000000, True),
    ],
)
def test_a_nan_that_means_more_keeps_its_message(bits: int, special: bool) -> None:
    value = struct.pack("<Q", bits)
    pushed = b"\x0a\x01a\x18\x01\x22\x0b\x12\x09\x09" + value

    [family] = parse(pushed)

    assert (family.message is not None) is special
    assert value in (family.message or value)


NO_METRICS = message('name: "a" type: GAUGE')
WITH_A_UNIT = message('name: "a" type: GAUGE unit: "s"')
UNKNOWN = {
    "of the family": (GAUGE, GAUGE + b"\xf8\x01\x07"),
    "of a metric": (
        NO_METRICS + b"\x22\x02\x12\x00",
        NO_METRICS + b"\x22\x06\x12\x00\xfa\x01\x01x",
    ),
    "of a value": (
        NO_METRICS + b"\x22\x02\x12\x00",
        NO_METRICS + b"\x22\x05\x12\x03\xf8\x01\x07",
    ),
    "known but for the wire type": (GAUGE, GAUGE + b"\x08\x05"),
    "known but for the wire type, of a metric": (
        NO_METRICS + b"\x22\x02\x12\x00",
        NO_METRICS + b"\x22\x04\x12\x00\x08\x05",
    ),
    "known but for the wire type, of a message that is kept": (
        WITH_A_UNIT + b"\x22\x02\x12\x00",
        WITH_A_UNIT + b"\x08\x05\x22\x04\x12\x00\x08\x05",
    ),
    "a group with fields of known numbers": (
        GAUGE,
        GAUGE + b"\x4b\x18\x63\x43\x18\x62\x44\x22\x00\x4c",
    ),
}


@pytest.mark.parametrize(("known", "unknown"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_fields_are_dropped(known: bytes, unknown: bytes) -> None:
    assert parse(unknown) == parse(known)


@pytest.mark.parametrize("written", [b"\x18\x01", b"\x18\x81\x80\x80\x80\x10"])
def test_a_known_type_is_known_beside_unknown_fields(written: bytes) -> None:
    [family] = parse(b"\x0a\x01a" + written + b"\xf8\x01\x07")

    assert family.type is MetricType.GAUGE


@pytest.mark.parametrize("type_", ["HISTOGRAM", "GAUGE_HISTOGRAM"])
def test_an_invalid_native_histogram_is_refused_by_name(type_: str) -> None:
    valid = "metric { histogram { positive_span {} } }"
    labels = 'label { name: "l" value: "v" }'

    with pytest.raises(InvalidRequest) as caught:
        parse_one(
            f'name: "a" type: {type_} {valid} metric {{ {labels}'
            " histogram { positive_span { length: 5 } positive_delta: 1 } }"
        )

    assert type(caught.value) is InvalidRequest
    assert str(caught.value) == (
        'metric "a" {instance="", job="batch", l="v"} has an invalid native histogram: '
        "its positive spans need 5 buckets, but it has 1"
    )


def test_histograms_of_families_of_another_type_are_not_looked_at() -> None:
    assert parse_one(
        'name: "a" type: GAUGE metric { gauge {} histogram { positive_delta: -1 } }'
    ).message


@pytest.mark.parametrize("pushed", NATIVE)
def test_a_recorded_native_histogram_is_given_back(pushed: bytes) -> None:
    key = GroupingKey.of({"job": "batch", "instance": "host1"})

    [family] = parse_protobuf(body(pushed), key, LIMITS)

    assert family.message is not None
    assert pb.MetricFamily.FromString(family.message) == pb.MetricFamily.FromString(
        pushed
    )
    assert isinstance(family.metrics[0].value, Histogram)


def test_metrics_of_a_message_are_reordered() -> None:
    stored = message(
        'name: "a" help: "h" type: GAUGE unit: "s" metric { gauge { value: 0 } }'
        " metric { gauge { value: 1 } } metric { gauge { value: 2 } }"
    )

    result = reorder_message(stored, [2, 0, 1])

    assert [metric.value for metric in metrics_of(result)] == [2.0, 0.0, 1.0]
    assert reorder_message(result, [1, 2, 0]) == stored


@pytest.mark.parametrize("case", VALUES)
def test_families_without_a_message_are_encoded_from_the_model(case: str) -> None:
    family = parse_one('name: "a" help: "h" ' + VALUES[case][0])
    assert family.message is None

    [again] = parse(encode_family(family))

    assert again == family


def test_a_family_with_a_message_is_encoded_as_it_is() -> None:
    family = parse_one('name: "a" type: GAUGE unit: "s"')

    assert encode_family(family) == family.message


def test_a_metric_without_a_value_is_encoded_without() -> None:
    family = MetricFamily("a", MetricType.GAUGE, metrics=[Metric(PLACED, None)])

    assert metrics_of(encode_family(family)) == family.metrics


def test_pieces_of_several_groups_make_one_family() -> None:
    first = parse_one('name: "a.b" type: GAUGE metric { gauge { value: 1 } }')
    second = parse_one(
        'name: "a.b" type: GAUGE unit: "s" metric { gauge { value: -0.0 } }'
    )
    header = encode_header("a.b", MetricType.GAUGE, "Help.", Escaping.UNDERSCORES)
    pieces = [encode_metrics(f, Escaping.UNDERSCORES) for f in (first, second)]

    page = pb.MetricFamily.FromString(header + b"".join(pieces))

    assert (page.name, page.help, page.type) == (b"a_b", b"Help.", pb.GAUGE)
    assert [metric.gauge.value for metric in page.metric] == [1.0, 0.0]
    assert math.copysign(1, page.metric[1].gauge.value) == -1


def test_a_header_without_help_has_no_such_field() -> None:
    header = encode_header("a", MetricType.SUMMARY, "", Escaping.UNDERSCORES)

    assert not pb.MetricFamily.FromString(header).HasField("help")


@pytest.mark.parametrize("unit", ["", 'unit: "s"'], ids=["model", "message"])
@pytest.mark.parametrize(
    ("escaping", "name"),
    [
        (Escaping.UNDERSCORES, b"l_m"),
        (Escaping.DOTS, b"l_dot_m"),
        (Escaping.VALUES, b"U__l_2e_m"),
        (Escaping.ALLOW_UTF8, b"l.m"),
    ],
)
def test_label_names_are_escaped(unit: str, escaping: Escaping, name: bytes) -> None:
    family = parse_one(
        'name: "a" type: GAUGE metric { label { name: "l.m" value: "v.w" }'
        f" gauge {{ value: 1 }} }} {unit}"
    )
    assert (family.message is not None) is bool(unit)

    encoded = pb.MetricFamily.FromString(encode_metrics(family, escaping))

    assert (name, b"v.w") in [(p.name, p.value) for p in encoded.metric[0].label]
    assert not encoded.HasField("name")


def test_counts_are_64_bits_wide() -> None:
    histogram = Histogram(2**64 - 2, 0.0, [(1.0, 2**63), (2.0, 0.5)])
    family = MetricFamily(
        "a", MetricType.HISTOGRAM, metrics=[Metric(PLACED, histogram)]
    )

    [metric] = metrics_of(encode_family(family))

    assert metric.value == histogram


def test_many_buckets_and_quantiles_are_encoded_in_no_time() -> None:
    pairs = [(float(bound), bound) for bound in range(200_000)]
    for type_, value in (
        (MetricType.HISTOGRAM, Histogram(1, 1.0, [*pairs])),
        (MetricType.SUMMARY, Summary(1, 1.0, [(b, float(n)) for b, n in pairs])),
    ):
        family = MetricFamily("a", type_, metrics=[Metric(PLACED, value)])

        assert metrics_of(encode_family(family)) == family.metrics


def test_protobuf_is_shown_as_text() -> None:
    pushed = body(GAUGE)

    assert to_text(pushed, compact=True) == (
        'name: "a" type: GAUGE metric { gauge { value: 1.0 } }\n'
    )
    assert to_text(pushed, compact=False) == (
        'name: "a"\ntype: GAUGE\nmetric {\n  gauge {\n    value: 1.0\n  }\n}\n\n'
    )
    assert to_text(pushed * 2, compact=True).count("\n") == 2


@pytest.mark.parametrize("pushed", [*NATIVE, GAUGE])
def test_a_cut_body_is_refused_at_every_byte(pushed: bytes) -> None:
    first, second = body(pushed), body(GAUGE)
    for cut in range(1, len(first + second)):
        if cut != len(first):
            with pytest.raises(InvalidRequest, match="unexpected EOF"):
                parse_protobuf((first + second)[:cut], KEY, LIMITS)


@pytest.mark.parametrize("pushed", [*NATIVE, GAUGE])
def test_a_cut_message_is_never_an_unknown_error(pushed: bytes) -> None:
    for cut in range(len(pushed)):
        for limits in (LIMITS, Limits(series=1, labels=1, label_value_bytes=4)):
            try:
                parse(pushed[:cut], limits=limits)
            except (InvalidRequest, LimitExceeded):
                continue


@given(
    st.sampled_from([b"", *NATIVE, GAUGE]),
    st.integers(0, 400),
    st.integers(0, 5),
    st.binary(max_size=60),
)
def test_rubbish_is_never_an_unknown_error(
    pushed: bytes, position: int, removed: int, rubbish: bytes
) -> None:
    changed = pushed[:position] + rubbish + pushed[position + removed :]
    for stream in (changed, body(changed)):
        for limits in (LIMITS, Limits(series=2)):
            try:
                families = parse_protobuf(stream, KEY, limits)
            except (InvalidRequest, LimitExceeded):
                continue
            for family in families:
                metrics_of(encode_family(family))


TEXTS = st.text(max_size=5)
NUMBERS = st.floats(allow_nan=False)
COUNTS = st.integers(0, 2**64 - 1)
SIMPLE = [MetricType.COUNTER, MetricType.GAUGE, MetricType.UNTYPED]
SUMMARIES = st.builds(Summary, COUNTS, NUMBERS, st.lists(st.tuples(NUMBERS, NUMBERS)))
HISTOGRAMS = st.builds(
    Histogram, COUNTS, NUMBERS, st.lists(st.tuples(NUMBERS, COUNTS))
) | st.builds(
    Histogram,
    st.floats(1, 1e9),
    NUMBERS,
    st.lists(st.tuples(NUMBERS, st.floats(1, 1e9))),
)
LABELS = (
    st.dictionaries(TEXTS, TEXTS, max_size=4)
    .filter(stay_distinct)
    .map(lambda labels: tuple(sorted({**labels, **dict(PLACED)}.items())))
)


def families_of(
    types: list[MetricType], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[MetricFamily]:
    return st.builds(
        MetricFamily,
        name=st.text(min_size=1, max_size=5),
        type=st.sampled_from(types),
        help=TEXTS,
        metrics=st.lists(st.builds(Metric, LABELS, values), min_size=1, max_size=4),
    )


@given(
    families_of(SIMPLE, NUMBERS)
    | families_of([MetricType.SUMMARY], SUMMARIES)
    | families_of([MetricType.HISTOGRAM, MetricType.GAUGE_HISTOGRAM], HISTOGRAMS)
)
def test_what_is_encoded_is_read_back(family: MetricFamily) -> None:
    encoded = encode_family(family)

    [again] = parse(encoded)

    assert (again.name, again.type, again.help) == (
        family.name,
        family.type,
        family.help,
    )
    assert again.metrics == family.metrics
    assert metrics_of(encoded) == family.metrics
    # The protobuf package would not encode it otherwise.
    assert pb.MetricFamily.FromString(encoded).ByteSize() == len(encoded)
