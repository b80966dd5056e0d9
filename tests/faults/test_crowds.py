"""More clients than the relay takes at once: some are refused, and nobody else."""

from __future__ import annotations

import os
import resource
import socket
import time
from contextlib import ExitStack

import pytest
from crowd_use import (
    BUSY,
    CONNECTIONS,
    HALF_BODY,
    HALF_HEAD,
    check_service,
    exceeded,
    gauge,
    locked,
    push,
    stopped,
    wait_for_requests,
)
from raw_clients import Clients, is_waiting, received, statuses
from relay_process import StartRelay
from waiting import wait_until
from worker_process import worker_of

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("unmeasured")]


def test_more_requests_than_are_served_at_once_are_refused(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.requests=2", BUSY)
    clients = Clients(relay, stack)
    with locked(relay):
        # Those whose body is still to come do not count.
        late = [clients.send(HALF_BODY) for _ in range(5)]
        wait_for_requests(relay, 0)
        waiting = [clients.send(push(f"waits-{n}")) for n in range(2)]
        wait_for_requests(relay, 2)
        refused = relay.put("/metrics/job/more", "x 1\n")
        assert refused.status == 503
        assert refused.header("Retry-After") == "5"
        assert refused.text == (
            "the relay serves 2 requests at once already; try again later\n"
        )
        # Scrapes have places of their own, and probes need none.
        assert relay.get("/-/healthy").status == 200
        assert relay.get("/metrics").status == 200
    for client in waiting:
        assert statuses(client.recv(4096)) == [200]
    assert all(map(is_waiting, late))
    late[0].sendall(b"y 1\n\n")
    assert statuses(late[0].recv(4096)) == [200]
    assert exceeded(relay, "requests") == 1
    assert {"job": "more"} not in relay.grouping_keys()
    wait_for_requests(relay, 0)


@pytest.mark.parametrize(
    ("flag", "limit", "told"),
    [
        ("--limit.queued-writes=3", "queued_writes", "3 writes wait"),
        ("--limit.queued-bytes=100", "queued_bytes", "bytes of series wait"),
    ],
)
def test_more_writes_than_may_wait_are_refused(
    start_relay: StartRelay, stack: ExitStack, flag: str, limit: str, told: str
) -> None:
    relay = start_relay(flag, BUSY)
    clients = Clients(relay, stack)
    with locked(relay):
        # The writer has taken it once it waits for the database.
        waiting = [clients.send(push("first"))]
        wait_for_requests(relay, 1)
        time.sleep(0.1)
        waiting += [clients.send(push(f"waits-{n}", b"x 1\n")) for n in range(3)]
        wait_for_requests(relay, 4)
        refused = relay.put("/metrics/job/more", "x 1\n")
        assert refused.status == 503
        assert refused.header("Retry-After") == "5"
        assert refused.text.startswith("the relay has more waiting than it can write: ")
        assert told in refused.text
    for client in waiting:
        assert statuses(client.recv(4096)) == [200]
    assert exceeded(relay, limit) == 1
    check_service(relay)


def test_the_connection_that_was_idle_for_longest_makes_room(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.connections=8")
    clients = Clients(relay, stack)
    idle = [clients.send(push("kept")) for _ in range(8)]
    for client in idle:
        assert statuses(client.recv(4096)) == [200]
    # This one has been idle for the shortest time from now on.
    idle[0].sendall(push("kept"))
    assert statuses(idle[0].recv(4096)) == [200]
    check_service(relay)
    assert received(idle[1]) == b""
    assert is_waiting(idle[0])
    assert gauge(relay, CONNECTIONS) <= 8
    assert exceeded(relay, "connections") >= 1


@pytest.mark.parametrize(
    ("sent", "answers"), [(b"", []), (HALF_HEAD, [503]), (HALF_BODY, [])]
)
def test_slow_connections_make_room(
    start_relay: StartRelay, stack: ExitStack, sent: bytes, answers: list[int]
) -> None:
    relay = start_relay("--limit.connections=8")
    clients = Clients(relay, stack)
    slow = [clients.send(sent) for _ in range(100)]
    check_service(relay)
    assert statuses(received(slow[0])) == answers
    still = [client for client in slow if is_waiting(client)]
    assert still == slow[-len(still) :]
    assert len(still) < 8


def test_without_any_idle_one_a_new_connection_is_refused(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.connections=3", BUSY)
    clients = Clients(relay, stack)
    with locked(relay):
        busy = [clients.send(push(f"waits-{n}")) for n in range(3)]
        more = clients.send(b"")
        answer = received(more)
        assert statuses(answer) == [503]
        assert b"\r\nRetry-After: 5\r\n" in answer
        assert answer.endswith(b"as many connections as it can; try again later\n")
    for client in busy:
        assert statuses(client.recv(4096)) == [200]
    check_service(relay)


def test_clients_may_come_all_at_once(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay()
    clients = Clients(relay, stack)
    with stopped(worker_of(relay)):
        # The kernel takes them until the relay does, or they would try again later.
        together = [clients.send(push(f"of-{n % 50}")) for n in range(1500)]
    for client in together:
        assert statuses(client.recv(4096)) == [200]
    assert len(relay.grouping_keys()) == 50


def test_thousands_of_connections_may_be_left_open(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    # One relay has as many open files as the system lets it, and so may this process.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    relay = start_relay()
    clients = Clients(relay, stack)
    number = min(10_000, hard - 200)
    left: list[socket.socket] = []
    while len(left) < number:
        # Woken for each, it would take turns with this process, and minutes.
        with stopped(worker_of(relay)):
            for _ in range(min(1500, number - len(left))):
                # Of some, the head has begun.
                left.append(clients.send(HALF_HEAD if len(left) % 2 else b""))
        # Whoever asks is one more, and has made room for itself.
        wait_until(lambda: gauge(relay, CONNECTIONS) >= min(len(left), number - 1))
    check_service(relay)
    assert exceeded(relay, "connections") >= 1
    assert is_waiting(left[-1])
    for client in left:
        client.close()
    wait_until(lambda: gauge(relay, CONNECTIONS) < 10)


def test_files_that_are_used_up_end_nothing(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay()
    worker = worker_of(relay)
    check_service(relay)
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{worker}/fd"))
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 5, before[1]))
    clients = Clients(relay, stack)
    opened = [clients.send(HALF_HEAD) for _ in range(50)]
    # Those that cannot be accepted are closed, and the relay does not try for ever.
    wait_until(lambda: not is_waiting(opened[-1]), "the end of a connection")
    spent = processor_seconds(worker)
    time.sleep(0.5)
    assert processor_seconds(worker) - spent < 0.3
    for client in opened:
        client.close()
    wait_until(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= used)
    check_service(relay)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    check_service(relay)
    assert len(relay.log.splitlines()) < 50


def processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_process_that_may_have_few_files_says_so(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What this process may have, the relay raises again as far as the second goes.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    relay = start_relay(f"--limit.connections={hard}")
    assert f"only {hard - 100} connections are possible" in relay.log
    assert resource.prlimit(worker_of(relay), resource.RLIMIT_NOFILE)[0] == hard
