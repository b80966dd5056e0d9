"""The two pages of a scrape: what is stored, and what is the relay's own."""

from __future__ import annotations

import gzip
import zlib

import pytest
from exposition_page import read_page
from metric_messages import HEADERS, read_delimited
from relay_process import HTTPClient, RelayProcess, StartRelay

from pushrelay.telemetry import OWN_FAMILIES

pytestmark = pytest.mark.system

BODY = """# HELP rows Rows.
# TYPE rows gauge
rows{table="users"} 1
# HELP process_open_fds Pushed.
# TYPE process_open_fds gauge
process_open_fds 5
"""
OWN = {own.name for own in OWN_FAMILIES}
STORED = {"rows", "push_time_seconds", "push_failure_time_seconds"}
PUSHED = {*STORED, "process_open_fds"}
OF_JOBS = "pushrelay_job_"


def families(page: str) -> set[str]:
    """Return the names of the families of `page`, less those of jobs."""
    read_page(page)
    names = {line.split()[2] for line in page.splitlines() if line[:7] == "# TYPE "}
    return {name for name in names if not name.startswith(OF_JOBS)}


@pytest.fixture(scope="module")
def embedded(start_relay: StartRelay) -> RelayProcess:
    """A relay with a database of its own, and a group."""
    relay = start_relay()
    relay.put("/metrics/job/x", BODY)
    return relay


@pytest.fixture(scope="module")
def separate(start_relay: StartRelay) -> RelayProcess:
    """The same, with its own metrics elsewhere."""
    relay = start_relay("--web.own-metrics=off")
    relay.put("/metrics/job/x", BODY)
    return relay


@pytest.fixture(scope="module")
def empty(start_relay: StartRelay) -> RelayProcess:
    """A relay with its own metrics elsewhere, and without groups."""
    return start_relay("--web.own-metrics=off")


def test_by_default_a_relay_with_its_own_database_shows_all_on_one_page(
    embedded: RelayProcess,
) -> None:
    shown = families(embedded.page())
    assert shown > PUSHED
    assert shown - PUSHED < OWN
    assert {"pushrelay_store_up", "process_cpu_seconds_total"} < shown


def test_own_metrics_have_a_page_of_their_own(
    embedded: RelayProcess, separate: RelayProcess
) -> None:
    for relay in (embedded, separate):
        own = relay.get("/-/metrics").text
        assert families(own) < OWN
        assert {"pushrelay_store_up", "process_cpu_seconds_total"} < families(own)
        assert "\npushrelay_groups 1\n" in own
        assert "\npushrelay_series 4\n" in own


def test_own_metrics_may_be_left_out_of_the_page(separate: RelayProcess) -> None:
    page = separate.page()
    assert families(page) == PUSHED
    assert "# HELP process_open_fds Pushed.\n" in page
    (sample,) = [s for s in read_page(page) if s.name == "process_open_fds"]
    assert sample.value == "5"


def test_the_page_of_an_empty_store_is_empty(empty: RelayProcess) -> None:
    response = empty.get("/metrics")
    assert (response.status, response.body) == (200, b"")
    assert response.header("Content-Length") == "0"
    zipped = empty.get("/metrics", {"Accept-Encoding": "gzip"})
    assert (zipped.status, gzip.decompress(zipped.body)) == (200, b"")
    messages = empty.get("/metrics", {"Accept": HEADERS["Content-Type"]})
    assert (messages.status, messages.body) == (200, b"")


@pytest.mark.parametrize("path", ["/metrics", "/-/metrics"])
def test_both_pages_have_all_formats(separate: RelayProcess, path: str) -> None:
    expected = families(separate.get(path).text)
    zipped = separate.get(path, {"Accept-Encoding": "gzip"})
    assert zipped.header("Content-Encoding") == "gzip"
    assert families(zlib.decompress(zipped.body, 31).decode()) == expected
    messages = separate.get(path, {"Accept": HEADERS["Content-Type"]})
    assert messages.header("Content-Type").startswith("application/vnd.google.protobuf")
    names = {found.name for found in read_delimited(messages.body)}
    assert {name for name in names if not name.startswith(OF_JOBS)} == expected


def test_selectors_choose_groups_on_both_pages(separate: RelayProcess) -> None:
    assert families(separate.get('/metrics?match[]={job="x"}').text) == PUSHED
    for target in ('/metrics?match[]={job="y"}', '/-/metrics?match[]={job="x"}'):
        nothing = separate.get(target)
        assert (nothing.status, nothing.body) == (200, b"")
    assert separate.get("/-/metrics?match[]=nonsense{").status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/-/metrics", 405),
        ("PUT", "/-/metrics", 405),
        ("DELETE", "/-/metrics", 405),
        ("OPTIONS", "/-/metrics", 200),
        ("GET", "/-/metrics/", 301),
        ("GET", "/-/metrics/x", 404),
    ],
)
def test_own_metrics_are_only_read(
    separate: HTTPClient, method: str, path: str, status: int
) -> None:
    response = separate.request(method, path)
    assert response.status == status
    if status in (200, 405):
        assert response.header("Allow") == "GET, OPTIONS"


def test_own_metrics_are_below_the_prefix_whatever_the_telemetry_path(
    start_relay: StartRelay,
) -> None:
    flags = ("--web.route-prefix=/gw", "--web.telemetry-path=/seen")
    relay = start_relay(*flags, "--web.own-metrics=off", ready="/gw/-/ready")
    relay.put("/gw/metrics/job/x", BODY)
    assert families(relay.get("/gw/seen").text) == PUSHED
    assert families(relay.get("/gw/-/metrics").text) < OWN
    assert relay.get("/-/metrics").status == 404
    assert relay.get("/gw/metrics").status == 404
