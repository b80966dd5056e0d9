"""A day of jobs at a relay, told in seconds, and the real Prometheus that watches it.

Runs are reported with the times that they had in the day. What is to grow under the
eyes of Prometheus comes after its first scrapes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards import HOUR_SEEN, SCRAPE_JOBS
from prometheus_process import Prometheus
from relay_process import RelayProcess, StartRelay
from run_http import data_of, finish, new_id, send, start
from waiting import wait_until

from pushrelay.config import OWN_METRICS_PATH
from pushrelay.tokens import new_text

HOUR = 3600.0
SPOOLED = {"X-Pushrelay-Spooled": "true"}
GAUGE = "# TYPE done_rows gauge\ndone_rows 5\n"
COUNTER = "# TYPE seen_total counter\nseen_total 5\n"

STATES = {
    "backup": "ok",
    "import": "failed",
    "report": "ok",
    "sync": "failed",
    "reindex": "running",
    "archive": "abandoned",
    "mail": "overdue",
    "quarterly": "never ran",
    "new": "overdue",
    "cleanup": "paused",
    "rotate": "ok",
    "poll": "ok",
    "pushes (daily)": "ok",
    "counts": "ok",
    "silent": "stale",
    "refused": "failed",
    "late": "ok",
}
"""What each job is like in the end, as the board of the relay has it."""

RULES = """
[[jobs]]
match = 'job="quarterly"'
every = "90d"
[[jobs]]
match = 'job="new"'
every = "1s"
grace = "0s"
[[jobs]]
match = 'job="pods"'
stale_after = "1s"
on_stale = "forget"
"""
TOKENS = '[[token]]\nname = "t"\nhash = "sha256:{hash}"\nscopes = ["push"]\n'
FLAGS = (
    "--web.own-metrics=off",
    "--auth.anonymous=push,scrape,read,admin,health",
    "--limit.label-value-bytes=100",
)

REPLICAS = """
  - job_name: {job}
    metrics_path: {path}
    static_configs: [{{targets: ["{address}"]}}]
"""


@dataclass(frozen=True)
class Day:
    """What was seen by `prometheus` from `began_at` to `over_at`, Unix seconds."""

    relay: RelayProcess
    prometheus: Prometheus
    began_at: float
    over_at: float

    @property
    def seconds(self) -> int:
        """How long it was."""
        return int(self.over_at - self.began_at) + 1

    def now(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Return what `promql` gives now. If nothing, the last scrape may have failed,
        and the next one is waited for."""
        found: list[tuple[dict[str, str], float]] = []
        wait_until(lambda: found.extend(self.prometheus.query(promql)) or found, promql)
        return found


@contextmanager
def day_of_jobs(start_relay: StartRelay, directory: Path) -> Iterator[Day]:
    """Have a day, of which everything was scraped."""
    relay = start_relay(*FLAGS, *_files_in(directory))
    stored, own = SCRAPE_JOBS
    more = REPLICAS.format(job=own, path=OWN_METRICS_PATH, address=relay.address)
    with Prometheus(directory, relay, job=stored, scraping=more) as prometheus:
        began_at = time.time()
        _morning(relay)
        for seen in ("pushrelay_store_up offset 1s", "push_time_seconds offset 1s"):
            prometheus.wait_for(seen)
        _afternoon(relay)
        for seen in (
            'pushrelay_job_last_start_timestamp_seconds{job="late"} offset 1s',
            "pushrelay_groups_forgotten_total > 0",
            'pushrelay_job_overdue{job="mail"} == 1',
            'pushrelay_group_stale{job="silent"} == 1',
            "pushrelay_limit_exceeded_total offset 1s",
            f"pushrelay_store_up offset {HOUR_SEEN + 1}s",
        ):
            prometheus.wait_for(seen)
        yield Day(relay, prometheus, began_at, time.time())


def _files_in(directory: Path) -> list[str]:
    """Write the files that the relay reads; return the flags that say so."""
    files = {
        "config.file": RULES,
        "auth.token-file": TOKENS.format(hash=new_text().digest.hex()),
        "web.config.file": "rate_limit: {interval: 1ms, burst: 1000}\n",
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    return [f"--{name}={directory / name}" for name in files]


def _told(relay: RelayProcess, document: dict[str, Any], **headers: str) -> None:
    """Report a run, which the relay must take."""
    answer = send(relay, document, new_id(), headers)
    assert answer.status == 200, answer.text


def _usage(megabytes: int) -> dict[str, Any]:
    usage = {"user_seconds": 20.0, "system_seconds": 2.5}
    return {"exit_code": 0, "usage": {**usage, "max_rss_bytes": megabytes * 2**20}}


def _backup(ago: float, instance: str) -> dict[str, Any]:
    expected = {"every": "1d", "max_runtime": "2h"}
    more = {"labels": {"instance": instance}, "expectation": expected, **_usage(100)}
    return finish("backup", ago=ago * HOUR, seconds=300, **more)


def _failed_import(ago: float) -> dict[str, Any]:
    return finish("import", "failure", ago=ago * HOUR, seconds=20, exit_code=3)


def _poll(ago: float) -> dict[str, Any]:
    limit = {"min_interval": "1h"}
    return finish("poll", ago=ago * HOUR, seconds=2, expectation=limit)


def _morning(relay: RelayProcess) -> None:
    for instance in ("db1", "db2"):
        _told(relay, _backup(9, instance))
    _told(relay, _failed_import(8))
    _told(relay, finish("report", "timeout", ago=7 * HOUR, seconds=600))
    _told(relay, finish("sync", "signal", ago=6 * HOUR, seconds=60, signal=9))
    limit = {"max_runtime": "1h"}
    _told(relay, start("archive", ago=5 * HOUR, expectation=limit))
    often = {"every": "1s", "grace": "0s"}
    _told(relay, finish("mail", ago=4 * HOUR, expectation=often))
    _told(relay, finish("cleanup", ago=4 * HOUR, expectation={"every": "1h"}))
    data_of(relay.post("/api/v1/jobs/cleanup/pause?until=2h"))
    _told(relay, finish("rotate", ago=3 * HOUR, seconds=900))
    _told(relay, _poll(3))
    _told(relay, finish("retired", ago=3 * HOUR))
    _told(relay, start("reindex", ago=600))
    for target in (
        "/metrics/job/pushes%20(daily)/instance/a?stale_after=1d",
        "/metrics/job/pushes%20(daily)/instance/b",
        "/metrics/job/silent?stale_after=1s",
        "/metrics/job/refused",
        "/metrics/job/pods/instance/pod-1",
        "/metrics/job/retired",
    ):
        assert relay.put(target, GAUGE).status == 200
    assert relay.post("/metrics/job/counts?mode=add", COUNTER).status == 200


def _afternoon(relay: RelayProcess) -> None:
    _told(relay, _backup(2, "db1"))
    _told(relay, _failed_import(2))
    _told(relay, finish("report", ago=1.9 * HOUR, seconds=500), **SPOOLED)
    _told(relay, finish("sync", "skipped", ago=1.8 * HOUR, seconds=0))
    _told(relay, finish("rotate", ago=2.9 * HOUR, seconds=60))
    _told(relay, _poll(2.9))
    assert relay.post("/metrics/job/counts?mode=add", COUNTER).status == 200
    assert relay.put("/metrics/job/pods/instance/pod-2", GAUGE).status == 200
    data_of(relay.delete("/api/v1/jobs/retired"))
    assert relay.delete("/metrics/job/pushes%20(daily)/instance/b").status == 202
    _refusals(relay)
    _told(relay, finish("late", ago=HOUR))


def _refusals(relay: RelayProcess) -> None:
    other_type = "# TYPE done_rows counter\ndone_rows 5\n"
    assert relay.put("/metrics/job/refused", other_type).status == 400
    stranger = {"Authorization": f"Bearer {new_text().text}"}
    assert relay.put("/metrics/job/counts", GAUGE, stranger).status == 401
    long = f'done_rows{{host="{"x" * 101}"}} 1\n'
    assert relay.put("/metrics/job/counts", long).status == 400
