"""Large pushes are the business of those who push them."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from compat.metric_messages import (
    GAUGE,
    HEADERS,
    HISTOGRAM,
    SUMMARY,
    delimited,
    family,
    labels,
)
from relay_process import HTTPClient

pytestmark = pytest.mark.system

BUCKETS = {
    "sample_count": 5_000,
    "bucket": [{"upper_bound": n, "cumulative_count": n} for n in range(5_000)],
}
QUANTILES = {
    "sample_count": 1,
    "quantile": [{"quantile": n / 5_000, "value": 1} for n in range(5_000)],
}


@pytest.mark.parametrize("line", [b"a 1\n", b"#\n", b"#HELP\n"])
def test_a_small_bomb_leaves_the_event_loop_alone(
    relay: HTTPClient, line: bytes
) -> None:
    """Measured in probes that are answered meanwhile, not in seconds."""
    bomb = gzip.compress(line * (400_000 // len(line)))
    headers = {"Content-Encoding": "gzip"}
    with ThreadPoolExecutor() as pool:
        push = pool.submit(relay.put, "/metrics/job/bomb", bomb, headers)
        probes = 0
        while not push.done():
            assert relay.get("/-/healthy").status == 200
            probes += 1
    assert push.result().status in (200, 400, 413)
    assert probes >= 5


def test_a_push_beside_a_wide_group_does_not_read_all_of_it(
    relay: HTTPClient,
) -> None:
    wide = "".join(f'x{{n="{n}"}} 1\n' for n in range(50_000))
    assert relay.put("/metrics/job/wide", wide).status == 200
    for value in range(20):
        pushed = relay.put("/metrics/job/wide/instance/i", f"x {value}\n")
        assert pushed.status == 200
    twice = relay.put("/metrics/job/wide/n/7", 'x{instance=""} 1\n')
    assert twice.status == 400
    assert "was collected before" in twice.text


def test_a_deletion_by_many_expressions_leaves_pushes_alone(relay: HTTPClient) -> None:
    """Measured in pushes that are answered meanwhile, not in seconds."""
    wide = "".join(f'x{{n="{n}"}} 1\n' for n in range(8_000))
    assert relay.put("/metrics/job/wide", wide).status == 200
    expressions = [f'{{n=~".*[a-z]%7B1,50%7D{n}"}}' for n in range(50)]
    query = "&".join(f"match[]={written}" for written in (*expressions, '{n="7"}'))
    target = f"/metrics/job/wide?{query}".replace('"', "%22")
    with ThreadPoolExecutor() as pool:
        deletion = pool.submit(relay.delete, target)
        pushes = 0
        while not deletion.done():
            assert relay.put("/metrics/job/other", f"y {pushes}\n").status == 200
            pushes += 1
    assert deletion.result().status == 202, deletion.result().text
    assert pushes >= 20
    assert len(relay.group(job="wide")["x"]["metrics"]) == 7_999


@pytest.mark.parametrize("path", ["/api/v1/groups", "/metrics"])
def test_selectors_of_many_expressions_leave_whole_pages_alone(
    relay: HTTPClient, path: str
) -> None:
    """Measured in pages that are answered meanwhile, not in seconds."""
    body = "".join(
        f'x{{job="job-{n:05}",series="{series}"}} 1\n'
        for n in range(400)
        for series in range(15)
    )
    assert relay.put("/api/v1/groups?by=job", body).status == 200
    expressions = [f'{{job=~".*[a-z]%7B1,9%7D{n}z"}}' for n in range(100)]
    query = "&".join(f"match[]={written}" for written in expressions)
    target = f"{path}?{query}".replace('"', "%22")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(relay.get, target) for _ in range(8)]
        pages = 0
        while not all(one.done() for one in asked):
            assert len(relay.page()) > 300_000
            pages += 1
    assert {one.result().status for one in asked} == {200}
    assert pages >= 20, pages


def test_a_long_grouping_key_on_many_series_is_refused(relay: HTTPClient) -> None:
    """Each line would bear the key, and the page would be gigabytes."""
    key = "/".join(f"l{n}/{'v' * 60_000}" for n in range(10))
    body = "".join(f'x{{n="{n}"}} 1\n' for n in range(5_000))
    response = relay.put(f"/metrics/job/x/{key}", body)
    assert response.status == 413
    assert "labels of their group" in response.text
    assert relay.groups() == []


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        # The labels of a histogram are in each line of a bucket,
        ("h", [{"label": labels(l="v" * 60_000), "histogram": BUCKETS}]),
        # those of a summary in each of a quantile,
        ("s", [{"label": labels(l="v" * 60_000), "summary": QUANTILES}]),
        # and the name of a family is in all.
        (
            "g" * 60_000,
            [{"label": labels(l=f"{n}"), "gauge": {"value": 1}} for n in range(5_000)],
        ),
    ],
)
def test_a_small_message_that_stands_for_gigabytes_of_text_is_refused(
    relay: HTTPClient, name: str, metrics: list[dict[str, Any]]
) -> None:
    type_ = {"h": HISTOGRAM, "s": SUMMARY}.get(name, GAUGE)
    body = gzip.compress(delimited(family(name, type_, *metrics)), compresslevel=1)
    response = relay.put("/metrics/job/x", body, HEADERS | {"Content-Encoding": "gzip"})
    assert response.status == 413
    assert "the lines of the push would take more than" in response.text
    assert relay.groups() == []


def test_a_body_in_tiny_chunks_leaves_the_event_loop_alone(relay: HTTPClient) -> None:
    line = b"x 1\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in line) * 1
    comments = b"1\r\n#\r\n" + b"4\r\nxxxx\r\n" * 400_000 + b"1\r\n\n\r\n"
    head = (
        b"PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with ThreadPoolExecutor() as pool:
        push = pool.submit(relay.send, head + comments + chunks + b"0\r\n\r\n")
        probes = 0
        while not push.done():
            assert relay.get("/-/healthy").status == 200
            probes += 1
    assert push.result().status == 200
    assert probes >= 5
