"""Clients that are slow, half dead or greedy cost a socket each, and nobody else."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from raw_clients import PATIENCE, Clients, is_waiting, received
from relay_process import RelayProcess

pytestmark = pytest.mark.system

IDLE_SECONDS = 1.0
REQUEST_SECONDS = 2.0
BODY_BYTES = 20_000_000
FLAGS = (
    "--web.enable-admin-api",
    f"--limit.idle-seconds={IDLE_SECONDS}",
    f"--limit.request-seconds={REQUEST_SECONDS}",
    f"--limit.body-bytes={BODY_BYTES}",
)
# So patient that no deadline frees what slow clients hold while others are served.
PATIENT_FLAGS = (
    "--web.enable-admin-api",
    f"--limit.idle-seconds={10 * PATIENCE}",
    f"--limit.request-seconds={10 * PATIENCE}",
)
HALF_REQUESTS = {
    "half a request line": b"PUT /metrics/job/ha",
    "half a head": b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Le",
    "no body": (
        b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    ),
    "half a body": (
        b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx 1\n"
    ),
    "half the chunks": (
        b"PUT /metrics/job/half HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nx 1\n\r\n"
    ),
}


@pytest.fixture(scope="module")
def shared_relay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("relay"), *FLAGS) as relay:
        yield relay


@pytest.fixture
def relay(shared_relay: RelayProcess) -> RelayProcess:
    shared_relay.wipe()
    return shared_relay


@pytest.fixture
def clients(relay: RelayProcess) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(relay, stack)


@pytest.fixture(scope="module")
def shared_patient_relay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RelayProcess]:
    directory = tmp_path_factory.mktemp("patient-relay")
    with RelayProcess(directory, *PATIENT_FLAGS) as relay:
        yield relay


@pytest.fixture
def patient_relay(shared_patient_relay: RelayProcess) -> RelayProcess:
    shared_patient_relay.wipe()
    return shared_patient_relay


@pytest.fixture
def lasting_clients(patient_relay: RelayProcess) -> Iterator[Clients]:
    """Clients of `patient_relay`."""
    with ExitStack() as stack:
        yield Clients(patient_relay, stack)


def check_service(relay: RelayProcess) -> None:
    """Check that probes, pushes and scrapes are answered, well before any deadline of
    a patient relay."""
    started = time.monotonic()
    assert relay.get("/-/healthy").status == 200
    assert relay.get("/-/ready").status == 200
    assert relay.put("/metrics/job/served", "served 1\n").status == 200
    assert relay.get("/metrics").status == 200
    assert relay.get("/").status == 200
    assert time.monotonic() - started < PATIENCE


def test_clients_that_keep_a_closed_connection_open(
    relay: RelayProcess, clients: Clients
) -> None:
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    lingering = [clients.send(request) for _ in range(50)]
    for client in lingering:
        assert received(client).endswith(b"OK")
    check_service(relay)


@pytest.mark.parametrize("sent", HALF_REQUESTS.values(), ids=list(HALF_REQUESTS))
def test_half_a_request_is_answered_408(
    relay: RelayProcess, clients: Clients, sent: bytes
) -> None:
    started = time.monotonic()
    client = clients.send(sent)
    answer = received(client)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert time.monotonic() - started >= IDLE_SECONDS - 0.5
    assert relay.grouping_keys() == []


def half_requests(clients: Clients) -> list[socket.socket]:
    kinds = list(HALF_REQUESTS.values())
    return [clients.send(kinds[number % len(kinds)]) for number in range(500)]


def test_hundreds_of_half_requests_disturb_nobody(
    patient_relay: RelayProcess, lasting_clients: Clients
) -> None:
    waiting = half_requests(lasting_clients)
    check_service(patient_relay)
    assert all(map(is_waiting, waiting))
    assert patient_relay.grouping_keys() == [{"job": "served"}]


def test_hundreds_of_half_requests_are_answered_408(
    relay: RelayProcess, clients: Clients
) -> None:
    for client in half_requests(clients):
        assert received(client).startswith(b"HTTP/1.1 408 ")
    check_service(relay)
    assert relay.grouping_keys() == [{"job": "served"}]


def test_silent_connections_disturb_nobody(
    patient_relay: RelayProcess, lasting_clients: Clients
) -> None:
    silent = [lasting_clients.send(b"") for _ in range(100)]
    check_service(patient_relay)
    assert all(map(is_waiting, silent))


def test_silent_connections_are_closed_without_a_word(
    relay: RelayProcess, clients: Clients
) -> None:
    silent = [clients.send(b"") for _ in range(100)]
    assert {received(client) for client in silent} == {b""}


def test_half_sent_tls_handshakes_disturb_nobody(
    patient_relay: RelayProcess, lasting_clients: Clients
) -> None:
    hello = client_hello()
    shaking = [lasting_clients.send(hello[: len(hello) // 2]) for _ in range(100)]
    check_service(patient_relay)
    for client in shaking:
        answer = b"" if is_waiting(client) else received(client)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def client_hello() -> bytes:
    """Return what a TLS client says first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="relay")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"G"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x"),
        (
            b"PUT /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n",
            b"#",
        ),
        (
            b"PUT /metrics/job/slow HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"1\r\n#\r\n",
        ),
    ],
    ids=["request line", "header", "body", "chunks"],
)
def test_a_request_that_trickles_has_a_deadline_for_the_whole(
    relay: RelayProcess, clients: Clients, head: bytes, drop: bytes
) -> None:
    client = clients.send(head)
    started = time.monotonic()

    def trickle() -> None:
        try:
            while time.monotonic() - started < PATIENCE:
                client.sendall(drop)
                time.sleep(0.1)
        except OSError:
            pass  # closed by the relay

    thread = threading.Thread(target=trickle)
    thread.start()
    answer = received(client)
    client.close()
    thread.join()
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert time.monotonic() - started > REQUEST_SECONDS - 1
    check_service(relay)


def test_a_request_that_comes_in_pieces_is_served(
    relay: RelayProcess, clients: Clients
) -> None:
    request = (
        b"PUT /metrics/job/pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: 9\r\n\r\npieces 1\n"
    )
    client = clients.send(b"")
    for byte in request:
        client.sendall(bytes([byte]))
    assert received(client).startswith(b"HTTP/1.1 200 ")


def test_a_connection_may_rest_between_requests(
    relay: RelayProcess, clients: Clients
) -> None:
    request = b"PUT /metrics/job/kept HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n"
    client = clients.send(request + b"kept 1\n")
    for _ in range(2):
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        time.sleep(IDLE_SECONDS / 2)
        client.sendall(request + b"kept 1\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def slow_readers(relay: RelayProcess, clients: Clients) -> list[socket.socket]:
    """Return clients that have begun to read a page of 15 MB."""
    body = "".join(f'large{{l="{"v" * 1000}{n}"}} {n}\n' for n in range(5000))
    for number in range(3):
        assert relay.put(f"/metrics/job/large-{number}", body).status == 200
    scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    readers = [clients.send(scrape, receive_buffer=65536) for _ in range(8)]
    for reader in readers:
        assert reader.recv(10).startswith(b"HTTP/1.1 2")
    return readers


def test_slow_readers_of_a_large_page_disturb_nobody(
    patient_relay: RelayProcess, lasting_clients: Clients
) -> None:
    readers = slow_readers(patient_relay, lasting_clients)
    check_service(patient_relay)
    assert memory_of(patient_relay) < 500_000_000
    # Nobody was cut off: one that reads on at last gets all of it.
    for reader in readers:
        assert dechunked(received(reader)).count(b"\nlarge{") == 15_000


def dechunked(body: bytes) -> bytes:
    """Return `body` without the lengths of its chunks; text has no CR LF of its own."""
    return re.sub(rb"\r\n[0-9a-f]+\r\n", b"", body)


def test_slow_readers_are_cut_off(relay: RelayProcess, clients: Clients) -> None:
    readers = slow_readers(relay, clients)
    size = len(relay.get("/metrics").body)
    time.sleep(REQUEST_SECONDS)
    for reader in readers:
        assert len(received(reader)) < size
    check_service(relay)


def memory_of(relay: RelayProcess) -> int:
    line = next(
        line
        for line in relay.page().splitlines()
        if line.startswith("process_resident_memory_bytes ")
    )
    return int(float(line.split()[1]))


def test_scrapers_that_leave_in_the_middle_disturb_nobody(
    relay: RelayProcess, clients: Clients
) -> None:
    body = "".join(f'large{{l="{"v" * 1000}{n}"}} {n}\n' for n in range(5000))
    assert relay.put("/metrics/job/large", body).status == 200
    for _ in range(20):
        client = clients.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(1000)
        client.close()
    check_service(relay)


def test_a_slash_in_a_path_is_told_from_its_escape(relay: RelayProcess) -> None:
    assert relay.put("/metrics/job/a%2Fb", "x 1\n").status == 400
    assert relay.put("/metrics/job/a%2Fb%2Fc", "x 1\n").status == 200
    assert relay.put("/metrics/job/d/e%2F%2Ff/g", "x 1\n").status == 200
    assert relay.put("/metrics/job@base64/YS9i", "x 1\n").status == 200
    assert relay.put("/metrics/job/d//f", "x 1\n").status == 307
    assert sorted(map(sorted, (key.items() for key in relay.grouping_keys()))) == [
        [("b", "c"), ("job", "a")],
        [("e", ""), ("f", "g"), ("job", "d")],
        [("job", "a/b")],
    ]


def test_grouping_keys_of_60_kilobytes(relay: RelayProcess) -> None:
    target = f"/metrics/job/{'j' * 60_000}"
    assert relay.put(target, "x 1\n").status == 200
    many = "".join(f"/label{number}/{'v' * 20}" for number in range(200))
    assert relay.put(f"/metrics/job/m{many}", "y 1\n").status == 200
    page = relay.page()
    assert f'x{{instance="",job="{"j" * 60_000}"}} 1\n' in page
    assert ',label199="vvvvvvvvvvvvvvvvvvvv",' in page
    assert relay.delete(target).status == 202
    assert "j" * 60_000 not in relay.page()


ENDLESS_CHUNKS = (
    b"PUT /metrics/job/chunks HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nx 1\n\r\n"
)
LARGE_CHUNK = b"f4240\r\n" + b"#" * 999_999 + b"\n\r\n"


def test_chunks_over_the_limit_are_refused_and_not_cut(
    relay: RelayProcess, clients: Clients
) -> None:
    client = clients.send(ENDLESS_CHUNKS)
    for _ in range(BODY_BYTES // 1_000_000 + 1):
        client.sendall(LARGE_CHUNK)
    client.sendall(b"0\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert relay.grouping_keys() == []
    check_service(relay)


def test_clients_that_never_end_their_chunks_are_cut_off(
    relay: RelayProcess, clients: Clients
) -> None:
    def pour(client: socket.socket) -> None:
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                client.sendall(LARGE_CHUNK)
            endless.append(client)
        except OSError:
            pass  # closed by the relay

    endless: list[socket.socket] = []
    pouring = [
        threading.Thread(target=pour, args=(clients.send(ENDLESS_CHUNKS),))
        for _ in range(4)
    ]
    for thread in pouring:
        thread.start()
    check_service(relay)
    for thread in pouring:
        thread.join()
    assert endless == []
    assert relay.grouping_keys() == [{"job": "served"}]


def test_many_connections_at_once_are_all_served(
    relay: RelayProcess, clients: Clients
) -> None:
    request = (
        "PUT /metrics/job/many-{} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n"
    )
    opened = [
        clients.send(f"{request.format(number)}many 1\n".encode())
        for number in range(300)
    ]
    for client in opened:
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert len(relay.grouping_keys()) == 300


def test_the_relays_have_nothing_to_complain_about(
    relay: RelayProcess, patient_relay: RelayProcess
) -> None:
    for log in (relay.log, patient_relay.log):
        assert "traceback" not in log.lower()
        assert "internal error" not in log


def test_half_requests_do_not_hold_up_the_end_for_long(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, *FLAGS).start()
    with ExitStack() as stack:
        clients = Clients(relay, stack)
        for sent in (b"", *HALF_REQUESTS.values()):
            clients.send(sent)
        assert relay.stop() == 0
