"""Clients that exist, pushing as they please."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import subprocess
from pathlib import Path
from urllib.error import HTTPError

import prometheus_client
import pytest
from exposition_page import lines_of, pushed
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.parser import text_string_to_metric_families
from relay_process import HTTPClient

HERE = Path(__file__).parent
CURL = shutil.which("curl")

PYTHON_LINES = [
    'a_gauge{step="load"} 12.5 gauge',
    'op_seconds_bucket{le="+Inf"} 2 histogram',
    'op_seconds_bucket{le="0.1"} 0 histogram',
    'op_seconds_bucket{le="1"} 1 histogram',
    "op_seconds_count 2 histogram",
    "op_seconds_sum 5.5 histogram",
    'rows_total{table="orders"} 3 counter',
    "size_bytes_count 1 summary",
    "size_bytes_sum 7 summary",
]
NODE_LINES = [
    "a_gauge 12.5 gauge",
    'op_seconds_bucket{le="+Inf"} 1 histogram',
    'op_seconds_bucket{le="0.1"} 0 histogram',
    'op_seconds_bucket{le="1"} 1 histogram',
    'op_seconds_bucket{le="10"} 1 histogram',
    "op_seconds_count 1 histogram",
    "op_seconds_sum 0.5 histogram",
    'rows_total{table="orders"} 3 counter',
    'size_bytes{quantile="0.5"} 7 summary',
    "size_bytes_count 1 summary",
    "size_bytes_sum 7 summary",
]
GROUPING_KEYS: list[dict[str, str]] = [
    {},
    {"instance": "host1"},
    {"instance": "host1", "shard": "7"},
    {"path": "/var/tmp"},
    {"path": "a/b/"},
    {"empty": ""},
    {"city": "Zürich", "emoji": "🚀"},
    {"name": "two words"},
    {"odd": "a+b=c&d?e#f%g"},
    {"quoted": 'say "hi"\\\n'},
    {"dots": "..."},
]


# prometheus_client ------------------------------------------------------------------


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("a_gauge", "A gauge.", ["step"], registry=registry).labels("load").set(12.5)
    rows = Counter("rows", "Rows.", ["table"], registry=registry)
    rows.labels("orders").inc(3)
    operations = Histogram("op_seconds", "Ops.", buckets=[0.1, 1], registry=registry)
    operations.observe(0.5)
    operations.observe(5)
    Summary("size_bytes", "Sizes.", registry=registry).observe(7)
    return registry


def _without_created(relay: HTTPClient) -> list[str]:
    """Return the pushed series less those that tell when a metric was created."""
    samples = [s for s in pushed(relay.page()) if not s.name.endswith("_created")]
    return lines_of(samples)


@pytest.mark.parametrize("key", GROUPING_KEYS, ids=str)
def test_prometheus_client_pushes_and_deletes(
    relay: HTTPClient, key: dict[str, str]
) -> None:
    address = relay.address
    registry = _registry()
    prometheus_client.push_to_gateway(address, "batch", registry, grouping_key=key)
    assert relay.grouping_keys() == [{"job": "batch", **key}]
    prometheus_client.delete_from_gateway(address, "batch", grouping_key=key)
    assert relay.groups() == []


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_prometheus_client_pushes_all_types(
    relay: HTTPClient, compression: str | None
) -> None:
    prometheus_client.push_to_gateway(
        relay.address, "batch", _registry(), compression=compression
    )
    assert _without_created(relay) == PYTHON_LINES


def test_prometheus_client_adds(relay: HTTPClient) -> None:
    address = relay.address
    prometheus_client.push_to_gateway(address, "batch", _registry())
    registry = CollectorRegistry()
    Gauge("another", "Another.", registry=registry).set(1)
    prometheus_client.pushadd_to_gateway(address, "batch", registry)
    assert _without_created(relay) == sorted([*PYTHON_LINES, "another 1 gauge"])
    prometheus_client.push_to_gateway(address, "batch", registry)
    assert _without_created(relay) == ["another 1 gauge"]


def test_prometheus_client_is_told_of_a_refusal(relay: HTTPClient) -> None:
    relay.put("/metrics/job/other", "# TYPE a_gauge counter\na_gauge 1\n")
    with pytest.raises(HTTPError) as refused:
        prometheus_client.push_to_gateway(relay.address, "batch", _registry())
    with refused.value as response:
        assert response.code == 400


def test_prometheus_client_reads_the_page(relay: HTTPClient) -> None:
    prometheus_client.push_to_gateway(relay.address, "batch", _registry())
    relay.put("/metrics/job/escapes", r'x{l="a\\b\"c\nd ü"} NaN' + "\n")
    families = list(text_string_to_metric_families(relay.page()))
    samples = [sample for family in families for sample in family.samples]
    [escapes] = [sample for sample in samples if sample.name == "x"]
    assert escapes.labels == {"instance": "", "job": "escapes", "l": 'a\\b"c\nd ü'}
    assert math.isnan(escapes.value)
    assert "pushgateway_build_info" in {sample.name for sample in samples}


# curl -------------------------------------------------------------------------------


@pytest.fixture
def curl(relay: HTTPClient) -> HTTPClient:
    """The relay, for tests that talk to it with curl."""
    if CURL is None:
        pytest.skip("there is no curl")
    return relay


def _curl(relay: HTTPClient, path: str, *options: str, body: bytes = b"") -> str:
    """Run curl and return the status and the body that it printed."""
    finished = subprocess.run(
        [
            str(CURL),
            "-sS",
            "-w",
            "%{http_code}",
            *options,
            f"http://{relay.address}{path}",
        ],
        input=body,
        capture_output=True,
        timeout=20,
        check=True,
    )
    return finished.stdout.decode()


@pytest.mark.system
@pytest.mark.parametrize(
    "options",
    [
        ("--data-binary", "@-"),
        ("-X", "PUT", "--data-binary", "@-"),
        ("-T", "-"),
        ("-T", "-", "-H", "Expect:"),
        ("-0", "--data-binary", "@-"),
        ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-"),
        ("--http2", "--data-binary", "@-"),
    ],
    ids=" ".join,
)
def test_curl_pushes(curl: HTTPClient, options: tuple[str, ...]) -> None:
    body = b"# TYPE a gauge\na 3.14\n"
    assert _curl(curl, "/metrics/job/some_job", *options, body=body) == "200"
    assert lines_of(pushed(curl.page())) == ["a 3.14 gauge"]


@pytest.mark.system
def test_curl_pushes_compressed(curl: HTTPClient) -> None:
    options = ("-H", "Content-Encoding: gzip", "--data-binary", "@-")
    body = gzip.compress(b"a 1\n")
    assert _curl(curl, "/metrics/job/x", *options, body=body) == "200"
    assert lines_of(pushed(curl.page())) == ["a 1 untyped"]


@pytest.mark.system
def test_curl_pushes_two_megabytes(curl: HTTPClient) -> None:
    body = b"# " + b"x" * 2_000_000 + b"\na 1\n"
    options = ("--data-binary", "@-")
    assert _curl(curl, "/metrics/job/x", *options, body=body) == "200"


@pytest.mark.system
def test_curl_deletes(curl: HTTPClient) -> None:
    curl.put("/metrics/job/x/instance/i", "a 1\n")
    assert _curl(curl, "/metrics/job/x/instance/i", "-X", "DELETE") == "202"
    assert curl.groups() == []


@pytest.mark.system
def test_curl_is_told_of_an_error(curl: HTTPClient) -> None:
    answer = _curl(curl, "/metrics/job/x", "--data-binary", "@-", body=b"a 1")
    expected = "text format parsing error in line 1: unexpected end of input stream\n"
    assert answer == f"{expected}400"


@pytest.mark.system
def test_curl_follows_a_redirect_with_its_body(curl: HTTPClient) -> None:
    options = ("-L", "--path-as-is", "--data-binary", "@-")
    assert _curl(curl, "//metrics/job/x", *options, body=b"a 1\n") == "200"
    assert lines_of(pushed(curl.page())) == ["a 1 untyped"]


# prom-client ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node() -> str:
    """Node, where it finds prom-client."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    found = subprocess.run(
        [node, "-e", "require('prom-client')"],
        cwd=HERE,
        capture_output=True,
        timeout=20,
        check=False,
    )
    if found.returncode:
        pytest.skip("Node finds no prom-client: npm install")
    return node


def _push_with_node(
    relay: HTTPClient, node: str, method: str, groupings: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    script = HERE / "prom_client_push.cjs"
    url = f"http://{relay.address}"
    return subprocess.run(
        [node, script, url, method, json.dumps(groupings)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.system
def test_prom_client_pushes_adds_and_deletes(relay: HTTPClient, node: str) -> None:
    groupings = {"instance": "two words", "city": "Zürich"}
    for method, status in [("push", "200"), ("pushAdd", "200"), ("delete", "202")]:
        finished = _push_with_node(relay, node, method, groupings)
        assert (finished.stdout.strip(), finished.stderr) == (status, "")
        if method == "delete":
            assert relay.groups() == []
        else:
            assert relay.grouping_keys() == [{"job": "node", **groupings}]
            lines = lines_of(pushed(relay.page()), without=("job", *groupings))
            assert lines == sorted(NODE_LINES)


@pytest.mark.system
def test_prom_client_is_told_of_a_refusal(relay: HTTPClient, node: str) -> None:
    finished = _push_with_node(relay, node, "push", {"path": "a/b"})
    assert finished.returncode == 1
    assert "400" in finished.stderr
    assert "odd number of components in label string" in finished.stderr
    assert relay.groups() == []
