"""The metrics that the relay shows of itself, under the names dashboards know."""

from __future__ import annotations

import gzip

import pytest
from exposition_page import Sample, block, read_page
from relay_process import HTTPClient

# A request, and the labels under which it is counted.
COUNTED: list[tuple[str, str, str, dict[str, str]]] = [
    ("PUT", "/metrics/job/x", "a 1\n", {"handler": "push", "code": "200"}),
    ("POST", "/metrics/job/x", "a 1\n", {"handler": "push", "code": "200"}),
    ("PUT", "/metrics/job/x", "a\n", {"handler": "push", "code": "400"}),
    ("PUT", "/metrics/job/x", "a 1 1\n", {"handler": "push", "code": "400"}),
    ("POST", "/metrics/job/x/odd", "", {"handler": "push", "code": "400"}),
    ("DELETE", "/metrics/job/x", "", {"handler": "delete", "code": "202"}),
    ("DELETE", "/metrics/job/x/odd", "", {"handler": "delete", "code": "400"}),
    ("PUT", "/api/v1/admin/wipe", "", {"handler": "wipe", "code": "202"}),
    ("GET", "/-/healthy", "", {"handler": "healthy", "code": "200"}),
    ("GET", "/-/ready", "", {"handler": "ready", "code": "200"}),
    ("GET", "/", "", {"handler": "status", "code": "200"}),
    ("GET", "/status", "", {"handler": "status", "code": "200"}),
    ("GET", "/api/v1/status", "", {"handler": "api/v1/status", "code": "200"}),
    ("GET", "/api/v1/metrics", "", {"handler": "api/v1/metrics", "code": "200"}),
    ("OPTIONS", "/api/v1/x", "", {"handler": "api/v1/options", "code": "200"}),
]

NOT_COUNTED = [
    ("GET", "/metrics"),
    ("PUT", "/metrics"),
    ("GET", "/nope"),
    ("GET", "/metrics/"),
    ("PUT", "//metrics/job/x"),
    ("PUT", "/-/quit"),
]

HELP_AND_TYPE = {
    "pushgateway_http_requests_total": (
        "Total HTTP requests processed by the Pushgateway, excluding scrapes.",
        "counter",
    ),
    "pushgateway_http_push_size_bytes": (
        "HTTP request size for pushes to the Pushgateway.",
        "summary",
    ),
    "pushgateway_http_push_duration_seconds": (
        "HTTP request duration for pushes to the Pushgateway.",
        "summary",
    ),
}

PROCESS_METRICS = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
]


@pytest.mark.parametrize(("method", "path", "body", "labels"), COUNTED)
def test_requests_are_counted(
    relay: HTTPClient, method: str, path: str, body: str, labels: dict[str, str]
) -> None:
    labels = {**labels, "method": method.lower()}
    before = _total(relay, "pushgateway_http_requests_total", labels)
    assert relay.request(method, path, body).status == int(labels["code"])
    after = _total(relay, "pushgateway_http_requests_total", labels)
    assert after == before + 1


@pytest.mark.parametrize(("method", "path"), NOT_COUNTED)
def test_other_requests_are_not_counted(
    relay: HTTPClient, method: str, path: str
) -> None:
    before = _total(relay, "pushgateway_http_requests_total", {})
    relay.request(method, path)
    assert _total(relay, "pushgateway_http_requests_total", {}) == before


def test_a_body_that_cannot_be_decoded_is_not_counted(relay: HTTPClient) -> None:
    before = _total(relay, "pushgateway_http_requests_total", {})
    relay.put("/metrics/job/x", "plain text body\n", {"Content-Encoding": "gzip"})
    assert _total(relay, "pushgateway_http_requests_total", {}) == before


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("body", ["a 1\n", "a\n"])
def test_size_and_duration_of_pushes_are_measured(
    relay: HTTPClient, method: str, body: str
) -> None:
    labels = {"method": method.lower()}
    names = [
        "pushgateway_http_push_size_bytes_count",
        "pushgateway_http_push_size_bytes_sum",
        "pushgateway_http_push_duration_seconds_count",
        "pushgateway_http_push_duration_seconds_sum",
    ]
    before = [_total(relay, name, labels) for name in names]
    relay.request(method, "/metrics/job/x", "# " + "x" * 10_000 + "\n" + body)
    after = [_total(relay, name, labels) for name in names]
    count, size, measured, seconds = (a - b for a, b in zip(after, before, strict=True))
    assert (count, measured) == (1, 1)
    assert 10_000 < size < 11_000
    assert 0 < seconds < 10


def test_size_and_duration_have_quantiles(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    samples = read_page(relay.page())
    for name in ("size_bytes", "duration_seconds"):
        quantiles = {
            dict(sample.labels)["quantile"]
            for sample in samples
            if sample.name == f"pushgateway_http_push_{name}"
            and ("method", "put") in sample.labels
        }
        assert quantiles == {"0.1", "0.5", "0.9"}


@pytest.mark.parametrize("name", HELP_AND_TYPE)
def test_old_names_keep_their_help_and_type(relay: HTTPClient, name: str) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    help_text, kind = HELP_AND_TYPE[name]
    assert block(relay.page(), name).splitlines()[:2] == [
        f"# HELP {name} {help_text}",
        f"# TYPE {name} {kind}",
    ]


def test_the_build_is_told(relay: HTTPClient) -> None:
    [sample] = _samples(relay, "pushgateway_build_info")
    assert (sample.value, sample.type) == ("1", "gauge")
    expected = {"branch", "goarch", "goos", "goversion", "revision", "version"}
    assert expected <= dict(sample.labels).keys() <= expected | {"tags"}


@pytest.mark.parametrize("name", PROCESS_METRICS)
def test_the_process_is_measured(relay: HTTPClient, name: str) -> None:
    [sample] = _samples(relay, name)
    assert float(sample.value) > 0
    assert sample.labels == ()


def test_own_metrics_carry_no_job_but_for_refused_pushes(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a\n")
    with_job = {s.name for s in read_page(relay.page()) if "job" in dict(s.labels)}
    assert with_job <= {"pushrelay_pushes_rejected_total"}


def test_a_scrape_shows_the_push_before_it(relay: HTTPClient) -> None:
    body = gzip.compress(b"a 1\n")
    labels = {"handler": "push", "code": "200", "method": "put"}
    for _ in range(10):
        before = _total(relay, "pushgateway_http_requests_total", labels)
        relay.put("/metrics/job/x", body, {"Content-Encoding": "gzip"})
        after = _total(relay, "pushgateway_http_requests_total", labels)
        assert after == before + 1


def _samples(relay: HTTPClient, name: str) -> list[Sample]:
    return [sample for sample in read_page(relay.page()) if sample.name == name]


def _total(relay: HTTPClient, name: str, labels: dict[str, str]) -> float:
    return sum(
        float(sample.value)
        for sample in _samples(relay, name)
        if labels.items() <= dict(sample.labels).items()
    )
