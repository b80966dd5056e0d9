"""Connections with TLS: to a relay, and without a network."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from certificates import Certificate, make_ca, make_certificate
from relay_process import ANSWER_DEADLINE, PushgatewayProcess, RelayProcess, Response

from pushrelay.web.tls import LiveContext
from pushrelay.web.web_config import read_web_config

HOST = "localhost"


@dataclass(frozen=True)
class Files:
    """Certificates in a directory."""

    directory: Path
    ca: Certificate
    server: Certificate
    client: Certificate

    def context(self, settings: str = "", certificate: str = "server") -> LiveContext:
        """Return what makes connections as the file says with `settings`."""
        file = self.directory / "web.yml"
        file.write_text(
            f"tls_server_config:\n  cert_file: {certificate}.pem\n"
            f"  key_file: {certificate}.key\n{settings}"
        )
        made = read_web_config(file).tls
        assert made is not None
        return LiveContext(made)


def make_files(directory: Path, *names: str) -> Files:
    """Make a CA in `directory`, and certificates of a server and of a client with these
    names."""
    ca = make_ca(directory)
    server = make_certificate(ca, "server", f"DNS:{HOST}")
    client = make_certificate(ca, "client", *names, client=True)
    return Files(directory, ca, server, client)


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


class _WithWebConfig(RelayProcess):
    """A server with a web configuration file, web.yml in its directory.

    client: how it is connected to; None where there is no TLS. user: with a password,
        as who it is asked by default; empty for nobody.
    """

    def __init__(
        self,
        directory: Path,
        text: str,
        client: ssl.SSLContext | None,
        *flags: str,
        user: str = "",
    ) -> None:
        self.file = directory / "web.yml"
        self.file.write_text(text)
        super().__init__(directory, f"--web.config.file={self.file}", *flags)
        self.client = client
        self.user = user
        # Wrong passwords are counted by address.
        self.source = ""

    def connect(self) -> socket.socket:
        """Return a new connection."""
        plain = self.connect_without_tls()
        if self.client is None:
            return plain
        return self.client.wrap_socket(plain, server_hostname=HOST)

    def connect_without_tls(self) -> socket.socket:
        """Return a new connection as it is before a handshake."""
        address, source = (self.host, self.port), (self.source, 0)
        return socket.create_connection(address, ANSWER_DEADLINE, source)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Send a request as the user."""
        own = {"Authorization": basic(self.user)} if self.user else {}
        return super().request(method, target, body, {**own, **(headers or {})})

    @contextmanager
    def asked_by(self, user: str, source: str) -> Iterator[None]:
        """Ask it as `user`, from the address `source`, as long as it lasts."""
        was = self.user, self.source
        self.user, self.source = user, source
        yield
        self.user, self.source = was


class TLSRelay(_WithWebConfig):
    """A relay, likewise."""


class TLSPushgateway(_WithWebConfig, PushgatewayProcess):
    """A real Pushgateway, likewise."""


def basic(user: str | bytes) -> str:
    """Return the header Authorization for `user`, a name and a password."""
    data = user if isinstance(user, bytes) else user.encode()
    return f"Basic {b64encode(data).decode()}"
