"""A relay as a child process, and HTTP without a library's good manners.

`http.client` normalises what it sends and hides what it received; here a request
is bytes and a response is what came back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
START_DEADLINE = 30.0
STOP_DEADLINE = 30.0
ANSWER_DEADLINE = 30.0


@dataclass
class Response:
    """One final response; `informational` are the 1xx statuses before it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    informational: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        """Return the value of the header `name`, or None; it must not repeat."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class HTTPClient:
    """Sends requests to one server, a connection each."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """Return a new connection."""
        address = (self.host, self.port)
        return socket.create_connection(address, timeout=ANSWER_DEADLINE)

    def send(self, request: bytes, *, half_close: bool = False) -> Response:
        """Send exactly `request` and return the final response to it.

        half_close: whether to tell the server that nothing more will come.
        """
        with self.connect() as connection:
            # It may be refused before all of it was read; the answer is there then.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            bodiless = request.startswith(b"HEAD ")
            with connection.makefile("rb") as stream:
                return _read_response(stream, bodiless=bodiless)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Send a request; `target` goes on the wire as it is."""
        if isinstance(body, str):
            body = body.encode()
        fields = {"Host": self.address, "Connection": "close", **(headers or {})}
        if body is not None and "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(body))
        head = [f"{method} {target} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        return self.send("\r\n".join([*head, "", ""]).encode() + (body or b""))

    def get(self, target: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("GET", target, headers=headers)

    def put(
        self,
        target: str,
        body: bytes | str = b"",
        headers: dict[str, str] | None = None,
    ) -> Response:
        return self.request("PUT", target, body, headers)

    def post(
        self,
        target: str,
        body: bytes | str = b"",
        headers: dict[str, str] | None = None,
    ) -> Response:
        return self.request("POST", target, body, headers)

    def delete(self, target: str) -> Response:
        return self.request("DELETE", target)

    def page(self, accept: str = "") -> str:
        """Return the exposition, which must be there."""
        response = self.get("/metrics", {"Accept": accept} if accept else None)
        assert response.status == 200, response.text
        return response.text

    def groups(self) -> list[dict[str, Any]]:
        """Return what the query API knows of all groups."""
        response = self.get("/api/v1/metrics")
        assert response.status == 200, response.text
        groups: list[dict[str, Any]] = json.loads(response.body)["data"]
        return groups

    def group(self, /, **labels: str) -> dict[str, Any] | None:
        """Return what the query API knows of the group `labels`, or None."""
        found = [group for group in self.groups() if group["labels"] == labels]
        assert len(found) <= 1
        return found[0] if found else None

    def grouping_keys(self) -> list[dict[str, str]]:
        """Return the labels of all groups, sorted by name and value."""
        return sorted((group["labels"] for group in self.groups()), key=by_labels)

    def wipe(self) -> None:
        """Delete all groups."""
        response = self.request("PUT", "/api/v1/admin/wipe")
        assert response.status == 202, response.text


class RelayProcess(HTTPClient):
    """A relay in a process group of its own, with its database in `directory`."""

    program: tuple[str, ...] = ("-m", "pushrelay")
    """What Python is told to run; it gets the command line of pushrelay."""

    def __init__(self, directory: Path, *flags: str) -> None:
        super().__init__("127.0.0.1", free_port())
        self.directory = directory
        self.database = directory / "relay.db"
        self.log_path = directory / "relay.log"
        self.flags = flags
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line that starts it."""
        return [
            *(sys.executable, *self.program, "serve"),
            f"--web.listen-address={self.address}",
            f"--database.url=sqlite:///{self.database}",
            *self.flags,
        ]

    def start(self, ready: str = "/-/ready") -> RelayProcess:
        """Start it and wait until it answers 200 at the path `ready`."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready(ready)
        return self

    def wait_until_ready(self, path: str) -> None:
        """Wait until it answers 200 at `path`; it must have been started."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and self.running:
            try:
                if self.get(path).status == 200:
                    return
            except (OSError, EOFError):
                pass  # not listening yet
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the relay did not become ready:\n{self.log}")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait(self) -> int:
        """Wait until it has ended by itself and return its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the relay did not end:\n{self.log}") from None

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit status."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it and its children at once (SIGKILL), whatever they are doing."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self) -> RelayProcess:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.kill()


class PushgatewayProcess(RelayProcess):
    """A real Pushgateway, which keeps nothing."""

    executable = shutil.which("prometheus-pushgateway")

    def command(self) -> list[str]:
        assert self.executable is not None
        return [
            self.executable,
            f"--web.listen-address={self.address}",
            # Debian's would write to /var/lib.
            "--persistence.file=",
            *self.flags,
        ]


StartRelay = Callable[..., RelayProcess]
"""Starts a relay with the flags given; `ready` names the path that says when."""


def by_labels(labels: dict[str, str]) -> list[tuple[str, str]]:
    """Return what grouping keys are sorted by in comparisons."""
    return sorted(labels.items())


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read_response(stream: Any, *, bodiless: bool) -> Response:
    informational = []
    while True:
        status, headers = _read_head(stream)
        if status >= 200:
            break
        informational.append(status)
    fields = {name.lower(): value for name, value in headers}
    if bodiless or status in (204, 304):
        body = b""
    elif fields.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(stream)
    elif "content-length" in fields:
        length = int(fields["content-length"])
        body = stream.read(length)
        assert len(body) == length, "the body is shorter than its Content-Length"
    else:
        body = stream.read()
    return Response(status, headers, body, informational)


def _read_head(stream: Any) -> tuple[int, list[tuple[str, str]]]:
    line = stream.readline().decode("latin-1")
    if not line:
        raise EOFError("the connection was closed without an answer")
    match = re.fullmatch(r"HTTP/1\.[01] (\d{3})( [^\r]*)?\r\n", line)
    assert match, f"not a status line: {line!r}"
    headers = []
    while (line := stream.readline().decode("latin-1")) != "\r\n":
        name, colon, value = line.rstrip("\r\n").partition(":")
        assert colon, f"not a header: {line!r}"
        headers.append((name, value.strip()))
    return int(match[1]), headers


def _read_chunks(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        assert stream.readline() == b"\r\n"
    while stream.readline() not in (b"\r\n", b""):
        pass
    return body
