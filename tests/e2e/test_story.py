"""One story from the first scrape to the message: jobs do well and badly, and the real
Prometheus, Alertmanager and node_exporter do what contrib tells them.

All of it happens once, and is looked at when it is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from alertmanager_process import Told
from run_http import data_of, jobs_of
from story import SHARDS, Neighbours, missing_programs
from waiting import DEADLINE, wait_until
from wrapped import children_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(missing_programs()), reason=f"no {missing_programs()}"),
]

NEVER = """
[[jobs]]
match = 'job="never ran"'
every = "1s"
grace = "0s"
"""

TOLD = {
    ("JobOverdue", "missing"): "pages",
    ("JobOverdue", "retired"): "pages",
    ("JobNeverRan", "never ran"): "pages",
    ("JobAbandoned", "hangs"): "pages",
    ("JobAbandoned", "loses its wrapper"): "pages",
    ("JobFailing", "fails thrice"): "pages",
    ("JobFailed", "fails"): "tickets",
    ("JobFailed", "is killed"): "tickets",
    ("JobKilled", "is killed"): "tickets",
    ("JobOverlaps", "runs twice"): "tickets",
}
"""Alerts on jobs, and who is told of them."""

ENDING = [
    ("JobOverdue", "missing"),
    ("JobOverdue", "retired"),
    ("JobAbandoned", "hangs"),
    ("JobAbandoned", "loses its wrapper"),
    ("JobFailing", "fails thrice"),
    ("JobFailed", "fails"),
    ("JobFailed", "is killed"),
]
"""Alerts that end when the job succeeds, or is retired."""

Alerts = list[dict[str, Any]]
Series = list[tuple[dict[str, str], float]]


@dataclass
class Story:
    """What was seen of it.

    told: all messages; told_badly: those until jobs do well. active: alerts just before
    that; targets: what was scraped then; by_textfile: of a job that knows no relay.
    Logs are from before the relay ends, and the rest from after that.
    """

    told: list[Told]
    told_badly: list[Told] = field(default_factory=list)
    active: Alerts = field(default_factory=list)
    targets: Series = field(default_factory=list)
    by_textfile: Series = field(default_factory=list)
    active_without_relay: Alerts = field(default_factory=list)
    known_without_relay: Series = field(default_factory=list)
    prometheus_log: str = ""
    alertmanager_log: str = ""

    def messages(self, alert: str, job: str, status: str = "firing") -> list[Told]:
        """Return what was told of an alert on a job."""
        return [
            told
            for told in self.told
            if told.status == status
            and (told.labels["alertname"], told.labels.get("job")) == (alert, job)
        ]


def active_in(alerts: Alerts) -> set[tuple[str, str]]:
    """Return names and jobs of the alerts that nothing holds back."""
    return {
        (alert["labels"]["alertname"], alert["labels"].get("job", ""))
        for alert in alerts
        if alert["status"]["state"] == "active"
    }


def named(alerts: Alerts, name: str, job: str) -> dict[str, Any]:
    """Return the first alert of this name on `job`."""
    return next(
        alert for alert in on_job(alerts, job) if alert["labels"]["alertname"] == name
    )


def on_job(alerts: Alerts, job: str) -> Alerts:
    """Return the alerts on `job`."""
    return [alert for alert in alerts if alert["labels"].get("job") == job]


def held_back_by(alerts: Alerts, name: str, job: str) -> set[str]:
    """Return the names of the alerts that hold this one back."""
    by = named(alerts, name, job)["status"]["inhibitedBy"]
    return {one["labels"]["alertname"] for one in alerts if one["fingerprint"] in by}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """What came to pass. The tests tell what did not."""
    with Neighbours(tmp_path_factory.mktemp("story"), NEVER) as neighbours:
        story = Story(neighbours.webhook.told)
        alerts = neighbours.alertmanager.alerts
        twice = do_badly(neighbours)
        prometheus = neighbours.watch()
        # Two runs at the same time are counted when both have ended.
        prometheus.wait_for('pushrelay_job_overlaps_total{job="runs twice"}')
        for process in twice:
            process.communicate(timeout=DEADLINE)
        prometheus.wait_for('{job="on paper"}')
        patiently(lambda: all(story.messages(*key) for key in TOLD))
        patiently(lambda: active_in(alerts()) >= TOLD.keys())
        story.active, story.told_badly = alerts(), [*story.told]
        # Not at this moment alone: a scrape may fail while the machine is busy.
        story.targets = prometheus.query("max_over_time(up[1h]) == 1")
        story.by_textfile = prometheus.query('{job="on paper"}')
        do_well(neighbours)
        patiently(lambda: all(story.messages(*key, "resolved") for key in ENDING))
        story.prometheus_log = prometheus.log.read_text()
        story.alertmanager_log = neighbours.alertmanager.log
        neighbours.relay.stop()
        patiently(lambda: len(story.messages("PushrelayDown", "pushrelay")) >= SHARDS)
        patiently(lambda: not on_job(alerts(), "never ran"))
        story.active_without_relay = alerts()
        story.known_without_relay = prometheus.query('{__name__=~"pushrelay_job_.*"}')
        return story


def do_badly(neighbours: Neighbours) -> list[subprocess.Popen[bytes]]:
    """Let jobs do badly in each way that there is; return the runs of one that wait for
    their input to end."""
    start = neighbours.jobs.start
    start("hangs", "sleep 600", "--max-runtime=2s")
    alone = start("loses its wrapper", "sleep 600", "--max-runtime=2s")
    killed = start("is killed", "sleep 600")
    twice = [start("runs twice", "cat"), start("runs twice", "cat")]
    often = ("--every=2s", "--grace=1s")
    brief = [
        start("does well", "true", "--every=1h"),
        *(start(job, "true", *often) for job in ("missing", "retired", "paused")),
        start("fails", "exit 3"),
        start("fails thrice", "exit 3", "--retries=2", "--retry-delay=0s"),
        start("on paper", "exit 3", by_textfile=True),
    ]
    wait_until(lambda: children_of(killed.pid))
    [command] = children_of(killed.pid)
    os.kill(command, signal.SIGKILL)
    wait_until(lambda: "loses its wrapper" in jobs_of(neighbours.relay))
    alone.kill()
    for process in (*brief, alone, killed):
        process.wait(DEADLINE)
    data_of(neighbours.relay.post("/api/v1/jobs/paused/pause?until=1h"))
    return twice


def do_well(neighbours: Neighbours) -> None:
    """Let all jobs succeed that have an alert which ends by that; retire another."""
    for job in {job for _, job in ENDING} - {"retired"}:
        neighbours.jobs.start(job, "true", "--every=1h")
    data_of(neighbours.relay.delete("/api/v1/jobs/retired"))


def patiently(is_so: Callable[[], object]) -> None:
    """Return when something is so, or never will be."""
    deadline = time.monotonic() + DEADLINE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)


def test_prometheus_finds_the_relay_in_shards(story: Story) -> None:
    instances = {
        labels["instance"].partition("/")[2]
        for labels, _ in story.targets
        if labels["job"] == "pushrelay"
    }
    assert instances == {"shard-0", "shard-1"}


# runs.md: 10, 15, 19
@pytest.mark.parametrize(("alert", "job"), TOLD)
def test_who_should_be_is_told_of_an_alert(story: Story, alert: str, job: str) -> None:
    told = story.messages(alert, job)
    assert {each.receiver for each in told} == {TOLD[alert, job]}
    assert all(each.group == {"job": job} for each in told)
    assert (alert, job) in active_in(story.active)


@pytest.mark.parametrize(("alert", "job"), TOLD)
def test_a_message_says_which_job_and_what_to_do(
    story: Story, alert: str, job: str
) -> None:
    annotations = story.messages(alert, job)[0].annotations
    assert job in annotations["summary"]
    assert job in annotations["description"]
    assert annotations["runbook_url"].endswith(f"#{alert.lower()}")


# runs.md: 10, 15, 23
@pytest.mark.parametrize(("alert", "job"), ENDING)
def test_the_end_of_an_alert_is_told_once_the_job_is_well_or_retired(
    story: Story, alert: str, job: str
) -> None:
    assert story.messages(alert, job, "resolved")


# runs.md: 22
@pytest.mark.parametrize("job", ["does well", "paused"])
def test_a_job_that_does_well_or_is_paused_is_never_heard_of(
    story: Story, job: str
) -> None:
    assert not [told for told in story.told if told.labels.get("job") == job]


def test_nobody_gets_a_ticket_for_what_there_is_a_page_of(story: Story) -> None:
    by = held_back_by(story.active, "JobFailed", "fails thrice")
    assert by == {"JobFailing"}
    # When both end, Alertmanager may look in between.
    told = [
        each for each in story.told_badly if each.labels.get("job") == "fails thrice"
    ]
    assert {each.labels["alertname"] for each in told} == {"JobFailing"}


def test_a_job_that_knows_no_relay_is_seen_by_node_exporter(story: Story) -> None:
    exit_codes = {
        (labels["job"], labels["instance"]): value
        for labels, value in story.by_textfile
        if labels["__name__"] == "pushrelay_job_last_exit_code"
    }
    assert exit_codes == {("on paper", "db1"): 3}


def test_all_shards_of_a_relay_that_is_down_are_one_message(story: Story) -> None:
    told = story.messages("PushrelayDown", "pushrelay")
    assert {each.receiver for each in told} == {"pages"}
    assert len({each.labels["instance"] for each in told}) == SHARDS
    assert all(each.group == {"alertname": "PushrelayDown"} for each in told)


def test_alerts_on_jobs_are_held_back_while_the_relay_is_down(story: Story) -> None:
    by = held_back_by(story.active_without_relay, "JobOverlaps", "runs twice")
    assert by == {"PushrelayDown"}


def test_alerts_on_what_the_relay_says_now_end_with_it(story: Story) -> None:
    assert on_job(story.active, "never ran")
    assert not on_job(story.active_without_relay, "never ran")
    jobs = {labels["job"] for labels, _ in story.known_without_relay}
    assert jobs == {"on paper"}


def test_the_neighbours_have_nothing_to_complain_about(story: Story) -> None:
    assert "level=warn" not in story.prometheus_log
    assert "level=error" not in story.prometheus_log + story.alertmanager_log
