"""A real HTTP server that answers what it is told, and notes what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """A request; `headers` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def parameters(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


@dataclass
class Canned:
    """An answer. drops: whether the connection is closed behind it, unannounced."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drops: bool = False


def data(value: Any) -> Canned:
    """Return the answer of the API with this `data`."""
    body = json.dumps({"status": "success", "data": value}).encode()
    return Canned(200, body, {"Content-Type": "application/json"})


def text(status: int, body: str) -> Canned:
    """Return an error as the relay sends it."""
    return Canned(status, body.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def problem(status: int, **members: Any) -> Canned:
    """Return a problem document."""
    body = json.dumps({"status": status, **members}).encode()
    return Canned(status, body, {"Content-Type": "application/problem+json"})


class CannedServer:
    """Serves on the loopback address for as long as its context lasts.

    asked: all requests so far. connections: how many were opened. certificate: a file
    with one and its key, to speak TLS.
    """

    def __init__(
        self, answer: Callable[[Asked], Canned], certificate: Path | None = None
    ) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, answer))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"
        if certificate is not None:
            self.url = f"https://{self.address}"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            # The handshake must not be in the thread that accepts.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> CannedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(
    server: CannedServer, answer: Callable[[Asked], Canned]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else an idle client keeps the server from ending.
        timeout = 5

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def respond(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            server.asked.append(asked)
            canned = answer(asked)
            self.send_response(canned.status)
            for name, value in canned.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(canned.body)))
            self.end_headers()
            self.wfile.write(canned.body)
            self.close_connection = self.close_connection or canned.drops

        do_GET = do_PUT = do_POST = do_DELETE = respond

        def handle(self) -> None:
            # A client that does not trust us is no fault of ours.
            with suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
