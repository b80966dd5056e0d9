"""Reports of runs: documents as a wrapper sends them, none like another.

Runs go through the jobs in turn; each is reported when it starts and when it has
finished.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from client import Connection, request
from load import CONNECTIONS

_USAGE = {"block_reads": 12, "block_writes": 40, "voluntary_switches": 900}


class RunDocuments:
    """Makes run documents of so many jobs.

    are_expected: whether they say when runs are expected.
    """

    def __init__(self, jobs: int, *, are_expected: bool) -> None:
        self._jobs = jobs
        self._are_expected = are_expected
        self._number = 0
        self._finishes: list[bytes] = []

    def next(self) -> bytes:
        """Return the start of a run, or the end of the one that was started last."""
        if self._finishes:
            return self._finishes.pop()
        start, finish = self._run(self._number)
        self._number += 1
        self._finishes.append(finish)
        return start

    def all_once(self) -> Iterator[bytes]:
        """Yield the documents of one run of each job."""
        return (self.next() for _ in range(2 * self._jobs))

    def _run(self, number: int) -> tuple[bytes, bytes]:
        job, began_at = number % self._jobs, time.time()
        start: dict[str, object] = {
            "job": f"bench-job-{job}",
            "labels": {"instance": f"host-{job % 100}"},
            "state": "started",
            "started_at": began_at,
            "host": f"host-{job % 100}",
        }
        if self._are_expected:
            start["expectation"] = _expectation(job)
        duration = number % 1000 / 1000
        usage = {"user_seconds": duration / 3, "system_seconds": duration / 9, **_USAGE}
        finish = {
            **start,
            "state": "finished",
            # A run of its job may begin in the next millisecond.
            "finished_at": began_at + duration / 1e6,
            "duration_seconds": duration,
            "exit_code": number % 7 % 2,
            "outcome": "failure" if number % 7 % 2 else "success",
            "usage": {**usage, "max_rss_bytes": 10_000_000 + number},
            "output_tail": {"stdout": f"{number} rows imported\n", "stderr": ""},
        }
        path = f"/api/v1/runs/{uuid.uuid4()}"
        return (
            request("PUT", path, json.dumps(start).encode()),
            request("PUT", path, json.dumps(finish).encode()),
        )


def _expectation(job: int) -> dict[str, str]:
    """Return a time of day for each job; none is due while it is measured."""
    return {
        "schedule": f"{job % 60} {job // 60 % 24} * * *",
        "tz": "Europe/Berlin",
        "grace": "3h",
        "max_runtime": "2h",
        "min_interval": "1ms",
    }


def paced(
    port: int, documents: RunDocuments, per_second: float, seconds: float
) -> list[float]:
    """Send so many documents a second over CONNECTIONS connections; return for each
    how long after its turn it was answered, in seconds."""
    wanted = int(per_second * seconds)
    requests = list(islice(iter(documents.next, None), wanted))
    begin = time.perf_counter() + 0.1

    def send(first: int) -> list[float]:
        times = []
        with Connection(port) as connection:
            for number in range(first, wanted, CONNECTIONS):
                turn = begin + number / per_second
                time.sleep(max(turn - time.perf_counter(), 0))
                connection.ask(requests[number])
                times.append(time.perf_counter() - turn)
        return times

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        sent = threads.map(send, range(CONNECTIONS))
        return [seconds for times in sent for seconds in times]
