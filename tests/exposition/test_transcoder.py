"""What is transcoded is what the encoder makes of the same family, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import inf, nan
from pathlib import Path

import pytest
from builders import families_of, key_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, ParseError
from pushrelay.exposition import transcoder
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.protobuf_encoder import encode_metrics
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.exposition.text_parser import parse_text
from pushrelay.exposition.transcoder import transcode
from pushrelay.groups import StoredFamily
from pushrelay.model import (
    BOUND_LABELS,
    Histogram,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
)

RECORDED = Path(__file__).parents[1] / "compat" / "recorded"


def transcoded(*families: StoredFamily) -> bytes:
    series = b"".join([family.series for family in families])
    return transcode(series, families[0].name, families[0].type)


def encoded(*families: StoredFamily) -> bytes:
    read = [from_stored(family, pushed_order=False) for family in families]
    return b"".join([encode_metrics(each, Escaping.UNDERSCORES) for each in read])


def is_plain(family: StoredFamily) -> bool:
    return family.message is None and not family.shape.utf8_names


names = st.sampled_from(["x", "x_sum", "x_count", "x_bucket", "a:b", "le", "n" * 200])
label_names = st.sampled_from(
    ["a", "job", "le", "quantile", "table", "xle", "Z", "l" * 130]
)
texts = st.one_of(
    st.text(st.sampled_from('\\"\n\r\t\x00 {},=xlen1é\U0001f600')),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.sampled_from(["", "v" * 127, "v" * 128, '"' * 300, 'le="1"} 2', "\\n"]),
)
# The text format has no minus zero.
numbers = st.one_of(
    st.floats().map(lambda number: number + 0.0),
    st.sampled_from([nan, inf, -inf, 0.0, 1e6, 999999.0, 1e-5, 5e-324, 1e300]),
)
bounds = st.one_of(
    st.sampled_from([0.5, 1.0, 10.0, 1e6, inf, -inf]),
    st.floats(allow_nan=False).map(lambda bound: bound + 0.0),
)
integers = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1025)).map(
    lambda count: int(float(count))
)
float_counts = st.one_of(st.floats(0.1, 0.9), st.sampled_from([nan, inf, 2.0**64]))


def histograms(
    counts: st.SearchStrategy[float], others: st.SearchStrategy[float]
) -> st.SearchStrategy[Histogram]:
    """Histograms with a `+Inf` bucket and a sample count from `counts`."""
    buckets = st.tuples(
        st.lists(st.tuples(bounds, others), max_size=3),
        st.tuples(st.just(inf), others),
        st.lists(st.tuples(bounds, others), max_size=2),
    ).map(lambda parts: [*parts[0], parts[1], *parts[2]])
    return st.builds(Histogram, counts, numbers, buckets)


classic = st.one_of(
    histograms(integers, integers),
    histograms(float_counts, st.one_of(float_counts, st.sampled_from([0.0, 3.0]))),
)
values = {
    MetricType.SUMMARY: st.builds(
        Summary, integers, numbers, st.lists(st.tuples(bounds, numbers), max_size=3)
    ),
    MetricType.HISTOGRAM: classic,
    MetricType.GAUGE_HISTOGRAM: classic,
}


@st.composite
def families(draw: st.DrawFn) -> list[StoredFamily]:
    """What some groups have of one family."""
    name, type_ = draw(names), draw(st.sampled_from(MetricType))
    free_names = label_names.filter(lambda label: label != BOUND_LABELS.get(type_))
    label_sets = draw(
        st.lists(
            st.dictionaries(free_names, texts, max_size=3),
            min_size=1,
            max_size=6,
            unique_by=lambda labels: tuple(sorted(labels.items())),
        )
    )
    metrics = [
        Metric(tuple(sorted(labels.items())), draw(values.get(type_, numbers)))
        for labels in label_sets
    ]
    cut = draw(st.integers(0, len(metrics) - 1))
    return [
        to_stored(MetricFamily(name, type_, "h", part), 5)
        for part in (metrics[:cut], metrics[cut:])
        if part
    ]


@given(families(), st.sampled_from([0, 40, transcoder._PIECE]), st.integers(1, 3))
def test_any_family_is_transcoded_as_it_is_encoded(
    held: list[StoredFamily], piece: int, batch: int
) -> None:
    assert all(map(is_plain, held))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcoder, "_PIECE", piece)
        patch.setattr(transcoder, "_BATCH", batch)
        assert transcoded(*held) == encoded(*held)


HISTOGRAM = "# TYPE x histogram\n"


@pytest.mark.parametrize(
    "body",
    [
        "x 1",
        'x{a="\\\\n"} 1\nx{a="\\n"} 2\nx{a="\\"",b="\\\\"} 3',
        'x{a=",b="} 1\nx{a="} 2"} 1',
        "# TYPE x summary\nx_count 3",
        '# TYPE x summary\nx{quantile="0.5",a="1"} 3\nx{quantile="0.5",a="2"} 4',
        '# TYPE x summary\nx{quantile="0.5"} 3\nx{quantile="0.5"} NaN\nx_sum NaN',
        "# TYPE x summary\nx_count 9223372036854775808",
        HISTOGRAM + 'x_bucket{le="+Inf"} 18446744073709549568\nx_count 1e18',
        HISTOGRAM + 'x_bucket{le="+Inf"} 0.5\nx_count 1',
        HISTOGRAM + 'x_bucket{le="+Inf"} 18446744073709551616\nx_count 1',
        HISTOGRAM + 'x_bucket{le="+Inf",a="1"} 0.5\nx_bucket{le="+Inf",a="2"} 2',
        HISTOGRAM + 'x_bucket{xle="\\"",le="+Inf"} 1\nx_bucket{xle="2",le="+Inf"} 2',
    ],
)
def test_a_pushed_family_is_transcoded_as_it_is_encoded(body: str) -> None:
    [family] = families_of(body, key_of(instance="i"))
    stored = to_stored(family, 5)
    assert is_plain(stored)
    assert transcoded(stored) == encoded(stored)


def recorded() -> Iterator[MetricFamily]:
    """Yield the families that real clients pushed."""
    for path in sorted(RECORDED.glob("*/*.http")):
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        with suppress(ParseError, InvalidRequest):
            if b"application/vnd.google.protobuf" in head:
                yield from parse_protobuf(body, key_of(), Limits())
            else:
                yield from parse_text(body, key_of(), Limits(), utf8_names=True)


def test_what_clients_push_is_transcoded_as_it_is_encoded() -> None:
    types = set()
    for family in recorded():
        stored = to_stored(family, 5)
        if is_plain(stored):
            types.add(stored.type)
            assert transcoded(stored) == encoded(stored)
    assert types >= set(MetricType) - {MetricType.GAUGE_HISTOGRAM}


def test_nothing_is_transcoded_to_nothing() -> None:
    assert transcode(b"", "x", MetricType.GAUGE) == b""
