"""What does the client of these benchmarks itself add to the time of a push?

Serves a trivial asyncio server, which answers every request at once and looks at none,
and measures pushes to it as bench.py does. What is left is the loopback, the event
loop's two wake-ups and the client.

    .venv/bin/python benchmarks/echo.py

Conclusion (2026-11-23, two CPUs): 79 to 83 µs of every push in four runs, of which 28
to 39 are the client's processor time, and 0.2 to 0.5 ms of a push of 10,000 samples.
Most of it is waking up: where other programs keep both CPUs awake it is 20 µs. So
bench.py measures it again in each run.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import load
from client import Connection
from load import LargePushes, Pushes
from servers import Server

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Echo(Server):
    """A server that does nothing with what it is sent."""

    name = "echo"

    def command(self) -> list[str]:
        return [sys.executable, __file__, str(self.port)]


class _Answering(asyncio.Protocol):
    """Answers each request when the last byte of it has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = 0
        self._length = 0

    def data_received(self, data: bytes) -> None:
        if not self._received:
            head, _, _ = data.partition(b"\r\n\r\n")
            found = re.search(rb"\nContent-Length: *(\d+)", head)
            self._length = len(head) + 4 + (int(found[1]) if found else 0)
        self._received += len(data)
        if self._received >= self._length:
            self._received = 0
            self._transport.write(ANSWER)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", port)
    await server.serve_forever()


def client_share(directory: Path, pushes: int = 2_000) -> tuple[float, float, float]:
    """Return the median seconds of a push to a server that does nothing, the client's
    processor time of one, and the median seconds of a push of 10,000 samples."""
    small, large = Pushes(1), LargePushes(load.LARGE)
    times, spent, heavy = [], [], []
    server = Echo(directory / Echo.name)
    server.start()
    try:
        with Connection(server.port) as connection:
            for push in map(small.next, [0] * pushes):
                before = time.thread_time()
                times.append(connection.time(push))
                spent.append(time.thread_time() - before)
            heavy = [connection.time(large.next()) for _ in range(20)]
    finally:
        server.stop()
    return median(times), median(spent), median(heavy)


def main() -> None:
    """Serve on the port that is given, or measure."""
    if len(sys.argv) > 1:
        asyncio.run(_serve(int(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory(prefix="pushrelay-bench-") as name:
        time_, own, heavy = client_share(Path(name))
    print(f"a push takes {time_ * 1e6:.0f} µs, of it the client's own {own * 1e6:.0f}")
    print(f"a push of {load.LARGE:,} samples takes {heavy * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
