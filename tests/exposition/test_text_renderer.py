from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pushrelay.exposition import text_renderer
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.text_renderer import (
    exposition_order,
    render_header,
    render_series,
)
from pushrelay.model import Histogram, Labels, Metric, MetricFamily, MetricType, Summary

JOB = (("job", "etl"),)


def rendered(
    type_: MetricType,
    value: float | Summary | Histogram | None,
    *,
    name: str = "m",
    labels: Labels = JOB,
    escaping: Escaping = Escaping.ALLOW_UTF8,
) -> str:
    family = MetricFamily(name, type_, metrics=[Metric(labels, value)])
    (piece,) = render_series(family, escaping)
    return piece.decode()


@pytest.mark.parametrize(
    ("type_", "word"),
    [
        (MetricType.COUNTER, "counter"),
        (MetricType.GAUGE, "gauge"),
        (MetricType.SUMMARY, "summary"),
        (MetricType.UNTYPED, "untyped"),
        (MetricType.HISTOGRAM, "histogram"),
        (MetricType.GAUGE_HISTOGRAM, "histogram"),
    ],
)
def test_the_type_is_always_shown(type_: MetricType, word: str) -> None:
    header = render_header("m", type_, "", Escaping.UNDERSCORES)
    assert header == f"# TYPE m {word}\n".encode()


def test_help_is_shown_where_there_is_one_with_its_escapes() -> None:
    text = 'a "b" \\ c\nd \u00e9'
    header = render_header("m", MetricType.GAUGE, text, Escaping.UNDERSCORES)
    assert header.decode() == '# HELP m a "b" \\\\ c\\nd \u00e9\n# TYPE m gauge\n'


@pytest.mark.parametrize(
    ("value", "text"), [(2.5, "2.5"), (1e6, "1e+06"), (-0.0, "0"), (nan, "NaN")]
)
def test_a_number_is_one_line(value: float, text: str) -> None:
    assert rendered(MetricType.GAUGE, value) == f'm{{job="etl"}} {text}\n'


def test_a_metric_without_labels_has_no_braces() -> None:
    assert rendered(MetricType.COUNTER, 1.0, labels=()) == "m 1\n"


def test_a_metric_without_a_value_has_no_lines() -> None:
    assert rendered(MetricType.GAUGE, None) == ""


def test_label_values_are_escaped() -> None:
    labels = (("a", 'x"y\\z\n\r\x00\u00e9'), ("b", ""))
    line = rendered(MetricType.GAUGE, 1.0, labels=labels)
    assert line == 'm{a="x\\"y\\\\z\\n\r\x00\u00e9",b=""} 1\n'


def test_a_summary_shows_its_quantiles_as_pushed_then_sum_and_count() -> None:
    summary = Summary(3, 4.5, [(0.99, 2.0), (0.5, nan), (0.5, 1.0)])
    assert rendered(MetricType.SUMMARY, summary, labels=(("z", "1"),)) == (
        'm{z="1",quantile="0.99"} 2\n'
        'm{z="1",quantile="0.5"} NaN\n'
        'm{z="1",quantile="0.5"} 1\n'
        'm_sum{z="1"} 4.5\n'
        'm_count{z="1"} 3\n'
    )


def test_an_empty_summary_shows_zeros() -> None:
    text = rendered(MetricType.SUMMARY, Summary(), labels=())
    assert text == "m_sum 0\nm_count 0\n"


@pytest.mark.parametrize("type_", [MetricType.HISTOGRAM, MetricType.GAUGE_HISTOGRAM])
def test_a_histogram_gets_the_infinite_bucket_that_it_lacks(type_: MetricType) -> None:
    histogram = Histogram(5, 7.5, [(1e6, 2), (1.0, 1)])
    assert rendered(type_, histogram) == (
        'm_bucket{job="etl",le="1e+06"} 2\n'
        'm_bucket{job="etl",le="1"} 1\n'
        'm_bucket{job="etl",le="+Inf"} 5\n'
        'm_sum{job="etl"} 7.5\n'
        'm_count{job="etl"} 5\n'
    )


def test_a_histogram_keeps_the_infinite_bucket_that_it_has() -> None:
    histogram = Histogram(5, 0.0, [(inf, 4)])
    assert rendered(MetricType.HISTOGRAM, histogram, labels=()) == (
        'm_bucket{le="+Inf"} 4\nm_sum 0\nm_count 5\n'
    )


def test_large_counts_are_shown_as_floats() -> None:
    summary = Summary(2**64 - 2, 0.0)
    text = rendered(MetricType.SUMMARY, summary, labels=())
    assert text.endswith("m_count 1.8446744073709552e+19\n")


@pytest.mark.parametrize(
    ("escaping", "header", "line"),
    [
        (
            Escaping.ALLOW_UTF8,
            '# HELP "my.name" h\n# TYPE "my.name" gauge\n',
            '{"my.name","l.b"="v",ok="1"} 1\n',
        ),
        (
            Escaping.UNDERSCORES,
            "# HELP my_name h\n# TYPE my_name gauge\n",
            'my_name{l_b="v",ok="1"} 1\n',
        ),
        (
            Escaping.DOTS,
            "# HELP my_dot_name h\n# TYPE my_dot_name gauge\n",
            'my_dot_name{l_dot_b="v",ok="1"} 1\n',
        ),
        (
            Escaping.VALUES,
            "# HELP U__my_2e_name h\n# TYPE U__my_2e_name gauge\n",
            'U__my_2e_name{U__l_2e_b="v",ok="1"} 1\n',
        ),
    ],
)
def test_names_are_escaped_as_the_scraper_asks(
    escaping: Escaping, header: str, line: str
) -> None:
    labels = (("l.b", "v"), ("ok", "1"))
    shown = render_header("my.name", MetricType.GAUGE, "h", escaping)
    assert shown.decode() == header
    text = rendered(
        MetricType.GAUGE, 1.0, name="my.name", labels=labels, escaping=escaping
    )
    assert text == line


def test_a_quoted_name_has_its_suffix_inside_of_the_quotes() -> None:
    histogram = Histogram(1, 2.0, [(inf, 1)])
    assert rendered(MetricType.HISTOGRAM, histogram, name='a"\\\n', labels=()) == (
        '{"a\\"\\\\\\n_bucket",le="+Inf"} 1\n'
        '{"a\\"\\\\\\n_sum"} 2\n'
        '{"a\\"\\\\\\n_count"} 1\n'
    )


def test_only_names_that_need_them_get_quotes() -> None:
    line = rendered(MetricType.GAUGE, 1.0, labels=(("l.b", "v"), ("ok", "1")))
    assert line == 'm{"l.b"="v",ok="1"} 1\n'


def test_metrics_are_exposed_by_number_of_labels_and_then_by_values() -> None:
    metrics = [
        Metric((("a", "2"), ("b", "1")), 0.0),
        Metric((("a", "1"), ("b", "2")), 1.0),
        Metric((("z", "9"),), 2.0),
        Metric((("a", "1"), ("b", "10")), 3.0),
        Metric((("a", "\u00e9"), ("b", "")), 4.0),
        Metric((("x", "1"), ("y", "10")), 5.0),
    ]
    assert exposition_order(metrics) == [2, 3, 5, 1, 0, 4]
    assert [metrics[i].value for i in exposition_order(metrics)] == [2, 3, 5, 1, 0, 4]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "10", "é"])),
        max_size=40,
    ),
    st.sampled_from([8, 16, 4096]),
)
def test_many_metrics_are_exposed_in_the_same_order(
    label_sets: list[dict[str, str]], at_once: int
) -> None:
    metrics = [Metric(tuple(sorted(labels.items())), 0.0) for labels in label_sets]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_renderer, "_SORTED_AT_ONCE", at_once)
        order = exposition_order(metrics)
    keys = [(len(m.labels), [value for _, value in m.labels]) for m in metrics]
    assert order == sorted(range(len(keys)), key=keys.__getitem__)


@given(st.lists(st.tuples(st.text('ab"\\\n', max_size=300), st.floats()), max_size=9))
def test_label_values_come_out_alike_each_time(
    samples: list[tuple[str, float]],
) -> None:
    metrics = [Metric((("a.b", text), ("c", "é")), value) for text, value in samples]
    family = MetricFamily("m", MetricType.GAUGE, metrics=metrics)
    first = render_series(family, Escaping.DOTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_renderer, "_REMEMBERED", 1)
        assert render_series(family, Escaping.DOTS) == first
    for (text, _), piece in zip(samples, first, strict=True):
        escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        assert piece.decode().startswith(f'm{{a_dot_b="{escaped}",c="é"}} ')


def test_rendered_families_are_read_by_the_python_client() -> None:
    histogram = Histogram(3, 4.5, [(0.1, 1), (inf, 3)])
    summary = Summary(2, 3.5, [(0.5, 1.5)])
    values = {
        "c_total": (MetricType.COUNTER, 1e6),
        "g": (MetricType.GAUGE, -inf),
        "h": (MetricType.HISTOGRAM, histogram),
        "s": (MetricType.SUMMARY, summary),
    }
    labels = (("a", 'q"\\\n\u00e9'), ("instance", ""))
    page = b""
    for name, (type_, value) in values.items():
        family = MetricFamily(name, type_, "help \\ \n", [Metric(labels, value)])
        page += render_header(name, type_, family.help, Escaping.UNDERSCORES)
        page += b"".join(render_series(family, Escaping.UNDERSCORES))
    samples = {
        (sample.name, sample.labels.pop("le", sample.labels.pop("quantile", ""))): (
            sample.labels,
            sample.value,
        )
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }
    numbers = {
        ("c_total", ""): 1e6,
        ("g", ""): -inf,
        ("h_bucket", "0.1"): 1.0,
        ("h_bucket", "+Inf"): 3.0,
        ("h_sum", ""): 4.5,
        ("h_count", ""): 3.0,
        ("s", "0.5"): 1.5,
        ("s_sum", ""): 3.5,
        ("s_count", ""): 2.0,
    }
    expected = {key: (dict(labels), number) for key, number in numbers.items()}
    assert samples == expected
