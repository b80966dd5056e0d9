"""A relay with TLS: its deadlines, its end, and who does not speak TLS."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from certificates import Certificate, make_ca, make_certificate
from tls_use import TLSRelay, client_context
from waiting import wait_until

pytestmark = pytest.mark.system

PLAIN = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
HEADERS = "http_server_config: {headers: {X-Frame-Options: deny}}\n"
HEAD = b"GET /-/healthy HTTP/1.1\r\nHost: relay\r\n"
METRIC = "pushrelay_web_config_last_reload_successful"

StartTLS = Callable[..., TLSRelay]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def start(
    ca: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartTLS]:
    """Start a relay with TLS; it ends with the module."""
    with ExitStack() as relays:

        def start(text: str = PLAIN, *flags: str) -> TLSRelay:
            directory = tmp_path_factory.mktemp("relay")
            for each in make_certificate(ca, "server", "DNS:localhost").pair:
                each.rename(directory / each.name)
            flags = flags or ("--limit.idle-seconds=1.5",)
            relay = TLSRelay(directory, text, client_context(ca), *flags)
            relay.start()
            relays.callback(relay.kill)
            return relay

        yield start


@pytest.fixture(scope="module")
def relay(start: StartTLS) -> TLSRelay:
    return start(PLAIN + HEADERS)


def end(relay: TLSRelay) -> None:
    """Ask the relay to end, and wait until it has heard it."""
    assert relay.process is not None
    relay.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Handling signal: term" in relay.log)


def test_pushes_and_scrapes_go_over_tls(relay: TLSRelay) -> None:
    body = "".join(f'value{{n="{n}"}} 7\n' for n in range(20_000))
    assert relay.put("/metrics/job/tls", body).status == 200
    assert relay.page().count('job="tls"') == 20_002


def test_who_does_not_speak_tls_is_told_so(relay: TLSRelay) -> None:
    with relay.connect_without_tls() as connection:
        connection.sendall(HEAD + b"\r\n")
        answer = b""
        while not answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n"):
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")


def test_every_answer_has_the_headers_that_were_set(relay: TLSRelay) -> None:
    for answered, status in (
        (relay.get("/-/healthy"), 200),
        (relay.get("/nowhere"), 404),
        (relay.get("/"), 200),
        (relay.get("/static/base.css"), 200),
        (relay.put("/metrics/job/a", "x"), 400),
        (relay.send(b"GET\r\n\r\n"), 400),
        (relay.send(HEAD + b"Host: b\r\n\r\n"), 400),
    ):
        assert (answered.status, answered.header("X-Frame-Options")) == (status, "deny")


def test_certificates_are_renewed_under_way(start: StartTLS) -> None:
    relay = start()
    with relay.connect() as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        fresh_ca = make_ca(relay.directory, "next")
        fresh = make_certificate(fresh_ca, "fresh", "DNS:localhost")
        for ours, theirs in zip(fresh.pair, ("server.pem", "server.key"), strict=True):
            (relay.directory / theirs).write_text(ours.read_text())
        relay.client = client_context(fresh_ca)
        wait_until(lambda: "configuration file was read" in relay.log)
        assert relay.get("/-/healthy").status == 200
        # A kept connection outlives the certificate it was made with.
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")

    (relay.directory / "server.pem").write_text("")
    wait_until(lambda: f"{METRIC} 0\n" in relay.get("/-/metrics").text)
    assert "tls_server_config.cert_file: has no certificate in it" in relay.log
    assert "Traceback" not in relay.log


def test_half_handshakes_hold_nobody_up_and_end_in_time(relay: TLSRelay) -> None:
    with ExitStack() as connections:
        half = [
            connections.enter_context(relay.connect_without_tls()) for _ in range(200)
        ]
        for number, each in enumerate(half):
            # A hello that never ends, or none at all.
            if number % 2:
                each.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert relay.put("/metrics/job/meanwhile", "x 1\n").status == 200
        for each in half:
            assert each.recv(1) == b""


def test_half_handshakes_take_no_more_than_half_of_the_connections(
    start: StartTLS,
) -> None:
    relay = start(PLAIN, "--limit.connections=20", "--limit.idle-seconds=30")
    with relay.connect() as kept, ExitStack() as connections:
        half = [
            connections.enter_context(relay.connect_without_tls()) for _ in range(40)
        ]
        ended = 0
        for each in half[10:]:
            ended += each.recv(1) == b""
        assert ended == 30
        # Who is connected goes on, and counts those that were not let in.
        kept.sendall(
            b"GET /-/metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"
        )
        page = kept.makefile("rb").read().decode()
        assert 'pushrelay_limit_exceeded_total{limit="connections"} 30\n' in page
        half[0].close()
        wait_until(lambda: _lets_in(relay))


def _lets_in(relay: TLSRelay) -> bool:
    try:
        return relay.get("/-/healthy").status == 200
    except (OSError, EOFError):
        return False


def test_who_connects_and_who_pushes_when_it_ends_is_answered(start: StartTLS) -> None:
    relay = start()
    body = b"value 7\n"
    head = f"PUT /metrics/job/late HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    with ExitStack() as connections:
        idle = connections.enter_context(relay.connect())
        idle.sendall(HEAD + b"\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        pushing = connections.enter_context(relay.connect())
        pushing.sendall(head.encode() + b"\r\n\r\n" + body[:3])
        silent = connections.enter_context(relay.connect())
        assert relay.get("/-/healthy").status == 200
        end(relay)
        silent.sendall(HEAD + b"\r\n")
        assert silent.recv(4096).startswith(b"HTTP/1.1 200")
        pushing.sendall(body[3:])
        assert pushing.recv(4096).startswith(b"HTTP/1.1 200")
        # None of them says goodbye, and the idle one was not waited for.
        assert relay.wait() == 0
    relay.start()
    assert 'value{instance="",job="late"} 7\n' in relay.page()


def test_who_is_about_to_shake_hands_when_it_ends_is_answered(start: StartTLS) -> None:
    relay = start()
    with relay.connect_without_tls() as plain:
        # It has been accepted once a later one is answered.
        assert relay.get("/-/healthy").status == 200
        end(relay)
        wait_until(lambda: _lets_nobody_in(relay))
        with relay.client.wrap_socket(plain, server_hostname="localhost") as shaken:
            shaken.sendall(HEAD + b"\r\n")
            assert shaken.recv(4096).startswith(b"HTTP/1.1 200")
        assert relay.wait() == 0


def _lets_nobody_in(relay: TLSRelay) -> bool:
    try:
        socket.create_connection((relay.host, relay.port), 0.2).close()
    except OSError:
        return True
    return False


def test_the_end_resets_nobody_who_has_connected(start: StartTLS) -> None:
    relay = start()
    answered = [0] * 4

    def ask_until_refused(client: int) -> None:
        while True:
            try:
                plain = socket.create_connection((relay.host, relay.port), 1)
            except OSError:
                return
            plain.settimeout(30)
            with relay.client.wrap_socket(plain, server_hostname="localhost") as made:
                made.sendall(HEAD + b"\r\n")
                assert made.recv(4096).startswith(b"HTTP/1.1 200")
                answered[client] += 1

    with ThreadPoolExecutor(len(answered)) as pool:
        asking = [pool.submit(ask_until_refused, n) for n in range(len(answered))]
        wait_until(lambda: min(answered) > 5, "an answer to each")
        assert relay.stop() == 0
        for each in asking:
            each.result()


def test_a_slow_reader_has_all_of_its_answer_and_a_silent_one_is_left(
    relay: TLSRelay,
) -> None:
    body = "".join(f'value{{n="{n:0100}"}} 7\n' for n in range(10_000))
    assert relay.put("/metrics/job/slow", body).status == 200
    asked = b"GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n"
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        plain.settimeout(30)
        plain.connect((relay.host, relay.port))
        with relay.client.wrap_socket(plain, server_hostname="localhost") as slow:
            slow.sendall(asked)
            received = slow.recv(1000)
            # Longer than the relay waits for a goodbye.
            time.sleep(1.5)
            while data := slow.recv(64 * 1024):
                received += data
    assert received.count(b'job="slow"') == 10_002
    assert received.endswith(b"\n")

    with relay.connect_without_tls() as plain:
        made = relay.client.wrap_socket(
            plain.dup(), server_hostname="localhost", suppress_ragged_eofs=False
        )
        made.sendall(HEAD + b"Connection: close\r\n\r\n")
        assert made.recv(4096).startswith(b"HTTP/1.1 200")
        began_at = time.monotonic()
        assert made.read() == b""
        # The goodbye was said, and then it goes without ours.
        plain.settimeout(30)
        assert plain.recv(4096) == b""
        assert time.monotonic() - began_at < 20
        made.close()


def test_who_ends_its_side_before_the_answer_is_no_error(relay: TLSRelay) -> None:
    with relay.connect() as connection:
        connection.sendall(b"PUT /metrics/job/gone HTTP/1.1\r\nHost: x\r\n")
        connection.sendall(b"Content-Length: 4\r\n\r\nx 1\n")
        assert isinstance(connection, ssl.SSLSocket)
        # Its answer may come instead of a goodbye.
        with suppress(OSError):
            connection.unwrap().close()
    wait_until(lambda: 'push_time_seconds{instance="",job="gone"}' in relay.page())


def test_nothing_of_it_was_an_error(relay: TLSRelay) -> None:
    assert relay.stop() == 0
    assert "Traceback" not in relay.log
    assert "level=error" not in relay.log
    assert "eof_received" not in relay.log
