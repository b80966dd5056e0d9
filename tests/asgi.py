"""Asks the gateway in this process, as the server would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from pushrelay.web.gateway import Gateway


class Answer(NamedTuple):
    """What was answered; names of `fields` are in lower case."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def headers(self) -> dict[str, str]:
        """The last header of each name."""
        return dict(self.fields)

    def all(self, name: str) -> list[str]:
        """Return all headers of this name."""
        return [value for field, value in self.fields if field == name]


async def ask(
    gateway: Gateway,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    client: str = "192.0.2.1",
) -> Answer:
    """Send a request, and return its answer."""
    path, _, query = target.partition("?")
    fields = {"host": "relay", **(headers or {})}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(n.lower().encode(), v.encode()) for n, v in fields.items()],
        "client": (client, 4711),
    }
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    start, *parts = sent
    answered = [(n.decode().lower(), v.decode()) for n, v in start["headers"]]
    content = b"".join(part.get("body", b"") for part in parts)
    return Answer(start["status"], answered, content)
