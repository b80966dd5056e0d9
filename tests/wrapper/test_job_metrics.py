from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from pushrelay.config import Limits
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Metric, MetricFamily, MetricType
from pushrelay.wrapper.job_metrics import JobMetrics


@pytest.fixture
def metrics() -> JobMetrics:
    """Metrics of a run that is of the host db1."""
    return JobMetrics(GroupingKey.of({"job": "nightly", "instance": "db1"}))


def test_metrics_are_rendered_in_the_order_in_which_they_came(
    metrics: JobMetrics,
) -> None:
    metrics.set("rows", 3, "Rows.", {"table": "b", "schema": "a"})
    metrics.append("other 1")
    metrics.add("reads_total", 2, "", {})
    metrics.set("rows", 4, "ignored", {"table": "a"})
    assert metrics.rendered() == (
        "# HELP rows Rows.\n# TYPE rows gauge\n"
        'rows{schema="a",table="b"} 3\nrows{table="a"} 4\n'
        "# TYPE reads_total counter\nreads_total 2\n"
        "other 1\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5, "5"),
        (0.1, "0.1"),
        (2_000_000, "2e+06"),
        (10**30, "1e+30"),
        (True, "1"),
        (Decimal("1.25"), "1.25"),
        (Fraction(1, 4), "0.25"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_values_are_numbers_of_any_type(
    metrics: JobMetrics, value: Any, shown: str
) -> None:
    metrics.set("rows", value, "", {})
    assert metrics.rendered() == f"# TYPE rows gauge\nrows {shown}\n"


def test_help_and_labels_may_have_any_text(metrics: JobMetrics) -> None:
    text = 'a "b"\n\\c\\n é\0'
    metrics.set("rows", 1, text, {"x": text})
    [family] = parse_text(metrics.rendered().encode(), None, Limits())
    labels = (("instance", ""), ("x", text))
    assert family == MetricFamily("rows", MetricType.GAUGE, text, [Metric(labels, 1.0)])


def test_of_a_gauge_the_last_value_counts_and_counters_add_up(
    metrics: JobMetrics,
) -> None:
    for value in (3, 2):
        metrics.set("rows", value, "", {})
        metrics.add("reads_total", value, "", {"a": "b"})
    assert "rows 2\n" in metrics.rendered()
    assert 'reads_total{a="b"} 5\n' in metrics.rendered()


def test_threads_count_together(metrics: JobMetrics) -> None:
    def count(_: int) -> None:
        for _ in range(500):
            metrics.add("reads_total", 1, "", {})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert metrics.rendered().endswith("reads_total 2000\n")


@pytest.mark.parametrize(
    ("name", "value", "labels", "told"),
    [
        ("a b", 1, {}, '"a b" is no name for a metric; write letters'),
        ("", 1, {}, '"" is no name'),
        (5, 1, {}, "5 is no name"),
        ("rows\n", 1, {}, '"rows\\\\n" is no name'),
        ("pushrelay_x", 1, {}, "pushrelay_x is a metric of the relay's own"),
        ("push_time_seconds", 1, {}, "push_time_seconds is a metric of the relay's"),
        ("rows", "5", {}, '"rows": the value must be a number, not "5"'),
        ("rows", None, {}, '"rows": the value must be a number, not null'),
        ("rows", 10**400, {}, '"rows": the value must be a number, not 1000'),
        ("rows", 1, {"a b": "c"}, 'rows: "a b" is no label name'),
        ("rows", 1, {"é": "c"}, 'rows: "é" is no label name'),
        ("rows", 1, {"__a": "c"}, 'rows: "__a" is no label name'),
        ("rows", 1, {"job": "c"}, "rows: the label job is that of the run"),
        ("rows", 1, {"instance": "c"}, "rows: the label instance is that of the run"),
        ("rows", 1, {"a": 5}, "rows: the label a must be text, not 5"),
        ("rows", 1, {"a": "\ud800"}, "rows: the label a must be text"),
    ],
)
def test_what_no_relay_takes_is_refused(
    metrics: JobMetrics, name: Any, value: Any, labels: dict[str, Any], told: str
) -> None:
    for give in (metrics.set, metrics.add):
        with pytest.raises(ValueError, match=f"^{told}"):
            give(name, value, "", labels)
    assert metrics.rendered() == ""


@pytest.mark.parametrize("value", [-1, float("nan"), float("-inf")])
def test_counters_do_not_fall(metrics: JobMetrics, value: float) -> None:
    with pytest.raises(ValueError, match="reads_total: a counter cannot grow by"):
        metrics.add("reads_total", value, "", {})
    assert metrics.rendered() == ""


def test_help_is_text(metrics: JobMetrics) -> None:
    not_text: Any = 5
    with pytest.raises(ValueError, match="rows: help must be text, not 5"):
        metrics.set("rows", 1, not_text, {})
    assert metrics.rendered() == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rows five", "text format parsing error in line 1: expected float"),
        ("rows 1 1700000000", ".*must not have timestamps"),
        ("rows 1\nrows 2", ".*was collected before"),
        # Both would have the instance of the run.
        ('a{instance="x"} 1\na{instance="y"} 2', ".*was collected before"),
        ("pushrelay_rows 1", ".*are the relay's own"),
        ("rows \ud800", "metrics must be text"),
        (b"rows 1", "metrics must be text"),
    ],
)
def test_text_that_no_relay_takes_is_refused(
    metrics: JobMetrics, text: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        metrics.append(text)
    assert metrics.rendered() == ""


def test_a_metric_is_given_in_one_way(metrics: JobMetrics) -> None:
    metrics.set("rows", 1, "", {})
    metrics.append("# TYPE reads_total counter\nreads_total 2\n")
    with pytest.raises(ValueError, match="rows has been given as gauge before, and ca"):
        metrics.add("rows", 1, "", {})
    with pytest.raises(ValueError, match="reads_total has been given as text before"):
        metrics.add("reads_total", 1, "", {})
    for text in ("rows 1", "new 1\nreads_total 2"):
        with pytest.raises(ValueError, match=r"has been given before; give all its se"):
            metrics.append(text)
    metrics.append("new 1")
    assert metrics.rendered() == (
        "# TYPE rows gauge\nrows 1\n# TYPE reads_total counter\nreads_total 2\nnew 1\n"
    )
