"""How clients and scrapers talk to relays."""

from __future__ import annotations

import http.client
from contextlib import closing

from relay_process import HTTPClient

ANSWER_SECONDS = 5.0
"""How long a client waits for an answer; then it does not know."""

DOUBTFUL = (408, 502, 503, 504)
"""Answers after which nobody knows whether it was done."""


class Connection:
    """A connection to `server` that is kept."""

    def __init__(self, server: HTTPClient) -> None:
        self._server = server
        self._kept: http.client.HTTPConnection | None = None

    def send(
        self,
        method: str,
        target: str,
        body: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """Return status and text of the answer. Raises OSError and HTTPException."""
        if self._kept is None:
            self._kept = http.client.HTTPConnection(
                self._server.host, self._server.port, timeout=ANSWER_SECONDS
            )
        try:
            self._kept.request(method, target, body or None, headers or {})
            response = self._kept.getresponse()
            return response.status, response.read().decode()
        except BaseException:
            self.close()
            raise

    def send_and_leave(
        self, method: str, target: str, body: str, headers: dict[str, str]
    ) -> None:
        """Send a request and wait for no answer. Raises OSError and HTTPException."""
        asking = http.client.HTTPConnection(
            self._server.host, self._server.port, timeout=ANSWER_SECONDS
        )
        with closing(asking):
            asking.request(method, target, body, headers)

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
