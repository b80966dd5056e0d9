"""A relay in the process of the test, asked as over HTTP but without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from builders import new_database
from relay_process import HTTPClient, Response
from relay_use import Clock

from pushrelay.config import Settings
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry
from pushrelay.web.gateway import Gateway


class InProcessRelay(HTTPClient):
    """Answers where and when it is asked; its time is that of `clock`.

    settings: the admin API is switched on by default.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        policies: Policies | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__("relay", 0)
        self.relay = Relay(new_database(directory), Telemetry(), policies, clock)
        self._gateway = Gateway(
            settings or Settings(enable_admin_api=True), self.relay, lambda: None
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> InProcessRelay:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.stop()
        self._runner.close()

    async def _start(self) -> None:
        # It remembers the loop that is running.
        self.relay.start()

    def request(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        sent = body.encode() if isinstance(body, str) else body or b""
        return self._runner.run(self._request(method, target, sent, headers or {}))

    async def _request(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> Response:
        path, _, query = target.partition("?")
        fields = {"host": "relay", "content-length": str(len(body)), **headers}
        scope = {
            **{"type": "http", "http_version": "1.1", "scheme": "http"},
            **{"method": method, "path": unquote(path), "raw_path": path.encode()},
            **{"query_string": query.encode(), "client": ("192.0.2.1", 1)},
            "headers": [(n.lower().encode(), v.encode()) for n, v in fields.items()],
        }
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self._gateway(scope, receive, send)
        answered = [(n.decode(), v.decode()) for n, v in messages[0]["headers"]]
        parts = [message.get("body", b"") for message in messages]
        return Response(messages[0]["status"], answered, b"".join(parts))
