"""The server process: its sockets, its signals, its deadlines for request heads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from relay_process import REPOSITORY, RelayProcess, StartRelay, free_port
from waiting import wait_until

from pushrelay.errors import StartupError
from pushrelay.web.server import listen

HEAD = b"GET /-/healthy HTTP/1.1\r\nHost: relay\r\n"


@pytest.mark.parametrize(
    "address", ["9091", "localhost", ":http", "::1:9091", "host:70000", ""]
)
def test_an_address_that_is_none_is_refused_with_examples(address: str) -> None:
    with pytest.raises(StartupError, match=r"is not HOST:PORT.*127\.0\.0\.1:9091"):
        listen(address)


def test_an_address_in_use_is_named() -> None:
    with listen("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartupError, match=f"{address}: Address already in use"):
            listen(address)


def test_an_empty_host_is_every_address() -> None:
    with listen(":0") as listener:
        port = listener.getsockname()[1]
        families = {socket.AF_INET: "127.0.0.1"}
        if socket.has_dualstack_ipv6():
            families[socket.AF_INET6] = "::1"
        for family, host in families.items():
            with socket.socket(family) as client:
                client.connect((host, port))


def test_a_hangup_keeps_address_and_groups(start_relay: StartRelay) -> None:
    relay = start_relay()
    relay.put("/metrics/job/kept", "value 1\n")
    assert relay.process is not None
    relay.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "nothing is reloaded" not in relay.log:
        assert time.monotonic() < deadline, relay.log
        time.sleep(0.02)
    assert "Worker exiting" not in relay.log
    assert 'value{instance="",job="kept"} 1\n' in relay.page()
    assert relay.running


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_is_replaced(
    start_relay: StartRelay, sent: signal.Signals
) -> None:
    relay = start_relay()
    relay.put("/metrics/job/kept", "value 1\n")
    assert relay.process is not None
    children = Path(f"/proc/{relay.process.pid}/task/{relay.process.pid}/children")
    worker = children.read_text().split()[0]
    os.kill(int(worker), sent)
    wait_until(lambda: children.read_text().split() not in ([], [worker]))
    assert 'value{instance="",job="kept"} 1\n' in relay.page()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_idle_connections_do_not_hold_up_the_end(
    start_relay: StartRelay, sent: signal.Signals
) -> None:
    relay = start_relay()
    with ExitStack() as connections:
        for _ in range(5):
            connection = socket.create_connection((relay.host, relay.port), 5)
            connections.enter_context(connection)
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert relay.process is not None
        relay.process.send_signal(sent)
        assert relay.wait() == 0


def test_a_push_under_way_is_finished_before_the_end(start_relay: StartRelay) -> None:
    relay = start_relay()
    body = b"value 7\n"
    head = f"PUT /metrics/job/late HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    with socket.create_connection((relay.host, relay.port), 10) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body[:3])
        # The head has been read once the server has asked for the rest.
        assert relay.get("/-/healthy").status == 200
        assert relay.process is not None
        relay.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while "shutting down" not in relay.log:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection.sendall(body[3:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert relay.wait() == 0
    relay.start()
    assert 'value{instance="",job="late"} 7\n' in relay.page()


def test_who_has_connected_is_answered_before_the_end(start_relay: StartRelay) -> None:
    relay = start_relay()
    with socket.create_connection((relay.host, relay.port), 10) as connection:
        # It has been accepted once a later one is answered.
        assert relay.get("/-/healthy").status == 200
        assert relay.process is not None
        relay.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in relay.log)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert relay.wait() == 0


def test_the_end_resets_nobody_who_has_connected(start_relay: StartRelay) -> None:
    relay = start_relay()

    answered = [0] * 8

    def ask_until_refused(client: int) -> None:
        while True:
            try:
                connection = socket.create_connection((relay.host, relay.port), 1)
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                connection.sendall(HEAD + b"\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
                answered[client] += 1

    with ThreadPoolExecutor(len(answered)) as pool:
        asking = [pool.submit(ask_until_refused, n) for n in range(len(answered))]
        wait_until(lambda: min(answered) > 10, "an answer to each")
        assert relay.stop() == 0
        for each in asking:
            each.result()


def test_late_heads_are_refused_and_silent_connections_closed(
    start_relay: StartRelay,
) -> None:
    relay = start_relay("--limit.idle-seconds=0.3")
    with ExitStack() as connections:
        silent, half, later = (
            connections.enter_context(
                socket.create_connection((relay.host, relay.port), 5)
            )
            for _ in range(3)
        )
        half.sendall(HEAD)
        later.sendall(HEAD + b"\r\n")
        assert later.recv(4096).startswith(b"HTTP/1.1 200")
        later.sendall(HEAD)
        assert half.recv(4096).startswith(b"HTTP/1.1 408")
        assert later.recv(4096).startswith(b"HTTP/1.1 408")
        assert silent.recv(4096) == b""


def test_a_head_that_trickles_must_end_in_time(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.request-seconds=0.5", "--limit.idle-seconds=0.4")
    with socket.create_connection((relay.host, relay.port), 5) as connection:
        connection.sendall(HEAD)
        connection.settimeout(0.05)
        deadline = time.monotonic() + 5
        answer = b""
        while not answer:
            assert time.monotonic() < deadline, "no answer to a trickling head"
            connection.sendall(b"X: y\r\n")
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_kept_connection_may_rest_for_longer_than_a_head(
    start_relay: StartRelay,
) -> None:
    relay = start_relay("--limit.idle-seconds=0.3")
    with socket.create_connection((relay.host, relay.port), 5) as connection:
        for _ in range(2):
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.7)
        connection.sendall(HEAD)
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_requests_sent_at_once_leave_turns_to_others(start_relay: StartRelay) -> None:
    relay = start_relay()
    with ExitStack() as connections:
        greedy, other = (
            connections.enter_context(
                socket.create_connection((relay.host, relay.port), 5)
            )
            for _ in range(2)
        )
        request = HEAD + b"\r\n"
        # Far more work than the other's request, and less than a socket's buffer.
        greedy.sendall(request * 2_000)
        answers = greedy.recv(4096)
        other.sendall(request)
        assert other.recv(4096).startswith(b"HTTP/1.1 200")
        greedy.setblocking(False)
        while True:
            try:
                answers += greedy.recv(1_000_000)
            except BlockingIOError:
                break
        assert answers.count(b"HTTP/1.1 200") < 2_000


def test_a_half_sent_body_is_refused(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.idle-seconds=0.3")
    response = relay.send(
        b"PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nval"
    )
    assert response.status == 408
    assert "did not come in time" in response.text
    assert relay.groups() == []


def test_a_target_over_the_limit_is_refused(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.target-bytes=70000")
    assert relay.put("/metrics/job/" + "x" * 60_000, "value 1\n").status == 200
    assert relay.put("/metrics/job/" + "x" * 70_000, "value 1\n").status == 414
    endless = b"GET /" + b"x" * 2_000_000
    assert relay.send(endless).status == 414
    assert len(relay.groups()) == 1


def test_sockets_of_systemd_are_served(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "--web.systemd-socket")
    # What systemd does: pass descriptor 3, and name the process that may take it.
    activate = (
        "import os, socket, sys\n"
        f"listener = socket.create_server(('127.0.0.1', {relay.port}))\n"
        "os.dup2(listener.fileno(), 3)\n"
        "os.set_inheritable(3, True)\n"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'pushrelay', *sys.argv[1:]])\n"
    )
    command = [sys.executable, "-c", activate, "serve", "--web.systemd-socket"]
    with relay.log_path.open("wb") as log:
        relay.process = subprocess.Popen(
            [*command, f"--database.url=sqlite:///{relay.database}"],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        relay.wait_until_ready("/-/ready")
        assert relay.stop() == 0
    finally:
        relay.kill()


def test_without_a_socket_of_systemd_the_start_fails(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pushrelay", "serve", "--web.systemd-socket"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "systemd passed no socket" in result.stderr


def test_two_relays_of_one_database_show_the_same(tmp_path: Path) -> None:
    first = RelayProcess(tmp_path)
    with first:
        second = RelayProcess(tmp_path)
        second.port = free_port()
        with second:
            first.put("/metrics/job/a", "# TYPE value gauge\nvalue 1\n")
            assert 'value{instance="",job="a"} 1\n' in second.page()
            refused = second.put("/metrics/job/b", "# TYPE value counter\nvalue 2\n")
            assert refused.status == 400
            second.delete("/metrics/job/a")
            assert "# TYPE value " not in first.page()


def test_clients_that_do_not_wait_for_their_answer_leave_nothing_behind(
    start_relay: StartRelay,
) -> None:
    relay = start_relay()
    before = open_files(relay)
    for number in range(50):
        with socket.create_connection((relay.host, relay.port), 5) as connection:
            head = (
                f"PUT /metrics/job/j{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 4"
            )
            connection.sendall(f"{head}\r\n\r\nx 1\n".encode())
    deadline = time.monotonic() + 5
    while open_files(relay) > before + 5:
        assert time.monotonic() < deadline, "connections stay open"
        time.sleep(0.05)


def open_files(relay: RelayProcess) -> float:
    [line] = [n for n in relay.page().splitlines() if n.startswith("process_open_fds ")]
    return float(line.split()[1])
