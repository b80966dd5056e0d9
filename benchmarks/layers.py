"""Where does the processor time of a push and of a scrape go, layer by layer?

Every layer is called by itself, in one thread, with pushes whose values change; what
is counted is the thread's processor time, so neither the disk nor other programs
matter much. What the HTTP server and the hand-over between threads take is what a
running relay's processes use beyond the sum.

    .venv/bin/python benchmarks/layers.py

Conclusion (2026-11-23): a push that came before takes 0.35 ms of processor time, a
store of 5,000 groups or of one; with 8 connections, which share commits, 0.16. Half of
it is the commit. Read whole, for the first time, it takes 0.23 more. profile.md has the
table and what was tried.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import load
from client import Connection
from load import SCRAPE, Pushes, repeat
from servers import Pushrelay

from pushrelay.aggregation import Mode
from pushrelay.config import Limits, Settings
from pushrelay.exposition.negotiation import PushFormat, negotiate
from pushrelay.exposition.stored import to_payload
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.policies import Policies
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.soundness import check_alone
from pushrelay.store import change_rows as rows_module
from pushrelay.store.engine import open_database
from pushrelay.store.migrate import upgrade
from pushrelay.telemetry import Telemetry
from pushrelay.view.exposition import Exposition
from pushrelay.web.gateway import Gateway
from pushrelay.writes import Push

PUSHES = 1_500
LIMITS = Limits()
SETTINGS = Settings()
READER = PushReader(LIMITS, utf8_names=False)
SIZES = (1, 5_000)
_NOTHING = Push(GroupingKey.of({"job": "x"}), Mode.REPLACE, 1, to_payload([], 1))


class Ledger:
    """Processor microseconds by layer."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    @contextmanager
    def entry(self, layer: str) -> Iterator[None]:
        """Book what the block takes."""
        began = time.thread_time()
        yield
        self.add(layer, time.thread_time() - began)

    def add(self, layer: str, seconds: float) -> None:
        """Book `seconds`."""
        self._spent[layer] = self._spent.get(layer, 0.0) + seconds

    def wrap(self, owner: Any, name: str, layer: str) -> None:
        """Book every call of a function of `owner` from now on."""
        function = getattr(owner, name)

        def booked(*arguments: Any) -> Any:
            with self.entry(layer):
                return function(*arguments)

        setattr(owner, name, booked)

    def clear(self) -> None:
        """Forget what was booked."""
        self._spent.clear()

    def per(self, times: int) -> dict[str, float]:
        """Return microseconds by layer, for each of so many times."""
        return {layer: spent / times * 1e6 for layer, spent in self._spent.items()}


def split(request: bytes) -> tuple[str, bytes]:
    """Return the undecoded path and the body of a push."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode(), body


def push_layers(directory: Path, groups: int) -> tuple[dict[str, float], Relay]:
    """Return microseconds of a push by layer, and the relay they were measured on."""
    database = open_database(f"sqlite:///{directory}/layers-{groups}.db")
    database.create()
    upgrade(database)
    relay = Relay(database, Telemetry())
    relay._refresh()
    pushes, ledger = Pushes(groups), Ledger()
    for group in range(groups):
        commit(relay, pushes.next(group))
    decider = relay._decider
    ledger.wrap(decider, "decide", "check against the store")
    ledger.wrap(decider, "catch_up", "clock query")
    ledger.wrap(decider, "committed", "view")
    ledger.wrap(rows_module, "to_row", "pack into a row")
    try:
        measure_pushes(relay, pushes, ledger)
    finally:
        # The next relay's writer finds the function as it was.
        rows_module.to_row = vars(sys.modules["pushrelay.store.group_rows"])["to_row"]
    spent = ledger.per(PUSHES)
    inner = ("check against the store", "clock query", "view", "pack into a row")
    spent["SQL and commit"] = spent.pop("commit") - sum(spent[name] for name in inner)
    return spent, relay


def measure_pushes(relay: Relay, pushes: Pushes, ledger: Ledger) -> None:
    """Book PUSHES pushes, layer by layer."""
    gateway = gateway_of(relay)
    loop = asyncio.new_event_loop()
    for number in range(-100, PUSHES):
        if number == 0:
            ledger.clear()
        path, body = split(pushes.next())
        with ledger.entry("grouping key, not remembered"):
            key = parse_path(path.removeprefix("/metrics/"))
        with ledger.entry("read by a template"):
            push = read(key, body)
        with ledger.entry("commit"):
            relay._writer._commit([(NOBODY, push)], add_none)
        began = time.thread_time()
        loop.run_until_complete(answer(gateway, path, body))
        ledger.add("gateway", time.thread_time() - began)
    began = time.thread_time()
    for _ in range(PUSHES):
        loop.run_until_complete(nothing())
    ledger.add("gateway", began - time.thread_time())
    loop.close()


def whole_layers() -> dict[str, float]:
    """Return microseconds of what a push costs that has no template."""
    pushes, ledger = Pushes(1), Ledger()
    for number in range(-100, PUSHES):
        if number == 0:
            ledger.clear()
        path, body = split(pushes.next())
        key = parse_path(path.removeprefix("/metrics/"))
        with ledger.entry("parse text"):
            families = parse_text(body, key, LIMITS)
        with ledger.entry("check by itself"):
            check_alone(families, key)
        with ledger.entry("render"):
            to_payload(families, 1)
    return ledger.per(PUSHES)


def read(key: GroupingKey, body: bytes) -> Push:
    """Return a push, read as the server does."""
    return READER.read(body, PushFormat.TEXT, key, Mode.REPLACE, time.time_ns())


def commit(relay: Relay, request: bytes) -> None:
    """Push without a server."""
    path, body = split(request)
    push = read(parse_path(path.removeprefix("/metrics/")), body)
    relay._writer._commit([(NOBODY, push)], add_none)


class _Nobody:
    """Waits for no answer."""

    def done(self) -> bool:
        return False


NOBODY = _Nobody()


def add_none(_batch: object) -> None:
    """Have a commit for each push."""


def gateway_of(relay: Relay) -> Gateway:
    """Return a gateway that neither parses nor stores what it is pushed."""
    gateway = Gateway(SETTINGS, relay, lambda: None)
    gateway._pushes._reader.read = nothing_read  # type: ignore[assignment, method-assign]
    gateway._pushes._relay = _Nowhere()  # type: ignore[assignment]
    return gateway


class _Nowhere:
    policies = Policies()

    def now(self) -> int:
        return time.time_ns()

    async def push(self, _push: object) -> bool:
        return False


def nothing_read(*_: object) -> Push:
    """Stand in for the parser."""
    return _NOTHING


async def nothing() -> None:
    """What an event loop takes to run anything at all."""


async def answer(gateway: Gateway, path: str, body: bytes) -> None:
    """Have `gateway` answer a push that an ASGI server hands over."""
    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-length", str(len(body)).encode()),
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: Any) -> None:
        return None

    await gateway(scope, receive, send)


def scrape_layers(relay: Relay, groups: int) -> dict[str, float]:
    """Return microseconds of a gzip scrape by layer, one group changed before each."""
    pushes, ledger, format_ = Pushes(groups), Ledger(), negotiate(None)
    times = 100
    for number in range(-3, times):
        if number == 0:
            ledger.clear()
        commit(relay, pushes.next())
        with ledger.entry("snapshot"):
            snapshot = relay._view.snapshot()
        with ledger.entry("own metrics and order of families"):
            own = relay._figures.families(snapshot, is_newest=True)
            page = Exposition(snapshot, own, format_)
        with ledger.entry("compress and join, one group changed"):
            b"".join(page.gzip_chunks())
        with ledger.entry("compress and join, unchanged"):
            b"".join(page.gzip_chunks())
    return ledger.per(times)


def running(directory: Path, groups: int) -> dict[str, float]:
    """Return the processor microseconds of a running relay per push and per scrape."""
    server = Pushrelay(directory / f"running-{groups}")
    server.prepare(groups)
    pushes = Pushes(groups)
    try:
        with Connection(server.port) as connection:

            def changed() -> float:
                connection.ask(pushes.next())
                return connection.time(SCRAPE)

            push = cpu_per(server, lambda: connection.time(pushes.next()), 3.0)
            same = cpu_per(server, lambda: connection.time(SCRAPE), 2.0)
            other = cpu_per(server, changed, 2.0) - push
        found = {
            "push, one connection": push,
            "scrape, unchanged": same,
            "scrape, one group changed": other,
        }
        if groups == 1 and load.has_wrk():
            began = cpu_seconds(server)
            rate = load.throughput(server.port, 4.0, directory)
            used = cpu_seconds(server) - began
            found[f"push, {load.CONNECTIONS} connections"] = used / (rate * 4.0) * 1e6
        return found
    finally:
        server.stop()


def cpu_per(server: Pushrelay, ask: Callable[[], float], seconds: float) -> float:
    """Return the processor microseconds that the server spends on each `ask`."""
    repeat(ask, 0.5, 10, 1_000)
    began = cpu_seconds(server)
    times = len(repeat(ask, seconds, 20, 100_000))
    return (cpu_seconds(server) - began) / times * 1e6


def cpu_seconds(server: Pushrelay) -> float:
    """Return the processor time of a server's processes so far."""
    ticks = 0
    for pid in server.processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def show(title: str, found: dict[str, float]) -> None:
    """Print the layers, the dearest first."""
    print(f"\n{title}")
    for layer, spent in sorted(found.items(), key=lambda entry: -entry[1]):
        print(f"  {spent:9,.0f} µs  {layer}")


def main() -> None:
    """Measure and print."""
    gc.freeze()
    show("push that is read whole", whole_layers())
    with tempfile.TemporaryDirectory(prefix="pushrelay-layers-") as name:
        directory = Path(name)
        for groups in SIZES:
            spent, relay = push_layers(directory, groups)
            show(f"push at {groups:,} groups, by layer", spent)
            print(f"  {sum(spent.values()):9,.0f} µs  sum")
            show(f"scrape at {groups:,} groups", scrape_layers(relay, groups))
            show(f"running relay, {groups:,} groups", running(directory, groups))


if __name__ == "__main__":
    main()
