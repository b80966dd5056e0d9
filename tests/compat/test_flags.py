"""Relays with other flags: prefixes, lifecycle, addresses, and flags that are wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from exposition_page import lines_of, pushed
from relay_process import REPOSITORY, HTTPClient, RelayProcess, StartRelay, free_port

PREFIXED = [
    ("GET", "/gw/", 200, ""),
    ("GET", "/gw/status", 200, ""),
    ("GET", "/gw/own", 200, ""),
    ("GET", "/gw/-/healthy", 200, ""),
    ("GET", "/gw/-/ready", 200, ""),
    ("GET", "/gw/-/metrics", 200, ""),
    ("GET", "/gw/api/v1/status", 200, ""),
    ("GET", "/gw/api/v1/metrics", 200, ""),
    ("OPTIONS", "/gw/api/v1/metrics", 200, ""),
    ("PUT", "/gw/metrics/job/x", 200, ""),
    ("DELETE", "/gw/metrics/job/x", 202, ""),
    ("PUT", "/gw/-/quit", 403, ""),
    ("GET", "/gw/-/quit", 405, ""),
    ("HEAD", "/gw/own", 405, ""),
    ("HEAD", "/gw/-/metrics", 405, ""),
    ("GET", "/gw/metrics", 404, ""),
    ("GET", "/gw/nope", 404, ""),
    ("GET", "/gwx", 404, ""),
    ("GET", "/", 404, ""),
    ("GET", "/metrics", 404, ""),
    ("GET", "/own", 404, ""),
    ("PUT", "/metrics/job/x", 404, ""),
    ("GET", "/-/ready", 404, ""),
    ("GET", "/api/v1/status", 404, ""),
    ("GET", "/-/quit", 405, ""),
    ("GET", "/gw", 301, "/gw/"),
    ("GET", "/gw//own", 307, "/gw/own"),
    ("GET", "/gw/own/", 301, "/gw/own"),
    ("GET", "/gw/api/v1", 307, "/gw/api/v1/"),
    ("PUT", "/gw/metrics/job/", 307, "/gw/metrics/job"),
    ("PUT", "/gw/Metrics/job/x", 307, "/gw/metrics/job/x"),
]

WRONG_FLAGS = {
    "an unknown flag": ("--nope", "nope"),
    "a flag twice": (
        "--web.telemetry-path=/a --web.telemetry-path=/b",
        "web.telemetry-path",
    ),
    "a switch twice": (
        "--web.enable-admin-api --web.enable-admin-api",
        "web.enable-admin-api",
    ),
    "a value for a switch": ("--web.enable-admin-api=true", "web.enable-admin-api"),
    "an unknown log level": ("--log.level=loud", "log.level"),
    "an unknown log format": ("--log.format=xml", "log.format"),
    "an address without a port": ("--web.listen-address=nonsense", "nonsense"),
    "an argument": ("argument", "argument"),
    "a web configuration": (
        "--web.config.file=no.yml",
        "no.yml: cannot be read: No such file",
    ),
}

PUSHGATEWAY_FLAGS = [
    "log.format",
    "log.level",
    "persistence.file",
    "persistence.interval",
    "push.disable-consistency-check",
    "push.enable-utf8-names",
    "web.config.file",
    "web.enable-admin-api",
    "web.enable-lifecycle",
    "web.external-url",
    "web.listen-address",
    "web.route-prefix",
    "web.systemd-socket",
    "web.telemetry-path",
]


# route prefix, external URL, telemetry path -----------------------------------------


@pytest.fixture(scope="module")
def prefixed_relay(start_relay: StartRelay) -> RelayProcess:
    flags = ("--web.route-prefix=gw/", "--web.telemetry-path=/own")
    return start_relay(*flags, ready="/gw/-/ready")


@pytest.mark.parametrize(("method", "path", "status", "location"), PREFIXED)
def test_everything_is_below_the_prefix(
    prefixed_relay: RelayProcess, method: str, path: str, status: int, location: str
) -> None:
    response = prefixed_relay.request(method, path)
    assert response.status == status
    assert (response.header("Location") or "") == location


def test_the_exposition_is_at_the_telemetry_path(prefixed_relay: RelayProcess) -> None:
    prefixed_relay.put("/gw/metrics/job/x", "a 1\n")
    assert lines_of(pushed(prefixed_relay.get("/gw/own").text)) == ["a 1 untyped"]


@pytest.mark.parametrize("page", ["/gw/", "/gw/status", "/gw/status?search=x"])
def test_the_page_links_below_the_prefix(
    prefixed_relay: RelayProcess, page: str
) -> None:
    prefixed_relay.put("/gw/metrics/job/x", "a 1\n")
    html = prefixed_relay.get(page).text
    links = re.findall(r"""(?:href|src|action)=["']([^"'#][^"']*)""", html)
    targets = {urljoin(page, unescape(link)) for link in links}
    assert {"/gw/own", "/gw/status", "/gw/static/page.js"} <= targets
    for target in targets:
        assert target.startswith("/gw/")
        assert prefixed_relay.get(target).status == 200


@pytest.fixture(scope="module")
def external_relay(start_relay: StartRelay) -> RelayProcess:
    url = "--web.external-url=https://relay.example/ext/"
    return start_relay(url, ready="/ext/-/ready")


def test_the_prefix_comes_from_the_external_url(external_relay: RelayProcess) -> None:
    assert external_relay.put("/ext/metrics/job/x", "a 1\n").status == 200
    assert lines_of(pushed(external_relay.get("/ext/metrics").text)) == ["a 1 untyped"]
    assert external_relay.get("/metrics").status == 404


def test_without_the_admin_flag_nothing_is_wiped(external_relay: RelayProcess) -> None:
    for method in ("PUT", "POST", "GET", "DELETE"):
        assert external_relay.request(method, "/ext/api/v1/admin/wipe").status == 404


def test_a_prefix_of_a_slash_is_none(start_relay: StartRelay) -> None:
    url = "--web.external-url=https://relay.example/ext/"
    relay = start_relay(url, "--web.route-prefix=/")
    assert relay.get("/metrics").status == 200
    assert relay.get("/ext/metrics").status == 404


# lifecycle --------------------------------------------------------------------------


def test_quit_ends_the_relay_and_a_restart_shows_everything(
    start_relay: StartRelay,
) -> None:
    flags = ("--web.enable-lifecycle", "--log.format=json")
    relay = start_relay(*flags)
    relay.put("/metrics/job/x", "# HELP a Text.\n# TYPE a gauge\na 1\n")
    relay.put("/metrics/job/failed", "a 1 1\n")
    before = _groups(relay)
    response = relay.request("PUT", "/-/quit")
    assert response.status == 200
    assert response.body == b"Requesting termination... Goodbye!"
    assert relay.wait() == 0
    assert [line for line in relay.log.splitlines() if line[:1] != "{"] == []
    assert all(json.loads(line)["msg"] for line in relay.log.splitlines())
    relay.start()
    assert _groups(relay) == before
    assert lines_of(pushed(relay.page())) == ["a 1 gauge"]
    assert relay.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_relay(
    start_relay: StartRelay, number: signal.Signals
) -> None:
    relay = start_relay("--no-web.enable-admin-api")
    relay.put("/metrics/job/x", "a 1\n")
    assert relay.process is not None
    relay.process.send_signal(number)
    assert relay.wait() == 0


# other flags ------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_several_addresses_are_listened_on(start_relay: StartRelay, host: str) -> None:
    other = HTTPClient(host or "127.0.0.1", free_port())
    address = f"{host}:{other.port}"
    relay = start_relay(f"--web.listen-address={address}")
    assert relay.put("/metrics/job/x", "a 1\n").status == 200
    assert lines_of(pushed(other.page())) == ["a 1 untyped"]
    flags = json.loads(other.get("/api/v1/status").body)["data"]["flags"]
    assert flags["web.listen-address"] == f"{relay.address},{address}"


def test_flags_without_a_meaning_are_accepted_with_a_warning(
    start_relay: StartRelay,
) -> None:
    relay = start_relay(
        "--persistence.file=/nonexistent/file",
        "--persistence.interval=1m",
        "--push.disable-consistency-check",
        "--log.level=warn",
    )
    for flag in ("persistence.file", "push.disable-consistency-check"):
        assert flag in relay.log
    assert relay.put("/metrics/job/x", "# TYPE a gauge\na 1\n").status in (200, 202)
    relay.put("/metrics/job/y", "# TYPE a counter\na 1\n")
    assert relay.get("/metrics").status == 200
    flags = json.loads(relay.get("/api/v1/status").body)["data"]["flags"]
    assert flags["persistence.file"] == "/nonexistent/file"
    assert flags["persistence.interval"] in ("1m", "1m0s")
    assert flags["log.level"] == "warn"


@pytest.fixture(scope="module")
def failed_starts(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every start with wrong flags, two at a time."""
    directory = tmp_path_factory.mktemp("failed-starts")
    with ThreadPoolExecutor(2) as pool:
        flags = [flags.split() for flags, _ in WRONG_FLAGS.values()]
        starts = pool.map(lambda words: _serve(directory, *words), flags)
        return dict(zip(WRONG_FLAGS, starts, strict=True))


@pytest.mark.parametrize("case", WRONG_FLAGS)
def test_wrong_flags_end_the_start_with_a_reason(
    failed_starts: dict[str, subprocess.CompletedProcess[str]], case: str
) -> None:
    start = failed_starts[case]
    assert start.returncode not in (0, None)
    assert WRONG_FLAGS[case][1] in start.stderr + start.stdout
    assert "Traceback" not in start.stderr


def test_an_address_in_use_ends_the_start_with_a_reason(
    session_relay: HTTPClient, tmp_path: Path
) -> None:
    start = _serve(tmp_path, f"--web.listen-address={session_relay.address}")
    assert start.returncode != 0
    assert str(session_relay.port) in start.stderr + start.stdout
    assert session_relay.get("/-/ready").status == 200


def test_the_help_names_the_flags_of_the_pushgateway(tmp_path: Path) -> None:
    text = _serve(tmp_path, "--help").stdout
    assert [flag for flag in PUSHGATEWAY_FLAGS if f"--{flag}" not in text] == []


def _serve(directory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    database = f"--database.url=sqlite:///{directory}/failed.db"
    return subprocess.run(
        [sys.executable, "-m", "pushrelay", "serve", database, *flags],
        cwd=directory,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def _groups(relay: RelayProcess) -> list[str]:
    return sorted(json.dumps(group, sort_keys=True) for group in relay.groups())
