"""What was answered 200 is there after the relay died, and none of it in half."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from relay_process import RelayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("unmeasured")]

ROUNDS = 20
PUSHERS = 8
LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.M)


def body_of(value: int) -> str:
    """A push of several families and series that all say `value`."""
    many = "".join(f'many{{l="{n}"}} {value}\n' for n in range(20))
    return (
        f"# TYPE one gauge\none {value}\n# TYPE many counter\n{many}"
        f"# TYPE sizes summary\nsizes_sum {value}\nsizes_count {value}\n"
        f'# TYPE times histogram\ntimes_bucket{{le="+Inf"}} {value}\n'
        f"times_sum {value}\ntimes_count {value}\n"
    )


LINES_OF_A_PUSH = 1 + 20 + 2 + 3


@dataclass
class Pusher:
    """Pushes ever higher values to a group of its own, and makes and deletes others."""

    number: int
    value: int = 0
    sent: int = 0
    acknowledged: int = 0
    made: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    unexpected: list[tuple[str, int]] = field(default_factory=list)

    @property
    def job(self) -> str:
        return f"pusher-{self.number}"

    def run(self, relay: RelayProcess) -> None:
        """Push until the relay is gone."""
        connection = http.client.HTTPConnection(relay.host, relay.port, timeout=10)
        try:
            while True:
                self._push(connection)
                if self.value % 4 == 0:
                    self._make(connection)
                if self.value % 8 == 0 and self.made:
                    self._delete(connection)
        except (OSError, http.client.HTTPException):
            pass  # killed
        finally:
            connection.close()

    def _request(
        self, connection: http.client.HTTPConnection, method: str, job: str, body: str
    ) -> int:
        connection.request(method, f"/metrics/job/{job}", body)
        response = connection.getresponse()
        response.read()
        if response.status not in (200, 202):
            self.unexpected.append((job, response.status))
        return response.status

    def _push(self, connection: http.client.HTTPConnection) -> None:
        self.value += 1
        self.sent = self.value
        method = "PUT" if self.value % 2 else "POST"
        if self._request(connection, method, self.job, body_of(self.value)) == 200:
            self.acknowledged = self.value

    def _make(self, connection: http.client.HTTPConnection) -> None:
        job = f"made-{self.number}-{self.value}"
        self.doubtful.add(job)
        if self._request(connection, "PUT", job, body_of(self.value)) == 200:
            self.made.add(job)
            self.doubtful.discard(job)

    def _delete(self, connection: http.client.HTTPConnection) -> None:
        job = self.made.pop()
        self.doubtful.add(job)
        if self._request(connection, "DELETE", job, "") == 202:
            self.deleted.add(job)
            self.doubtful.discard(job)


def values_by_job(page: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, labels, value in LINE.findall(page):
        job = re.search(r'job="([^"]*)"', labels)
        if job and not name.startswith(("push_", "pushrelay_")):
            found.setdefault(job[1], []).append(value)
    return found


def check(page: str, pushers: list[Pusher]) -> None:
    """Check that `page` has all that was acknowledged, whole, and nothing else."""
    found = values_by_job(page)
    for job, values in found.items():
        assert len(set(values)) == 1, f"{job} is torn: {values}"
        assert len(values) == LINES_OF_A_PUSH, f"{job} is torn: {len(values)} lines"
    allowed = set()
    for pusher in pushers:
        assert pusher.unexpected == []
        value = int(float(found[pusher.job][0]))
        assert pusher.acknowledged <= value <= pusher.sent
        # What was on its way when the relay died is settled now.
        pusher.acknowledged = value
        pusher.made |= pusher.doubtful & found.keys()
        pusher.doubtful.clear()
        assert pusher.made <= found.keys()
        assert not pusher.deleted & found.keys()
        allowed |= {pusher.job, *pusher.made}
    assert found.keys() == allowed


def push_from_threads(
    relay: RelayProcess, pushers: list[Pusher], end: Callable[[], None], seconds: float
) -> None:
    """Have all pushers push, and after a while `end` the relay."""
    threads = [threading.Thread(target=p.run, args=(relay,)) for p in pushers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    end()
    for thread in threads:
        thread.join()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "--log.level=error")
    pushers = [Pusher(number) for number in range(PUSHERS)]
    try:
        for round_ in range(ROUNDS):
            relay.start()
            if round_:
                check(relay.page(), pushers)
            for pusher in pushers:
                relay.put(f"/metrics/job/{pusher.job}", body_of(pusher.value))
                pusher.acknowledged = pusher.sent = pusher.value
            push_from_threads(relay, pushers, relay.kill, 0.05 + 0.02 * round_)
        relay.start()
        check(relay.page(), pushers)
        assert sum(pusher.value for pusher in pushers) > ROUNDS * PUSHERS
    finally:
        relay.kill()


def test_what_was_acknowledged_survives_sigterm(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "--log.level=error")
    pushers = [Pusher(number) for number in range(PUSHERS)]
    try:
        relay.start()

        def terminate() -> None:
            assert relay.process is not None
            relay.process.send_signal(signal.SIGTERM)

        push_from_threads(relay, pushers, terminate, 0.5)
        assert relay.wait() == 0
        relay.start()
        check(relay.page(), pushers)
    finally:
        relay.kill()


def test_pushes_that_were_begun_are_finished_after_sigterm(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "--log.level=error")
    body = body_of(7).encode()
    try:
        relay.start()
        connections = []
        for number in range(PUSHERS):
            connection = socket.create_connection((relay.host, relay.port), timeout=10)
            head = f"PUT /metrics/job/begun-{number} HTTP/1.1\r\nHost: x\r\n"
            connection.sendall(
                f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:50]
            )
            connections.append(connection)
        # Answered after the requests before it were read.
        assert relay.get("/-/healthy").status == 200
        assert relay.process is not None
        relay.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for connection in connections:
            connection.sendall(body[50:])
            answer = connection.recv(100)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            connection.close()
        assert relay.wait() == 0
        relay.start()
        found = values_by_job(relay.page())
        assert found == {f"begun-{n}": ["7"] * LINES_OF_A_PUSH for n in range(PUSHERS)}
    finally:
        relay.kill()
