"""Connections with TLS: to a relay, and without a network."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from certificates import Certificate
from relay_process import RelayProcess

HOST = "localhost"


def client_context(ca: Certificate, own: Certificate | None = None) -> ssl.SSLContext:
    """Return what connects to who has a certificate of `ca`, with one of its own."""
    context = ssl.create_default_context(cafile=ca.certificate)
    if own is not None:
        context.load_cert_chain(*own.pair)
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Connect a client with a server; return the client's end of it.

    Raises the SSLError of who refuses.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = server.wrap_bio(to_server, to_client, server_side=True)
    connected = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    for _ in range(4):
        for each in (connected, served):
            with suppress(ssl.SSLWantReadError):
                each.do_handshake()
    served.write(b"x")
    assert connected.read(1) == b"x"
    return connected


class TLSRelay(RelayProcess):
    """A relay with a web configuration file, web.yml in its directory.

    client: how it is connected to.
    """

    def __init__(
        self, directory: Path, text: str, client: ssl.SSLContext, *flags: str
    ) -> None:
        self.file = directory / "web.yml"
        self.file.write_text(text)
        super().__init__(directory, f"--web.config.file={self.file}", *flags)
        self.client = client

    def connect(self) -> socket.socket:
        """Return a new connection, with TLS."""
        return self.client.wrap_socket(super().connect(), server_hostname=HOST)

    def connect_without_tls(self) -> socket.socket:
        """Return a new connection as it is before a handshake."""
        return super().connect()
