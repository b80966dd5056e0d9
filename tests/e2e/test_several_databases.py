"""The HAProxy of docs/scaling.md before two databases: a job is always in the same
one."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from doc_examples import example_in
from relay_process import (
    START_DEADLINE,
    HTTPClient,
    RelayProcess,
    StartRelay,
    free_port,
)

HAPROXY = shutil.which("haproxy")
JOBS = [*(f"job-{number}" for number in range(12)), "a b", "grün", "a/b", "x?y", "50%"]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(HAPROXY is None, reason="there is no haproxy"),
]

Relays = list[RelayProcess]


@pytest.fixture(scope="module")
def relays(start_relay: StartRelay) -> Relays:
    """A relay of each database."""
    return [start_relay(), start_relay()]


@pytest.fixture(scope="module")
def proxy(
    relays: Relays, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HTTPClient]:
    directory = tmp_path_factory.mktemp("haproxy")
    client = HTTPClient("127.0.0.1", free_port())
    text = example_in("docs/scaling.md", "haproxy")
    text = text.replace(" :9091\n", f" {client.address}\n")
    for number in range(1, 5):
        relay = relays[(number - 1) // 2]
        text = text.replace(f" relay-{number}:9091 ", f" {relay.address} ")
    (directory / "haproxy.cfg").write_text(text)
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(HAPROXY), "-db", "-f", str(directory / "haproxy.cfg")],
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_listening(client, process, directory / "log")
        yield client
    finally:
        process.kill()
        process.wait()


def wait_until_listening(
    client: HTTPClient, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            client.get("/")
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())


def plain_path(job: str) -> str:
    return f"/metrics/job/{quote(job, safe='')}"


def base64_path(job: str) -> str:
    return f"/metrics/job@base64/{urlsafe_b64encode(job.encode()).decode()}"


def jobs_of(relay: RelayProcess) -> set[str]:
    return {key["job"] for key in relay.grouping_keys()}


def test_a_job_is_in_one_database_however_its_name_is_written(
    proxy: HTTPClient, relays: Relays
) -> None:
    for job in JOBS:
        path = base64_path(job) if "/" in job else plain_path(job)
        assert proxy.put(path, "x 1\n").status == 200
        assert proxy.post(f"{base64_path(job)}/instance/b", "x 1\n").status == 200
    one, other = map(jobs_of, relays)
    assert one | other == set(JOBS)
    assert one.isdisjoint(other)
    assert one
    assert other
    for relay in relays:
        assert len(relay.grouping_keys()) == 2 * len(jobs_of(relay))


def test_pings_and_retirements_go_where_the_job_is(
    proxy: HTTPClient, relays: Relays
) -> None:
    for job in JOBS:
        proxy.put(base64_path(job), "x 1\n")
        ping = f"/api/v1/ping?job={quote(job, safe='')}&status=success"
        assert proxy.post(ping).status == 200
    for relay in relays:
        ran = set(
            re.findall(
                r'^pushrelay_job_last_success_timestamp_seconds\{.*job="(.*?)"',
                relay.page(),
                re.M,
            )
        )
        assert ran == jobs_of(relay)
    for job in JOBS:
        if "/" not in job:
            assert proxy.delete(f"/api/v1/jobs/{quote(job, safe='')}").status < 300
    assert jobs_of(relays[0]) | jobs_of(relays[1]) == {"a/b"}


def test_what_names_no_job_is_refused(proxy: HTTPClient) -> None:
    for path in ("/metrics", "/", "/api/v1/groups", "/api/v1/runs"):
        response = proxy.get(path)
        assert response.status == 404
        assert "ask a relay" in response.text
