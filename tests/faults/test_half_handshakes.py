"""Clients that never end their TLS handshake disturb nobody."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from certificates import make_ca, make_certificate
from raw_clients import received
from tls_use import HOST, TLSRelay, client_context

pytestmark = pytest.mark.system

IDLE_SECONDS = 1.0


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TLSRelay]:
    directory = tmp_path_factory.mktemp("tls-relay")
    ca = make_ca(directory)
    make_certificate(ca, "server", f"DNS:{HOST}")
    text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
    flag = f"--limit.idle-seconds={IDLE_SECONDS}"
    with TLSRelay(directory, text, client_context(ca), flag) as relay:
        yield relay


def hello() -> bytes:
    """Return what a client says first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["nothing", "half", "all"])
def test_a_handshake_must_end_in_time(relay: TLSRelay, share: float) -> None:
    said = hello()
    with ExitStack() as stack:
        shaking: list[socket.socket] = []
        for _ in range(300):
            shaking.append(stack.enter_context(relay.connect_without_tls()))
            shaking[-1].sendall(said[: int(len(said) * share)])
        assert relay.put("/metrics/job/served", "x 1\n").status == 200
        assert relay.get("/metrics").status == 200
        for client in shaking:
            received(client)
    assert relay.put("/metrics/job/served", "x 1\n").status == 200
