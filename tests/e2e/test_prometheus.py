"""A real Prometheus scrapes a relay, once in the text format and once in protobuf."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from metric_messages import HEADERS, HISTOGRAM, delimited, family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_process import Prometheus, require_prometheus
from relay_process import RelayProcess, StartRelay

from pushrelay.aggregation import Mode, combine
from pushrelay.config import Limits
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.stored import to_payload
from pushrelay.grouping_key import GroupingKey

pytestmark = pytest.mark.system

PROMTOOL = shutil.which("promtool")

BATCH = r"""# HELP job_duration_seconds Duration of the job.
# TYPE job_duration_seconds gauge
job_duration_seconds{step="load"} 12.5
job_duration_seconds{step="Zürich \"x\\y\"\n"} -1e-09
job_duration_seconds{step="nan"} NaN
# HELP rows_read_total Rows read.
# TYPE rows_read_total counter
rows_read_total{table="orders"} 123456789
# HELP op_latency_seconds Latency.
# TYPE op_latency_seconds histogram
op_latency_seconds_bucket{le="0.1"} 1
op_latency_seconds_bucket{le="1"} 3
op_latency_seconds_bucket{le="+Inf"} 4
op_latency_seconds_sum 5.5
op_latency_seconds_count 4
# HELP payload_bytes Payload.
# TYPE payload_bytes summary
payload_bytes{quantile="0.5"} 50
payload_bytes_sum 5050
payload_bytes_count 100
"""
NATIVE = family(
    "native_seconds",
    HISTOGRAM,
    {
        "histogram": {
            "sample_count": 24,
            "sample_sum": 100,
            "schema": 0,
            "zero_threshold": 0.001,
            "zero_count": 4,
            "positive_span": [{"offset": 1, "length": 2}],
            "positive_delta": [10, 0],
        }
    },
    help="Native.",
)

# Native histograms that are added up: by Prometheus, and by the relay.
ADDENDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"schema": 0, "sample_count": 9, "zero_count": 1, "zero_threshold": 2**-128}
        | {"positive_span": [{"offset": -2, "length": 3}]}
        | {"positive_delta": [1, 1, 1], "sample_sum": 2.5}
        | {"negative_span": [{"offset": 0, "length": 1}], "negative_delta": [2]},
        {"schema": 0, "sample_count": 7, "zero_count": 2, "zero_threshold": 2**-128}
        | {"positive_span": [{"offset": 0, "length": 1}, {"offset": 5, "length": 1}]}
        | {"positive_delta": [2, 1], "sample_sum": -1},
    ),
    (
        {"schema": 3, "sample_count": 21, "zero_threshold": 2**-128}
        | {"positive_span": [{"offset": -9, "length": 6}]}
        | {"positive_delta": [1, 1, 1, 1, 1, 1]},
        {"schema": -1, "sample_count": 4, "zero_threshold": 2**-128}
        | {"positive_span": [{"offset": 0, "length": 1}], "positive_delta": [3]}
        | {"negative_span": [{"offset": 2, "length": 1}], "negative_delta": [1]},
    ),
    (
        {"schema": 1, "sample_count": 21, "zero_threshold": 0.001}
        | {"positive_span": [{"offset": -9, "length": 6}]}
        | {"positive_delta": [1, 1, 1, 1, 1, 1]},
        {"schema": 1, "sample_count": 3, "zero_count": 3, "zero_threshold": 0.1},
    ),
    (
        {"schema": 2, "sample_count_float": 2.5, "zero_threshold": 0.5}
        | {"zero_count_float": 0.25, "sample_sum": 0.1}
        | {"positive_span": [{"offset": 1, "length": 2}]}
        | {"positive_count": [0.75, 1.5]},
        {"schema": 2, "sample_count": 3, "zero_count": 1, "zero_threshold": 0.25}
        | {"negative_span": [{"offset": -5, "length": 2}], "negative_delta": [1, 0]},
    ),
]

OWN = {"job": "batch", "instance": "db1"}

# PromQL, and the labels (less the name) and the value of its one series.
QUERIES = [
    ('job_duration_seconds{step="load"}', {**OWN, "step": "load"}, 12.5),
    (
        'job_duration_seconds{step!="load",step!="nan"}',
        {**OWN, "step": 'Zürich "x\\y"\n'},
        -1e-09,
    ),
    ('job_duration_seconds{step="nan"}', {**OWN, "step": "nan"}, math.nan),
    ("rows_read_total", {**OWN, "table": "orders"}, 123456789),
    ("op_latency_seconds_count", OWN, 4),
    ("op_latency_seconds_sum", OWN, 5.5),
    ('op_latency_seconds_bucket{le="+Inf"}', {**OWN, "le": "+Inf"}, 4),
    ("histogram_quantile(0.25, op_latency_seconds_bucket)", OWN, 0.1),
    ('payload_bytes{quantile="0.5"}', {**OWN, "quantile": "0.5"}, 50),
    ("payload_bytes_count", OWN, 100),
    # without an instance of its own a group has none, not the relay's
    ("without_instance", {"job": "adhoc"}, 1),
    ('push_failure_time_seconds{job="batch"}', OWN, 0),
    ('time() - push_time_seconds{job="batch"} < bool 60', OWN, 1),
    ('push_time_seconds{job="adhoc"} > bool 0', {"job": "adhoc"}, 1),
]


@pytest.fixture(scope="module")
def scraped(start_relay: StartRelay) -> RelayProcess:
    """A relay with the groups that the queries ask for."""
    require_prometheus()
    relay = start_relay()
    assert relay.put("/metrics/job/batch/instance/db1", BATCH).status == 200
    adhoc = "# TYPE without_instance gauge\nwithout_instance 1\n"
    assert relay.put("/metrics/job/adhoc", adhoc).status == 200
    native = relay.put("/metrics/job/native", delimited(NATIVE), HEADERS)
    assert native.status == 200, native.text
    for pair, (held, pushed) in enumerate(ADDENDS):
        bodies = {"held": addend(held), "pushed": addend(pushed)}
        bodies["both"] = sum_of(*bodies.values())
        for side, body in bodies.items():
            path = f"/metrics/job/{side}/pair/{pair}"
            assert relay.put(path, body, HEADERS).status == 200
    return relay


def addend(histogram: dict[str, Any]) -> bytes:
    metric = {"histogram": histogram}
    return delimited(family("added_seconds", HISTOGRAM, metric, help="Added."))


def sum_of(held: bytes, pushed: bytes) -> bytes:
    """Return the body of a push of what the relay makes of two by adding."""
    payloads = [
        to_payload(parse_protobuf(body, GroupingKey.of({"job": ""}), Limits()), 1)
        for body in (held, pushed)
    ]
    added = combine(Mode.ADD, *payloads, lambda _name: False)
    assert added.messages is not None
    return delimited(*added.messages)


@pytest.fixture(scope="module")
def both(
    scraped: RelayProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Prometheus]]:
    """Two servers that start at the same time, because the first scrape is late."""
    flags = {"text": [], "protobuf": ["--enable-feature=native-histograms"]}
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Prometheus(tmp_path_factory.mktemp(name), scraped, *more)
            )
            for name, more in flags.items()
        }


@pytest.fixture(scope="module", params=["text", "protobuf"])
def prometheus(
    both: dict[str, Prometheus], request: pytest.FixtureRequest
) -> Prometheus:
    """A Prometheus that has scraped at least once."""
    chosen = both[request.param]
    chosen.wait_for("without_instance")
    return chosen


def test_the_relay_is_up(prometheus: Prometheus) -> None:
    [(_, up)] = prometheus.query("up")
    assert up == 1


@pytest.mark.parametrize(("promql", "labels", "value"), QUERIES)
def test_pushed_values_come_back_with_pushed_labels(
    prometheus: Prometheus, promql: str, labels: dict[str, str], value: float
) -> None:
    [(found, shown)] = prometheus.query(promql)
    found.pop("__name__", None)
    assert found == labels
    assert shown == pytest.approx(value, rel=0, abs=0, nan_ok=True)


def test_a_native_histogram_can_be_queried(both: dict[str, Prometheus]) -> None:
    prometheus = both["protobuf"]
    prometheus.wait_for("histogram_count(native_seconds)")
    for promql, value in [
        ("histogram_count(native_seconds)", 24),
        ("histogram_sum(native_seconds)", 100),
        ("histogram_quantile(1, native_seconds)", 4),
    ]:
        assert prometheus.query(promql) == [({"job": "native"}, value)]


@pytest.mark.parametrize("pair", range(len(ADDENDS)))
def test_native_histograms_are_added_as_prometheus_adds(
    both: dict[str, Prometheus], pair: int
) -> None:
    prometheus = both["protobuf"]
    prometheus.wait_for("histogram_count(added_seconds)")
    results = [
        prometheus.result_of(f'sum(added_seconds{{pair="{pair}",job{jobs}"both"}})')
        for jobs in ("!=", "=")
    ]
    (theirs,), (ours,) = results
    assert ours["histogram"][1]["buckets"]
    assert ours["histogram"][1] == theirs["histogram"][1]


def test_its_text_form_shows_the_sum_and_the_count(
    both: dict[str, Prometheus],
) -> None:
    prometheus = both["text"]
    prometheus.wait_for("native_seconds_count")
    [(labels, count)] = prometheus.query("native_seconds_count")
    assert (labels["job"], count) == ("native", 24)


def test_a_push_and_a_delete_are_seen_by_the_next_scrape(
    scraped: RelayProcess, prometheus: Prometheus
) -> None:
    scraped.put("/metrics/job/short-lived", "short_lived 1\n")
    prometheus.wait_for("short_lived")
    scraped.delete("/metrics/job/short-lived")
    prometheus.wait_for("short_lived", present=False)
    assert prometheus.query('push_time_seconds{job="short-lived"}') == []


def test_no_sample_was_dropped(prometheus: Prometheus) -> None:
    log = prometheus.log.read_text()
    assert "level=warn" not in log
    assert "level=error" not in log


def test_promtool_accepts_the_page(scraped: RelayProcess) -> None:
    if PROMTOOL is None:
        pytest.skip("there is no promtool")
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"],
        input=_page_of_good_names(scraped),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_prometheus_client_parses_the_page(scraped: RelayProcess) -> None:
    names = {f.name for f in text_string_to_metric_families(scraped.page())}
    assert {"job_duration_seconds", "rows_read", "pushrelay_build_info"} <= names


def _page_of_good_names(relay: RelayProcess) -> str:
    """Return the page without what was named to be odd, or lacks a help."""
    lines = relay.page().splitlines(keepends=True)
    return "".join(line for line in lines if "without_instance" not in line)
