"""A run counts once, however the relay died while it was reported."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from relay_process import RelayProcess
from run_http import finish, new_id, report

pytestmark = pytest.mark.system

ROUNDS = 5
REPORTERS = 4


@dataclass
class Reporter:
    """Reports runs of a job of its own, and all of them again after a failure."""

    job: str
    reported: dict[str, Any] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)

    def run(self, relay: RelayProcess) -> None:
        """Report until the relay is gone."""
        try:
            while True:
                id_ = new_id()
                self.reported[id_] = finish(self.job)
                report(relay, self.reported[id_], id_)
                self.acknowledged.add(id_)
        except (OSError, EOFError):
            return

    def report_again(self, relay: RelayProcess) -> None:
        for id_, document in self.reported.items():
            is_replay = report(relay, document, id_)["replayed"]
            assert is_replay or id_ not in self.acknowledged
            self.acknowledged.add(id_)


# exec.md: 15
def test_each_run_counts_once_after_all_are_reported_again(tmp_path: Path) -> None:
    reporters = [Reporter(f"job{number}") for number in range(REPORTERS)]
    relay = RelayProcess(tmp_path)
    try:
        for _ in range(ROUNDS):
            relay.start()
            threads = [
                threading.Thread(target=reporter.run, args=(relay,))
                for reporter in reporters
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.2)
            relay.kill()
            for thread in threads:
                thread.join()
            relay.start()
            for reporter in reporters:
                reporter.report_again(relay)
            page = relay.page()
            for reporter in reporters:
                labels = f'instance="",job="{reporter.job}"'
                total = f'pushrelay_job_runs_total{{{labels},outcome="success"}}'
                assert f"{total} {len(reporter.reported)}\n" in page
            relay.kill()
    finally:
        relay.kill()
    assert all(len(reporter.reported) > ROUNDS for reporter in reporters)
