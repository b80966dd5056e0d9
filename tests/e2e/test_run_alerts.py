"""What becomes of alerts when runs fail to come: the rules of contrib/prometheus in a
real Prometheus, with seconds for hours.

Prometheus is asked when all is over, about moments.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from doc_examples import ROOT
from prometheus_process import Prometheus, require_prometheus
from relay_process import RelayProcess, StartRelay
from run_http import data_of, ping, run_once

pytestmark = pytest.mark.system

EVERY, GRACE, LIMIT = 2, 1, 2
EXPECTED = {"every": f"{EVERY}s", "grace": f"{GRACE}s"}
LATE = EVERY + GRACE
"""So long after its last run, in seconds, a job is overdue."""

SEEN = 2.4
"""By then something was scraped, and rules were evaluated with it: a second each."""

JOB_RULES = """
[[jobs]]
match = 'job="never"'
every = "1s"
grace = "0s"
"""
RULES = (ROOT / "contrib/prometheus/runs.rules.yml").read_text()


@dataclass(frozen=True)
class Day:
    """What happened when, in Unix seconds, and the Prometheus that saw it.

    began_at: all jobs run for the last time, and one begins that does not end. back_at:
    late jobs run again, one after it was abandoned, and one is retired. over_at: long
    after that.
    """

    prometheus: Prometheus
    began_at: float
    back_at: float
    over_at: float

    def fires(self, alert: str, job: str, at: float) -> bool:
        """Whether `alert` fired for `job` at a moment."""
        labels = f'alertname="{alert}",alertstate="firing",job="{job}"'
        return bool(self.prometheus.query(f"ALERTS{{{labels}}}", at))

    def ever_fired(self, job: str) -> bool:
        """Whether there was an alert on `job`."""
        query = f'count_over_time(ALERTS{{job="{job}"}}[5m])'
        return bool(self.prometheus.query(query, self.over_at))


@pytest.fixture(scope="module")
def day(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    require_prometheus()
    directory = tmp_path_factory.mktemp("run-alerts")
    rules = directory / "rules.toml"
    rules.write_text(JOB_RULES)
    relay = start_relay(f"--config.file={rules}")
    with Prometheus(directory, relay, rules=RULES) as prometheus:
        prometheus.wait_for("pushrelay_build_info")
        began_at = time.time()
        for job in ("comes back", "retired", "paused"):
            run_once(relay, job, **EXPECTED)
        data_of(relay.post("/api/v1/jobs/paused/pause?until=1h"))
        ping(relay, "hangs", status="start", rid="1", max_runtime=f"{LIMIT}s")
        run_until(relay, began_at + LATE + SEEN + 1)
        back_at = time.time()
        run_once(relay, "comes back", every="1h")
        ping(relay, "hangs", status="start", rid="2")
        ping(relay, "hangs", status="success", rid="2")
        data_of(relay.delete("/api/v1/jobs/retired"))
        run_until(relay, back_at + SEEN + 1)
        yield Day(prometheus, began_at, back_at, time.time())


def run_until(relay: RelayProcess, end: float) -> None:
    """Let a job be well until a moment."""
    while time.time() < end:
        run_once(relay, "steady", **EXPECTED)
        time.sleep(0.3)


# runs.md: 15
def test_an_alert_on_an_overdue_job_begins_and_ends(day: Day) -> None:
    late_at = day.began_at + LATE
    assert not day.fires("JobOverdue", "comes back", late_at - 0.2)
    assert day.fires("JobOverdue", "comes back", late_at + SEEN)
    assert day.fires("JobOverdue", "comes back", day.back_at)
    assert not day.fires("JobOverdue", "comes back", day.back_at + SEEN)


# runs.md: 19
def test_an_alert_on_a_job_that_never_ran_goes_on(day: Day) -> None:
    for at in (day.began_at + SEEN, day.back_at, day.over_at):
        assert day.fires("JobNeverRan", "never", at)
        assert not day.fires("JobOverdue", "never", at)


# runs.md: 10
def test_an_alert_on_an_abandoned_run_ends_with_a_later_success(day: Day) -> None:
    abandoned_at = day.began_at + LIMIT
    assert not day.fires("JobAbandoned", "hangs", abandoned_at - 0.2)
    assert day.fires("JobAbandoned", "hangs", abandoned_at + SEEN)
    assert day.fires("JobAbandoned", "hangs", day.back_at)
    assert not day.fires("JobAbandoned", "hangs", day.back_at + SEEN)


# runs.md: 23
def test_all_alerts_on_a_retired_job_end(day: Day) -> None:
    assert day.fires("JobOverdue", "retired", day.back_at)
    query = '{job="retired",__name__!="ALERTS_FOR_STATE"}'
    assert day.prometheus.query(query, day.back_at)
    assert not day.prometheus.query(query, day.back_at + SEEN)


# runs.md: 22
@pytest.mark.parametrize("job", ["paused", "steady"])
def test_no_alert_fires_for_a_paused_job_or_one_that_is_well(
    day: Day, job: str
) -> None:
    [(_, running)] = day.prometheus.query(
        f'count_over_time(pushrelay_job_overdue{{job="{job}"}}[5m])', day.over_at
    )
    assert running
    assert not day.ever_fired(job)


def test_prometheus_has_nothing_to_complain_about(day: Day) -> None:
    log = day.prometheus.log.read_text()
    assert "level=warn" not in log
    assert "level=error" not in log
