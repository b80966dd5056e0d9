"""Headers that the operator sets on every answer."""

from __future__ import annotations

from pushrelay.web.exchange import Headers, Send
from pushrelay.web.request_body import Message
from pushrelay.web.web_config import CONTENT_SECURITY_POLICY


def setting(headers: Headers, send: Send) -> Send:
    """Return what sends as `send` does, with `headers` in place of those of the same
    names; of two policies for the content, a browser keeps both."""
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    replaced = {
        name.lower().encode() for name, _ in headers if name != CONTENT_SECURITY_POLICY
    }

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                each for each in message["headers"] if each[0].lower() not in replaced
            ]
            message = {**message, "headers": [*kept, *encoded]}
        await send(message)

    return send_with_headers
