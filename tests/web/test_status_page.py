"""The page of the relay itself."""

from __future__ import annotations

import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
import yaml
from logging_in import new_token
from page_forms import shown
from promtool import needs_promtool
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import finish, send

from pushrelay.commit import version

BROKEN = 'x{a="<b>'


def parts_of(page: str) -> dict[str, str]:
    """Return what the page says under each heading, without markup."""
    parts = re.split(r"<h2>(.*?)</h2>", page[page.index("<main") :])
    texts = [" ".join(unescape(re.sub("<[^>]*>", " ", each)).split()) for each in parts]
    return dict(zip(texts[1::2], texts[2::2], strict=True))


def config_on(page: str) -> str:
    """Return the configuration of Prometheus that can be copied."""
    return unescape(re.findall(r'id="scrape-config">(.*?)</pre>', page, re.S)[0])


def test_the_relay_says_what_it_is_and_how_it_was_started(
    start_relay: StartRelay,
) -> None:
    relay = start_relay("--log.level=warn")
    page = shown(relay, "/status")
    told = parts_of(page)["This relay"]
    assert re.fullmatch(
        rf"Version {re.escape(version())} Up for \d+ s Started 20.* UTC", told
    )
    assert "<code>--log.level</code></th><td><code>warn</code>" in page
    assert f"sqlite:///{relay.database}" in page


def test_the_store_says_how_it_is(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a", "x 1\ny 1\n")
    first = parts_of(shown(relay, "/status"))["Store"]
    assert re.search(r"Kind (SQLite|PostgreSQL) State answers", first)
    assert "Holds 1 group and 1 job; scrapes show" in first
    assert re.search(r"A commit takes [\d.]+ m?s; 99 of 100 at most [\d.]+ m?s", first)
    relay.put("/metrics/job/b", "x 1\n")
    second = parts_of(shown(relay, "/status"))["Store"]

    def revision(text: str) -> int:
        return int(re.findall(r"Revision ([\d,]+)", text)[0].replace(",", ""))

    assert revision(second) == revision(first) + 1
    assert "Holds 2 groups and 2 jobs" in second


def test_a_limit_that_is_near_is_flagged(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.stored-groups=5", "--limit.stored-series=1000")
    for job in "abcd":
        relay.put(f"/metrics/job/{job}", "x 1\n")
    page = shown(relay, "/status")
    told = parts_of(page)["Limits"]
    assert "Groups, or keys of runs 4 80 % 4 5 --limit.stored-groups" in told
    assert "Pushed series 4 < 1 % 4 1,000 --limit.stored-series" in told
    assert re.search(
        r'<meter min="0" max="5" high="4" optimum="0" value="4" aria-label="Groups',
        page,
    )
    assert re.findall(r'class="bad">(.*?)<', page) == ["80 %"]


def test_what_was_refused_is_told_with_its_reason(start_relay: StartRelay) -> None:
    relay = start_relay()
    assert "Nothing was refused" in parts_of(shown(relay, "/status"))["Refused of late"]
    for _ in range(2):
        relay.put("/metrics/job/a/l/v", BROKEN)
    send(relay, {**finish("nightly"), "exit_code": "x"})
    page = shown(relay, "/status")
    told = parts_of(page)["Refused of late"]
    pushes = r'\d+ s ago , 2 times push {job="a",l="v"} 127.0.0.1 invalid_body text'
    assert re.search(pushes, told)
    assert re.search(
        "ago report of a run nightly 127.0.0.1 invalid_run exit_code", told
    )
    assert told.index("nightly") < told.index("invalid_body")
    assert page.count("<script") == 1
    assert "<b>" not in page


@pytest.fixture(scope="module")
def closed(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--auth.required")


def test_who_sees_some_groups_learns_nothing_of_others(closed: RelayProcess) -> None:
    boss = {"Authorization": f"Bearer {new_token(closed, 'boss', 'admin')}"}
    closed.put("/metrics/job/theirs", "x 1\n", boss)
    closed.put("/metrics/job/theirs", BROKEN, boss)
    assert "theirs" in shown(closed, "/status", **boss)
    token = new_token(closed, "bound", "read", match='{job="mine"}')
    page = shown(closed, "/status", Authorization=f"Bearer {token}")
    assert set(parts_of(page)) == {
        "This relay",
        "Store",
        "Let Prometheus scrape it",
    }
    assert not re.search("theirs|Revision|Holds|Size", page)


def test_an_empty_relay_shows_first_steps(start_relay: StartRelay) -> None:
    relay = start_relay()
    page = shown(relay, "/status")
    command = unescape(re.findall(r"<pre[^>]*>(echo .*?)</pre>", page)[0])
    # It works as it stands.
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True)
    assert relay.grouping_keys() == [{"job": "example"}]
    assert "example_rows" not in shown(relay, "/status")


@pytest.mark.system
@needs_promtool
def test_the_scrape_configuration_is_one(relay: HTTPClient, tmp_path: Path) -> None:
    config = config_on(shown(relay, "/status"))
    file = tmp_path / "prometheus.yml"
    file.write_text(config)
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True)
    assert done.returncode == 0, done.stderr
    [job] = yaml.safe_load(config)["scrape_configs"]
    assert job == {
        "job_name": "pushrelay",
        "honor_labels": True,
        "scheme": "http",
        "metrics_path": "/metrics",
        "static_configs": [{"targets": [relay.address]}],
    }


@pytest.mark.system
@needs_promtool
def test_it_has_the_address_that_the_client_sees(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    relay = start_relay(
        *("--auth.required", "--web.external-url=https://relay.example/push"),
        "--web.telemetry-path=/all metrics",
        ready="/push/-/ready",
    )
    bearer = {"Authorization": f"Bearer {new_token(relay, 'reader', 'read')}"}
    config = config_on(shown(relay, "/push/status", **bearer))
    secret = tmp_path / "token"
    secret.write_text("x")
    [job] = yaml.safe_load(config)["scrape_configs"]
    credentials = job["authorization"]["credentials_file"]
    file = tmp_path / "prometheus.yml"
    file.write_text(config.replace(credentials, str(secret)))
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (job["scheme"], job["metrics_path"]) == ("https", "/push/all metrics")
    assert job["static_configs"] == [{"targets": ["relay.example"]}]
