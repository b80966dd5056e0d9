"""A relay in the process of the test, asked as over HTTP but without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from asgi import ask
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
        answer = self._runner.run(ask(self._gateway, method, target, headers, sent))
        return Response(*answer)
