"""What clients send and do not read takes no more memory than it may."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from crowd_use import (
    CONNECTIONS,
    HALF_HEAD,
    check_service,
    exceeded,
    gauge,
    own_page,
    push,
    wait_for_requests,
)
from raw_clients import PATIENCE, Clients, is_waiting, received, statuses
from relay_process import RelayProcess, StartRelay
from waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("unmeasured")]


def test_large_bodies_give_up_before_small_ones(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.incoming-bytes=1000000")
    clients = Clients(relay, stack)
    head = HALF_HEAD + b"Content-Length: 900000\r\n\r\n"
    small = clients.send(head + b"#" * 100_000)
    large = clients.send(head + b"#" * 600_000)
    wait_until(lambda: gauge(relay, CONNECTIONS) >= 2)
    more = clients.send(head + b"#" * 500_000)
    answer = received(large)
    assert statuses(answer) == [503]
    assert answer.endswith(
        b"the requests on their way take 1000000 bytes already, and this one most of "
        b"them; try again later\n"
    )
    assert is_waiting(small)
    assert is_waiting(more)
    check_service(relay)
    assert exceeded(relay, "incoming_bytes") == 1
    more.close()
    wait_until(lambda: gauge(relay, CONNECTIONS) <= 2)
    small.sendall(b"#" * 799_999 + b"\n")
    assert statuses(small.recv(4096)) == [200]


def test_large_heads_give_up_too(start_relay: StartRelay, stack: ExitStack) -> None:
    relay = start_relay("--limit.incoming-bytes=1000000")
    clients = Clients(relay, stack)
    long = HALF_HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 50_000) for n in range(8))
    waiting = [clients.send(long) for _ in range(4)]
    check_service(relay)
    wait_until(lambda: exceeded(relay, "incoming_bytes") >= 2)
    ends = [b"" if is_waiting(client) else received(client) for client in waiting]
    assert sorted(map(statuses, ends)) == [[], [], [503], [503]]
    # When they are at their ends, all of it is free again.
    for client in waiting:
        client.close()
    body = b"#" * 899_999 + b"\n"
    wait_until(lambda: relay.put("/metrics/job/large", body).status == 200)


def test_the_answer_that_waits_for_longest_is_cut_off(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--limit.slow-readers=2")
    body = "".join(f'large{{l="{"v" * 1000}{n}"}} {n}\n' for n in range(5000))
    for number in range(3):
        assert relay.put(f"/metrics/job/large-{number}", body).status == 200
    clients = Clients(relay, stack)
    scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    readers = []
    for _ in range(4):
        readers.append(clients.send(scrape, receive_buffer=65536))
        assert readers[-1].recv(10).startswith(b"HTTP/1.1 2")
    wait_until(lambda: exceeded(relay, "slow_readers") >= 2)
    ends = [received(reader).endswith(b"\r\n0\r\n\r\n") for reader in readers]
    assert ends == [False, False, True, True]
    wait_for_requests(relay, 0)


def test_what_is_sent_ahead_waits_outside(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay()
    client = Clients(relay, stack).send(b"")
    client.setblocking(False)
    request = b"GET /-/healthy HTTP/1.1\r\nHost: relay\r\n\r\n"
    many = request * 20_000
    sent = answered = 0
    until = time.monotonic() + PATIENCE
    while answered < 500 and time.monotonic() < until:
        with suppress(BlockingIOError):
            sent += client.send(many[sent % len(request) :])
        try:
            answered += client.recv(1 << 20).count(b"HTTP/1.1 200")
        except BlockingIOError:
            time.sleep(0.001)
    # What the kernel holds of both sides is some MB.
    assert answered >= 500
    assert sent - answered * len(request) < 20_000_000


def test_a_thousand_pushes_in_one_write_are_answered_in_order(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay("--database.sync=normal")
    requests, expected = [], []
    for number in range(1000):
        is_good = number % 3 > 0
        body = b"x %d\n" % number if is_good else b"no\n"
        requests.append(push("ahead", body))
        expected.append(200 if is_good else 400)
    last = b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    client = socket.create_connection((relay.host, relay.port), 60)
    stack.enter_context(client)
    client.sendall(b"".join(requests) + last)
    assert statuses(received(client)) == [*expected, 200]
    assert 'x{instance="",job="ahead"} 998\n' in relay.page()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"".join(b"X-%d: y\r\n" % n for n in range(101)), 431),
        (b"X: " + b"y" * 200_000 + b"\r\n", 431),
        (b"".join(b"X-%d: %s\r\n" % (n, b"y" * 60_000) for n in range(40)), 414),
        # Whatever comes with its last byte.
        (b"".join(b"X-%d: %s\r\n" % (n, b"y" * 60_000) for n in range(22)), 414),
    ],
    ids=["many fields", "a long field", "a long head", "a head just too long"],
)
def test_heads_that_are_too_large_are_refused(
    start_relay: StartRelay, stack: ExitStack, fields: bytes, status: int
) -> None:
    relay = start_relay()
    client = Clients(relay, stack).send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
    with suppress(ConnectionError):
        client.sendall(fields + b"\r\n")
    assert statuses(received(client)) == [status]
    check_service(relay)


def _memory(relay: RelayProcess) -> float:
    found = re.search(r"^process_resident_memory_bytes (\S+)$", own_page(relay), re.M)
    assert found
    return float(found[1])


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("PUT /metrics/job/a", b"#" * 999_999 + b"\n", 200),
        ("PUT /metrics/job/a", b"#" * 999_999 + b"\nbad", 400),
        ("GET /-/healthy", b"#" * 200_000, 200),
        ("GET / HTTP/1.1\r\n" + f"X: {'y' * 120_000}\r\n" * 2 + "bad", b"", 400),
    ],
    ids=["a push", "a refused push", "a body that nobody reads", "a bad head"],
)
def test_nothing_is_left_of_connections_that_have_ended(
    start_relay: StartRelay, head: str, body: bytes, status: int
) -> None:
    relay = start_relay()
    fields = f"Host: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    request = f"{head} HTTP/1.1\r\n{fields}".encode() + body

    def send(times: int) -> None:
        for _ in range(times):
            assert relay.send(request).status == status

    send(20)
    before = _memory(relay)
    send(200)
    # Of each, a fifth of what it sent at most.
    assert _memory(relay) < before + 200 * len(request) / 5


def test_bodies_that_are_hardly_more_than_chunk_sizes_are_refused(
    start_relay: StartRelay, stack: ExitStack
) -> None:
    relay = start_relay()
    client = Clients(relay, stack).send(HALF_HEAD + b"Transfer-Encoding: chunked\r\n")
    client.sendall(b"\r\n")
    with suppress(ConnectionError):
        client.sendall(b"1\r\n#\r\n" * 100_000 + b"0\r\n\r\n")
    answer = received(client)
    assert statuses(answer) == [400]
    assert answer.endswith(b"the chunks are too small for what they bring")
    check_service(relay)
