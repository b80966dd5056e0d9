"""What holds for all bodies: the two ways of reading agree, and reading undoes
rendering."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest
from builders import stay_distinct
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded, ParseError
from pushrelay.exposition import text_parser
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.exposition.text_parser import parse_text
from pushrelay.exposition.text_renderer import render_header, render_series
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

KEY = GroupingKey.of({"job": "etl"})
LIMITS = Limits(series=20, labels=4, label_value_bytes=400)

PIECES = [
    *["a", "b", "x", "x_sum", "x_count", "x_bucket", "le", "quantile", "__name__"],
    *["job", "1", "0.5", "-1", "-0", "1e400", "nan", "+Inf", "#", "HELP", "TYPE"],
    *["gauge", "summary", "histogram", "gaugehistogram", "foo", "é", "\udcff"],
    *[
        '"',
        "\\",
        "\n",
        "{",
        "}",
        ",",
        "=",
        " ",
        "\t",
        "\r",
        "\x00",
        ':"',
        '="1"',
        "\\n",
    ],
    *['{a="b"} ', "\nx 1", "\n# TYPE x ", "\n# HELP x ", '{le="1"} ', '{"x"} ', "\n"],
]
bodies = st.lists(st.sampled_from(PIECES), max_size=30).map(
    lambda pieces: "".join(pieces).encode(errors="surrogateescape")
)
lines = st.lists(
    st.sampled_from(
        [
            b"# TYPE x summary",
            b"# TYPE x histogram",
            b"# TYPE y gauge",
            b"# HELP x  h\\n",
            b"# HELP y h",
            b"y 1",
            b'y{a="b"} NaN',
            b"y 1 5",
            b'x{quantile="0.5",a="b"} 3',
            b'x{a="b",quantile="0.5"} 3',
            b'x_bucket{le="1"} 0.5',
            b'x_bucket{le="1",} 2',
            b'x_bucket{le="+Inf"} 2',
            b'x_bucket{le="z"} 2',
            b'x_bucket{le="1",le="1"} 2',
            b"x_count 3",
            b"x_count -3",
            b'x_sum{a="b"} -0',
            b'y{a="1",a="2"} 1',
            b'y{__name__="1"} 1',
            b'y{a="\xff"} 1',
            b'y{a="1",b="2",c="3",d="4",e="5"} 1',
            b'y{a="' + b"v" * 401 + b'"} 1',
            b'y{a="' + "é".encode() * 200 + b'"} 1',
            b"",
            b"y",
            b"y 1_0",
        ]
    ),
    max_size=12,
).map(lambda lines: b"".join(line + b"\n" for line in lines))

USUAL_LINES = [
    "# HELP y Words, and more of them",
    "# TYPE y gauge",
    "# TYPE x summary",
    "# TYPE x histogram",
    "# a remark",
    "y 1.5",
    "y{} 2",
    'y{a="b"} +1e+06',
    'y{a="b",c="d"} -0.5',
    'y{c="d",a="b",} NaN',
    'y{le="1",file="le"} -Inf',
    'y_total{a="é b",c="{}"} 3 1600000000000',
    'x{quantile="0.5"} 3',
    'x{quantile="0.9",role="x"} 4',
    'x_bucket{le="1"} 5',
    'x_bucket{role="x",le="+Inf"} 6',
    'x_bucket{le="1",role="x"} 7',
    'x_bucket{a="1",le="2",role="x"} 8',
    'x_sum{role="x"} 9',
    "x_count 10",
]
# The last one is no UTF-8.
CHARACTERS = [*' \t\r\n"\\{}=,#_-+.019eEinfa:é\x1f\x85\xa0\u0661\udcff', "0x", "1e400"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body of usual lines, a few characters of it put in, left out or replaced."""
    chosen = draw(st.lists(st.sampled_from(USUAL_LINES), min_size=1, max_size=6))
    text = "".join(line + "\n" for line in chosen)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        left_out = draw(st.integers(0, 1))
        put_in = draw(st.sampled_from(["", *CHARACTERS]))
        text = text[:at] + put_in + text[at + left_out :]
    return text.encode(errors="surrogateescape")


Outcome = list[tuple[object, ...]] | str


def outcome(body: bytes, *, utf8_names: bool) -> Outcome:
    try:
        families = parse_text(body, KEY, LIMITS, utf8_names=utf8_names)
    except (ParseError, LimitExceeded) as error:
        return str(error)
    return [
        (
            family.name,
            family.type,
            family.help,
            family.timestamped,
            repr(family.metrics),
        )
        for family in families
    ]


@given(st.one_of(bodies, lines, mutated(), st.binary(max_size=60)), st.booleans())
@settings(max_examples=300)
@example(b'# TYPE x summary\nx{quantile="0.5",quantile="1"} 1\n', False)
@example(b'# TYPE x histogram\nx_bucket{le="1",} 1\n', False)
@example(b'# TYPE x histogram\nx_bucket{le="1", 1\n', False)
@example(b'# TYPE x histogram\nx_bucket{le="1"a="2"} 1\n', False)
@example(b'# TYPE x histogram\nx_bucket{le="1"}} 1\n', False)
@example(b'# TYPE x histogram\nx_bucket{a="\\",le="1"} 1\n', False)
@example(b"y 1\ny{ 1\n", False)
@example(b'y{a="b"} 1\ny{a="b"}c" 1\n', False)
@example(b'y{a="b"} 1\ny{a="b} 1\n', False)
def test_the_short_ways_agree_with_the_careful_scanner(
    body: bytes, utf8_names: bool
) -> None:
    usual = outcome(body, utf8_names=utf8_names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            text_parser.TextReader, "_read_usual", lambda _, lines: next(lines, None)
        )
        careful = outcome(body, utf8_names=utf8_names)
    assert usual == careful


@given(st.one_of(lines, mutated()), st.integers(1, 40))
def test_a_body_is_read_alike_in_pieces_of_any_size(body: bytes, size: int) -> None:
    whole = outcome(body, utf8_names=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_parser, "_BLOCK_BYTES", size)
        assert outcome(body, utf8_names=True) == whole


@given(st.binary(), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, utf8_names: bool) -> None:
    outcome(body, utf8_names=utf8_names)


legacy_names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True)
texts = st.text(
    st.one_of(
        st.sampled_from('\\"\n\r\t\x00 {},=#é\U0001f600'),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=8,
)
names = st.one_of(legacy_names, texts.filter(bool))
label_names = st.one_of(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True), texts.filter(bool)
).filter(lambda name: name not in ("__name__", "le", "quantile", "job", "instance"))
numbers = st.one_of(
    st.floats(), st.sampled_from([nan, inf, -inf, -0.0, 1e6, 1e-5, 5e-324, 1e300])
)
bounds = st.floats(allow_nan=False)
# Larger ones are rounded up to 2**64, which is no count any more.
integers = st.integers(0, 2**64 - 1025)
histograms = st.one_of(
    st.builds(
        Histogram, integers, numbers, st.lists(st.tuples(bounds, integers), max_size=3)
    ),
    st.builds(
        Histogram,
        st.floats(0.1, 0.9),
        numbers,
        st.lists(st.tuples(bounds, st.floats(0, 1e300)), max_size=3),
    ),
)
summaries = st.builds(
    Summary, integers, numbers, st.lists(st.tuples(bounds, numbers), max_size=3)
)


@st.composite
def families(draw: st.DrawFn) -> MetricFamily:
    type_ = draw(st.sampled_from(MetricType))
    values = {
        MetricType.SUMMARY: summaries,
        MetricType.HISTOGRAM: histograms,
        MetricType.GAUGE_HISTOGRAM: histograms,
    }.get(type_, numbers)
    label_sets = draw(
        st.lists(
            st.dictionaries(label_names, texts, max_size=3).filter(stay_distinct),
            min_size=1,
            max_size=4,
            unique_by=lambda labels: tuple(sorted(labels.items())),
        )
    )
    metrics = [
        Metric(
            tuple(sorted({**labels, "instance": "", "job": "etl"}.items())),
            draw(values),
        )
        for labels in label_sets
    ]
    return MetricFamily(draw(names), type_, draw(texts), metrics)


def page_of(family: MetricFamily) -> bytes:
    header = render_header(family.name, family.type, family.help, Escaping.ALLOW_UTF8)
    return header + b"".join(render_series(family, Escaping.ALLOW_UTF8))


@given(families())
def test_what_was_rendered_renders_the_same_once_read(family: MetricFamily) -> None:
    page = page_of(family)
    (back,) = parse_text(page, KEY, Limits(), utf8_names=True)
    # A HELP text begins with its first character that is no blank.
    assert back.help == family.help.lstrip(" \t")
    assert back.name == family.name
    back.help = family.help
    assert page_of(back) == page


def comparable(metrics: list[Metric]) -> list[str]:
    """What is shown of `metrics`: NaN equals itself, -0 is not 0, but a count of 0 may
    be a float or not."""
    for metric in metrics:
        if isinstance(metric.value, Histogram):
            buckets = [(bound, count or 0) for bound, count in metric.value.buckets]
            metric.value.buckets = buckets
    return list(map(repr, metrics))


@given(families())
def test_a_stored_family_comes_back_as_it_was(family: MetricFamily) -> None:
    back = from_stored(to_stored(family, 5))
    assert (back.name, back.type, back.help) == (family.name, family.type, family.help)
    assert comparable(back.metrics) == comparable(family.metrics)


@given(
    st.lists(
        st.tuples(st.text(st.sampled_from('ab\\"\né,={} '), max_size=6), st.floats()),
        min_size=1,
        max_size=4,
    )
)
def test_the_python_client_reads_the_same_samples(
    samples: list[tuple[str, float]],
) -> None:
    metrics = [Metric((("l", text),), value) for text, value in samples]
    page = page_of(MetricFamily("m", MetricType.GAUGE, "h", metrics))
    (family,) = text_string_to_metric_families(page.decode())
    read = [(sample.labels["l"], sample.value) for sample in family.samples]
    assert len(read) == len(samples)
    for (text, value), (read_text, read_value) in zip(samples, read, strict=True):
        assert read_text == text
        assert read_value == value or (isnan(value) and isnan(read_value))
