"""The work both servers are given, and a client that costs little itself.

`http.client` takes longer for a push than either server does, so requests are bytes on
a socket that is kept open, and nothing of a request is built while the clock runs.
"""

from __future__ import annotations

import gzip
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

SAMPLES = 25
LARGE_FAMILIES = 100
LARGE_SERIES = 100
CONNECTIONS = 8
INSTALL_WRK = "wrk is not installed (Debian: apt-get install wrk)"

_COUNTER_LABELS = [
    ("get", 200),
    ("get", 404),
    ("put", 200),
    ("put", 400),
    ("post", 200),
]
_BOUNDS = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "+Inf"]
_TIMEOUT = 120.0


def _family(name: str, type_: str, samples: list[str]) -> str:
    help_ = f"# HELP {name} What a batch job tells of its {type_}s.\n"
    return f"{help_}# TYPE {name} {type_}\n" + "".join(f"{s}\n" for s in samples)


def push_template() -> str:
    """Return a push of SAMPLES samples in 10 families, with a place for each value.

    Python's % and Lua's string.format read it alike; `push_values` has the values.
    """
    families = [
        _family(f"bench_gauge_{n}", "gauge", [f"bench_gauge_{n} %.3f"])
        for n in range(7)
    ]
    two = [f'bench_queue_length{{queue="{q}"}} %.3f' for q in ("high", "low")]
    families.append(_family("bench_queue_length", "gauge", two))
    five = [
        f'bench_requests_total{{method="{method}",code="{code}"}} %d'
        for method, code in _COUNTER_LABELS
    ]
    families.append(_family("bench_requests_total", "counter", five))
    lines = [f'bench_step_seconds_bucket{{le="{bound}"}} %d' for bound in _BOUNDS]
    lines += ["bench_step_seconds_sum %.3f", "bench_step_seconds_count %d"]
    families.append(_family("bench_step_seconds", "histogram", lines))
    return "".join(families)


def push_values(number: int) -> list[float]:
    """Return the values of the push `number`: none is that of the push before."""
    values = [number * 10.0 + place for place in range(SAMPLES)]
    # The histogram's count is its last bucket.
    values[-1] = values[-3]
    return values


def large_body(number: int) -> bytes:
    """Return a push of 10,000 samples, the values changing with `number`."""
    return "".join(
        _family(
            f"bench_large_{family}",
            "gauge",
            [
                f'bench_large_{family}{{shard="{series}"}} {number + series}.25'
                for series in range(LARGE_SERIES)
            ],
        )
        for family in range(LARGE_FAMILIES)
    ).encode()


def group_path(group: int) -> str:
    """Return the path of one of the benchmark's groups."""
    return f"/metrics/job/bench/instance/host-{group}"


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return a whole request."""
    length = f"Content-Length: {len(body)}\r\n" if method != "GET" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n"
    return head.encode() + body


SCRAPE = request(
    "GET",
    "/metrics",
    headers="Accept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n",
)


class Pushes:
    """Makes pushes for groups 0 to `groups`, no two with the same values."""

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self._template = push_template()
        # No two runs begin with the same values.
        self._numbers = count(time.time_ns() // 1_000_000 % 1_000_000_007)

    def next(self, group: int | None = None) -> bytes:
        """Return a push for `group`, else for each group in turn."""
        number = next(self._numbers)
        body = (self._template % tuple(push_values(number))).encode()
        # The stride jumps from one end of the store to the other.
        target = number * 7919 % self._groups if group is None else group
        return request("PUT", group_path(target), body)


class Connection:
    """One kept-alive connection to a server on the loopback."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """Send `request`; return the body of the answer, which must be a success."""
        self.send(request)
        return self.receive()

    def time(self, request: bytes) -> float:
        """Return the seconds until the answer to `request` is complete."""
        started = time.perf_counter()
        self.ask(request)
        return time.perf_counter() - started

    def send(self, request: bytes) -> None:
        """Send `request` and do not wait."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Return the body of the next answer as it came; it must be a success."""
        received = self._read()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._read()
        head = received[:end].lower()
        if not head.startswith(b"http/1.1 20"):
            raise RuntimeError(f"the server refused: {received[:500]!r}")
        length = re.search(rb"\ncontent-length: *(\d+)", head)
        if length is None:
            return self._rest_of_chunks([received[end + 4 :]])
        return self._rest(received[end + 4 :], int(length[1]))

    def _rest(self, received: bytes, length: int) -> bytes:
        parts, missing = [received], length - len(received)
        while missing > 0:
            parts.append(self._read())
            missing -= len(parts[-1])
        return b"".join(parts)

    def _rest_of_chunks(self, parts: list[bytes]) -> bytes:
        while not b"".join(parts[-2:]).endswith(b"0\r\n\r\n"):
            parts.append(self._read())
        return b"".join(parts)

    def _read(self) -> bytes:
        received = self._socket.recv(1 << 20)
        if not received:
            raise ConnectionError("the server closed the connection")
        return received


def dechunked(body: bytes) -> bytes:
    """Return what a chunked `body` carries."""

    def chunks() -> Iterator[bytes]:
        position = 0
        while True:
            end = body.index(b"\r\n", position)
            size = int(body[position:end], 16)
            if not size:
                return
            yield body[end + 2 : end + 2 + size]
            position = end + 4 + size

    return b"".join(chunks())


def exposed_samples(port: int) -> int:
    """Return how many of the benchmark's samples a scrape shows."""
    with Connection(port) as connection:
        body = connection.ask(SCRAPE)
    page = body if body.startswith(b"\x1f\x8b") else dechunked(body)
    return len(re.findall(rb"^bench_", gzip.decompress(page), re.M))


def fill(port: int, groups: int) -> None:
    """Push once to each of `groups` groups, over a few connections."""
    pushes = Pushes(groups)
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    for first in range(0, groups, CONNECTIONS):
        busy = connections[: groups - first]
        for offset, connection in enumerate(busy):
            connection.send(pushes.next(first + offset))
        for connection in busy:
            connection.receive()
    for connection in connections:
        connection.__exit__()


def repeat(
    measure: Callable[[], float], seconds: float, at_least: int, at_most: int
) -> list[float]:
    """Return what `measure` returned for about so many seconds."""
    end = time.monotonic() + seconds
    measured = []
    while len(measured) < at_most:
        if len(measured) >= at_least and time.monotonic() > end:
            break
        measured.append(measure())
    return measured


def has_wrk() -> bool:
    """Whether throughput can be measured."""
    return shutil.which("wrk") is not None


def throughput(port: int, seconds: float, directory: Path) -> float:
    """Return the pushes per second that CONNECTIONS busy connections get through."""
    template = directory / "push.template"
    template.write_text(push_template())
    script = Path(__file__).with_name("push.lua")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"-s{script}"]
    command += [f"http://127.0.0.1:{port}", "--", str(template), str(time.time_ns())]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"pushes failed under load:\n{report}")
    found = re.search(r"Requests/sec: +([\d.]+)", report)
    assert found is not None
    return float(found[1])
