"""The work both servers are given.

A push is 25 samples in 10 families: seven gauges of one series, one of two, a counter
with five label sets and a histogram of 11 lines. A large push is 10,000 or 100,000
samples in 100 families of gauges. No two pushes have the same values.

What is not the server's (echo.py measures it, 2026-11-23): the loopback, the wake-ups
and the client take 0.08 ms of every push, 0.02 where other programs keep the CPUs
awake, and 0.2 to 0.5 ms of one of 10,000 samples.
It is in the figures of both servers, so a ratio near 1 shows a little less than the
servers' own: 0.40 against 0.32 ms is 1.25 x, and without the client 1.33 x. wrk
gets 98,000 pushes a second through such a server: it does not limit the throughput.
"""

from __future__ import annotations

import gzip
import random
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from client import Connection, dechunked, pipeline, request

SAMPLES = 25
LARGE = 10_000
HUGE = 100_000
LARGE_FAMILIES = 100
LARGE_PATH = "/metrics/job/bench/instance/large"
CONNECTIONS = 8
INSTALL_WRK = "wrk is not installed (Debian: apt-get install wrk)"

_FILLERS = 32
_COUNTER_LABELS = [
    ("get", 200),
    ("get", 404),
    ("put", 200),
    ("put", 400),
    ("post", 200),
]
_BOUNDS = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "+Inf"]
_TEXT = "text/plain;version=0.0.4"
_PROTOBUF = (
    "application/vnd.google.protobuf;"
    "proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def _scrape(accept: str, coding: str) -> bytes:
    headers = f"Accept: {accept}\r\nAccept-Encoding: {coding}\r\n"
    return request("GET", "/metrics", headers=headers)


SCRAPE = _scrape(_TEXT, "gzip")
SCRAPES = {
    "plain": _scrape(_TEXT, "identity"),
    "gzip": SCRAPE,
    "protobuf": _scrape(_PROTOBUF, "identity"),
    "protobuf with gzip": _scrape(_PROTOBUF, "gzip"),
}


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


def group_path(group: int) -> str:
    """Return the path of one of the benchmark's groups."""
    return f"/metrics/job/bench/instance/host-{group}"


class Pushes:
    """Makes pushes for groups 0 to `groups`, no two with the same values."""

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self._template = push_template()
        # Two runs begin with other values, none of them of unlikely length.
        self._numbers = count(random.randrange(10_000, 50_000))

    def next(self, group: int | None = None) -> bytes:
        """Return a push for `group`, else for any of the groups."""
        body = (self._template % tuple(push_values(next(self._numbers)))).encode()
        target = random.randrange(self._groups) if group is None else group
        return request("PUT", group_path(target), body)


class LargePushes:
    """Makes pushes of many samples to one group; no two have the same values."""

    def __init__(self, samples: int) -> None:
        each = range(samples // LARGE_FAMILIES)
        names = [f"bench_large_{family}" for family in range(LARGE_FAMILIES)]
        self._template = "".join(
            _family(
                name,
                "gauge",
                [
                    f'{name}{{shard="<run>-{series}"}} <value>.{series}5'
                    for series in each
                ],
            )
            for name in names
        ).encode()
        self._numbers = count(time.time_ns() // 1_000_000 % 100_000)

    def next(self) -> bytes:
        """Return a push with the same series as all others of this method."""
        return self._push(b"%09d" % 0)

    def next_cold(self) -> bytes:
        """Return a push of which no series was in any push before."""
        return self._push(b"%09d" % (time.time_ns() // 1_000 % 1_000_000_000))

    def _push(self, run: bytes) -> bytes:
        value = b"%d" % (100_000 + next(self._numbers) % 900_000)
        body = self._template.replace(b"<run>", run).replace(b"<value>", value)
        return request("PUT", LARGE_PATH, body)


def new_series(pushes: int) -> Iterator[bytes]:
    """Yield so many pushes with series that no other has, and the deletions of groups.

    In turn a push replaces the one group they share, and makes a new one that is soon
    deleted again. When all is done, one group is more than before.
    """
    codes = [f'bench_new_total{{run="<run>",code="{n}"}} <value>' for n in range(4)]
    template = _family("bench_new", "gauge", ['bench_new{run="<run>"} <value>'])
    template += _family("bench_new_total", "counter", codes)
    made: deque[str] = deque()
    start = time.time_ns() // 1_000
    for number in range(start, start + pushes):
        body = template.replace("<run>", f"run-{number}").replace(
            "<value>", f"{number % 1_000_000}"
        )
        path = "/metrics/job/bench/instance/new"
        if number % 2:
            path += f"-{number}"
            made.append(path)
        yield request("PUT", path, body.encode())
        # Its push must have been answered, on whichever connection.
        if len(made) > _FILLERS:
            yield request("DELETE", made.popleft())
    for path in made:
        yield request("DELETE", path)


def push_new_series(port: int, pushes: int) -> None:
    """Send what `new_series` makes."""
    pipeline(port, new_series(pushes), CONNECTIONS)


def exposed_samples(port: int) -> int:
    """Return how many of the benchmark's samples a scrape shows."""
    with Connection(port) as connection:
        body = connection.ask(SCRAPE)
    page = body if body.startswith(b"\x1f\x8b") else dechunked(body)
    return gzip.decompress(page).count(b"\nbench_")


def fill(port: int, groups: int) -> None:
    """Push once to each of `groups` groups, over many connections."""
    pushes = Pushes(groups)
    pipeline(port, map(pushes.next, range(groups)), _FILLERS)


def repeat(
    measure: Callable[[], float], seconds: float, at_least: int, at_most: int
) -> list[float]:
    """Return what `measure` returned for about so many seconds."""
    end = time.monotonic() + seconds
    measured: list[float] = []
    while len(measured) < at_most:
        if len(measured) >= at_least and time.monotonic() > end:
            break
        measured.append(measure())
    return measured


def percentile(measured: list[float], share: float) -> float:
    """Return what so large a share of `measured` is below."""
    return sorted(measured)[min(len(measured) - 1, int(len(measured) * share))]


def has_wrk() -> bool:
    """Whether throughput can be measured."""
    return shutil.which("wrk") is not None


def throughput(
    port: int,
    seconds: float,
    directory: Path,
    connections: int = CONNECTIONS,
    groups: int = CONNECTIONS,
) -> float:
    """Return the pushes per second that so many busy connections get through, to so
    many groups in turn."""
    template = directory / "push.template"
    template.write_text(push_template())
    script = Path(__file__).with_name("push.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", f"-s{script}"]
    command += [f"http://127.0.0.1:{port}", "--", str(template)]
    command += [str(time.time_ns()), str(groups)]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"pushes failed under load:\n{report}")
    found = re.search(r"Requests/sec: +([\d.]+)", report)
    assert found is not None
    return float(found[1])
