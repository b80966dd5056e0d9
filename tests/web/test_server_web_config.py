"""A relay with a web configuration file, without TLS."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import bcrypt
import pytest
from tls_use import TLSRelay, basic
from waiting import wait_until

HEADERS = """
http_server_config:
  headers:
    Content-Security-Policy: sandbox
    X-Content-Type-Options: nosniff
    X-Frame-Options: sameorigin
"""


def users(**passwords: str) -> str:
    text = "basic_auth_users:\n"
    for name, password in passwords.items():
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        text += f"  {name}: {hashed}\n"
    return text


def worker_of(relay: TLSRelay) -> int:
    assert relay.process is not None
    pid = relay.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_requests_beyond_the_rate_are_refused_before_anything_else(
    tmp_path: Path,
) -> None:
    rate = "rate_limit: {interval: 1h, burst: 100}\n"
    with TLSRelay(tmp_path, HEADERS + rate, None) as relay:
        # Some requests were made already, to find out that it is ready.
        statuses = {relay.put("/metrics/job/a", "x{ 1\n").status for _ in range(100)}
        assert statuses == {400, 429}
        for answer in (
            relay.get("/-/healthy"),
            relay.put("/metrics/job/a", "x 2\n" * 100_000),
            relay.get("/nowhere"),
        ):
            assert (answer.status, answer.text) == (429, "Too Many Requests\n")
            assert 0 < int(answer.header("Retry-After") or "") <= 3600
            assert answer.header("X-Frame-Options") == "sameorigin"
            assert answer.header("X-Content-Type-Options") == "nosniff"
        answer = relay.request(
            "GET", "/metrics", headers={"Accept": "application/json"}
        )
        assert json.loads(answer.body)["reason"] == "too_many_requests"


def test_a_policy_for_the_content_is_kept_beside_ours(tmp_path: Path) -> None:
    with TLSRelay(tmp_path, HEADERS, None) as relay:
        answer = relay.get("/")
        policies = [v for k, v in answer.headers if k == "Content-Security-Policy"]
        assert policies[-1] == "sandbox"
        assert answer.header("X-Frame-Options") == "sameorigin"


def test_a_bad_file_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    relay = TLSRelay(tmp_path, "tls: {}\nrate_limit: {burst: x}\n", None)
    with pytest.raises(AssertionError, match="did not become ready"):
        relay.start()
    assert f"{relay.file}:1: tls: is not known here" in relay.log
    assert f"{relay.file}:2: rate_limit.burst: must be a whole number" in relay.log
    assert not relay.database.exists()


def test_passwords_change_under_way_and_a_new_worker_has_no_older_ones(
    tmp_path: Path,
) -> None:
    text = users(alice="old")
    with TLSRelay(tmp_path, text, None, user="alice:old") as relay:
        relay.file.write_text(users(alice="new"))
        wait_until(lambda: relay.get("/-/healthy").status == 401, "another password")
        relay.user = "alice:new"
        assert relay.get("/-/healthy").status == 200
        os.kill(worker_of(relay), signal.SIGKILL)
        wait_until(lambda: _is_answered(relay, 200), "an answer of the next worker")
        assert (
            relay.get("/-/healthy", {"Authorization": basic("alice:old")}).status == 401
        )

        # Before it has been looked at, so that it holds for the next one.
        relay.file.write_text("")
        os.kill(worker_of(relay), signal.SIGKILL)
        assert relay.wait() != 0
        assert "cannot start: " in relay.log
        assert "basic_auth_users are gone" in relay.log


def _is_answered(relay: TLSRelay, status: int) -> bool:
    try:
        return relay.get("/-/healthy").status == status
    except (OSError, EOFError):
        time.sleep(0.02)
        return False
