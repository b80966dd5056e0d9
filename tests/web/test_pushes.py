from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from builders import new_database

from pushrelay.config import Limits, Settings
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry
from pushrelay.web.exchange import Exchange
from pushrelay.web.pushes import INLINE_BODY_BYTES, INLINE_KEY_BYTES, Pushes

LINE = b"x 1\n"
LONG = b"# " + b"x" * INLINE_BODY_BYTES + b"\n" + LINE


def exchange(body: bytes) -> Exchange:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(_message: Any) -> None:
        pass

    scope = {"type": "http", "method": "PUT", "path": "/", "headers": []}
    return Exchange(scope, receive, send, Limits())


@pytest.mark.parametrize(
    ("path", "body", "on_loop"),
    [
        ("job/a", LINE, True),
        ("job/a", LONG, False),
        # Each line bears the key.
        (f"job/{'a' * INLINE_KEY_BYTES}", LINE, False),
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

    async def push() -> None:
        relay = Relay(new_database(tmp_path), Telemetry())
        relay.start()
        try:
            await Pushes(Settings(), relay).push(exchange(body), path)
        finally:
            await asyncio.to_thread(relay.stop)
        assert [group.key.path for group in relay.groups()] == [path]

    asyncio.run(push())
    assert [thread is threading.current_thread() for thread in readers] == [on_loop]
