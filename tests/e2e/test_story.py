"""One story from the first scrape to the message: jobs do well and badly, and the real
Prometheus, Alertmanager and node_exporter do what contrib tells them.

All of it happens once, and is looked at when it is over.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from alertmanager_process import Told
from run_http import jobs_of
from story import Neighbours, missing_programs
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

FIRING = {
    ("JobOverdue", "missing"): "pages",
    ("JobOverdue", "never ran"): "pages",
    ("JobAbandoned", "hangs"): "pages",
    ("JobAbandoned", "alone"): "pages",
    ("JobFailing", "fails"): "pages",
    ("JobOverlaps", "twice"): "tickets",
}
"""Who is told of an alert on a job."""

RESOLVED = {key for key in FIRING if key[1] not in ("never ran", "twice")}

Alerts = dict[tuple[str, str], dict[str, Any]]


@dataclass
class Story:
    """What was told of it, and the alerts by name and job: while jobs do badly, and while
    there is no relay."""

    told: list[Told]
    active: Alerts = field(default_factory=dict)
    without_relay: Alerts = field(default_factory=dict)

    def messages(self, alert: str, job: str, status: str = "firing") -> list[Told]:
        """Return what was told of an alert on a job."""
        key = (alert, job, status)
        return [each for each in list(self.told) if key == key_of(each)]


def key_of(told: Told) -> tuple[str, str, str]:
    return told.labels["alertname"], told.labels["job"], told.status


def alerts_of(neighbours: Neighbours) -> Alerts:
    return {
        (alert["labels"]["alertname"], alert["labels"].get("job", "")): alert
        for alert in neighbours.alertmanager.alerts()
    }


def patiently(is_so: Callable[[], object]) -> None:
    """Give something time to be so; the tests tell what was not."""
    deadline = time.monotonic() + DEADLINE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("story")
    t = time.monotonic()
    def note(what):
        print(f"{time.monotonic()-t:.1f} {what}")
    with Neighbours(directory, NEVER) as neighbours:
        note("up")
        story = Story(neighbours.webhook.told)
        do_badly(neighbours)
        note("badly")
        patiently(lambda: all(story.messages(*key) for key in FIRING))
        note("told")
        story.active = alerts_of(neighbours)
        do_well(neighbours)
        note("well")
        patiently(lambda: all(story.messages(*key, "resolved") for key in RESOLVED))
        note("told")
        neighbours.relay.stop()
        note("stopped")
        patiently(lambda: story.messages("PushrelayDown", "pushrelay"))
        note("down")
        story.without_relay = alerts_of(neighbours)
        print(story)
        print(neighbours.prometheus.log.read_text())
        print(neighbours.alertmanager.log)
    note("end")
    yield story


def do_badly(neighbours: Neighbours) -> None:
    """Let jobs fail in each way that there is, while Prometheus starts."""
    start = neighbours.jobs.start
    limit = "--max-runtime=2s"
    hanging = [start("hangs", "sleep 600", limit), start("alone", "sleep 600", limit)]
    twice = [start("twice", "cat"), start("twice", "cat")]
    killed = start("killed", "sleep 600")
    brief = [
        start("well", "true", "--every=1h"),
        start("missing", "true", "--every=2s", "--grace=1s"),
        start("fails", "exit 3", "--retries=2", "--retry-delay=0s"),
        start("on paper", "exit 3", by_textfile=True),
    ]
    wait_until(lambda: children_of(killed.pid))
    [command] = children_of(killed.pid)
    os.kill(command, signal.SIGKILL)
    wait_until(lambda: "alone" in jobs_of(neighbours.relay))
    hanging[1].kill()
    for process in brief:
        process.wait(DEADLINE)
    neighbours.prometheus.wait_for('pushrelay_job_overlaps_total{job="twice"}')
    for process in twice:
        process.communicate(timeout=DEADLINE)


def do_well(neighbours: Neighbours) -> None:
    """Let all jobs succeed that failed."""
    for job in ("hangs", "alone", "missing", "killed", "fails"):
        neighbours.jobs.start(job, "true", "--every=1h")
    neighbours.jobs.start("on paper", "true", by_textfile=True)


@pytest.mark.parametrize(("alert", "job"), FIRING)
def test_somebody_is_told(story: Story, alert: str, job: str) -> None:
    assert story.messages(alert, job)
