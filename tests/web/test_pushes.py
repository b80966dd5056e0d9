from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from builders import new_database

from pushrelay.config import Limits, Settings
from pushrelay.errors import InconsistentPush
from pushrelay.exposition.text_locations import locate
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry
from pushrelay.web import pushes as pushes_module
from pushrelay.web.bodies import INLINE_BODY_BYTES, QUICK_KEY_BYTES, Bodies
from pushrelay.web.exchange import Exchange
from pushrelay.web.pushes import Pushes

LINE = b"x 1\n"
LONG = b"# " + b"x" * INLINE_BODY_BYTES + b"\n" + LINE


def exchange(body: bytes, *headers: tuple[bytes, bytes]) -> Exchange:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(_message: Any) -> None:
        pass

    scope = {"type": "http", "method": "PUT", "path": "/", "headers": headers}
    return Exchange(scope, receive, send, Limits())


def pushes_of(relay: Relay) -> Pushes:
    settings = Settings()
    reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
    return Pushes(settings, relay, Bodies(), reader)


async def run_with_relay(
    directory: Path, use: Callable[[Relay], Awaitable[None]]
) -> Relay:
    """Let `use` have a relay that runs; return the relay, which does not any more."""
    relay = Relay(new_database(directory), Telemetry())
    relay.start()
    try:
        await use(relay)
    finally:
        await asyncio.to_thread(relay.stop)
    return relay


@pytest.mark.parametrize(
    ("path", "body", "on_loop"),
    [
        ("job/a", LINE, True),
        ("job/a", LONG, False),
        # Each line bears the key.
        (f"job/{'a' * QUICK_KEY_BYTES}", LINE, False),
    ],
    ids=["usual", "long body", "long key"],
)
def test_only_what_takes_little_is_read_on_the_event_loop(
    path: str,
    body: bytes,
    on_loop: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers: list[threading.Thread] = []
    read = PushReader.read

    def noted(*arguments: Any) -> Any:
        readers.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(PushReader, "read", noted)

    async def push(relay: Relay) -> None:
        await pushes_of(relay).push(exchange(body), path)

    relay = asyncio.run(run_with_relay(tmp_path, push))
    assert [group.key.path for group in relay.groups()] == [path]
    assert [thread is threading.current_thread() for thread in readers] == [on_loop]


JSON = (b"accept", b"application/json")


@pytest.mark.parametrize(
    ("body", "headers", "on_loop"),
    [
        (LINE * 2, [JSON], [True]),
        (LONG + LINE, [JSON], [False]),
        (gzip.compress(LONG + LINE), [JSON, (b"content-encoding", b"gzip")], [False]),
        (LINE * 2, [], []),
        (LINE, [JSON], []),
    ],
    ids=["small", "large", "large once decoded", "not asked for", "accepted"],
)
def test_lines_are_sought_only_for_who_sees_them_and_where_a_push_was_read(
    body: bytes,
    headers: list[tuple[bytes, bytes]],
    on_loop: list[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seekers: list[threading.Thread] = []

    def noted(*arguments: Any, **options: Any) -> Any:
        seekers.append(threading.current_thread())
        return locate(*arguments, **options)

    monkeypatch.setattr(pushes_module, "locate", noted)

    async def push(relay: Relay) -> None:
        with suppress(InconsistentPush):
            await pushes_of(relay).push(exchange(body, *headers), "job/a")

    asyncio.run(run_with_relay(tmp_path, push))
    assert [thread is threading.current_thread() for thread in seekers] == on_loop
