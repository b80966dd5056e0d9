"""Probes, and what ends the relay or lets it read its configuration again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from pushrelay.config import Settings
from pushrelay.relay import Relay
from pushrelay.web.authorisation import require_all_groups
from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import TEXT, Exchange, Handlers
from pushrelay.web.reloading import Reloader

log = logging.getLogger(__name__)

ALIVE_SECONDS = 0.1
"""For so long, who was found to be alive is: to look takes longer than a push."""


class Lifecycle:
    """Handles what is asked of the process.

    terminate: called once a client has asked for its end.
    """

    def __init__(
        self,
        settings: Settings,
        relay: Relay,
        reloader: Reloader,
        terminate: Callable[[], None],
    ) -> None:
        self._is_enabled = settings.enable_lifecycle
        self._relay = relay
        self._reloader = reloader
        self._terminate = terminate
        self._is_alive_until = 0.0

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {
            "healthy": self.healthy,
            "ready": self.ready,
            "reload": self.reload,
            "quit": self.quit,
            "quit_refused": self.refuse_to_quit,
        }

    async def healthy(self, exchange: Exchange, _rest: str) -> None:
        """Answer 200 as long as what is known can be served."""
        now = time.monotonic()
        if now > self._is_alive_until:
            self._relay.require_alive()
            self._is_alive_until = now + ALIVE_SECONDS
        await exchange.answer(200, b"OK", TEXT)

    async def ready(self, exchange: Exchange, _rest: str) -> None:
        """Answer 200 as long as pushes are taken."""
        await self._relay.require_ready()
        await exchange.answer(200, b"OK", TEXT)

    async def reload(self, exchange: Exchange, _rest: str) -> None:
        """Take over the configuration file as it is now."""
        self._require_permission(exchange)
        await self._reloader.reload()
        await exchange.answer(200)

    async def quit(self, exchange: Exchange, _rest: str) -> None:
        """End the process."""
        self._require_permission(exchange)
        await exchange.answer(200, b"Requesting termination... Goodbye!", TEXT)
        log.warning("a client asked for termination: %s", exchange.client)
        self._terminate()

    async def refuse_to_quit(self, _exchange: Exchange, _rest: str) -> None:
        """Say that the method is wrong."""
        text = "Only POST or PUT requests allowed."
        raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, text, plain=text)

    def _require_permission(self, exchange: Exchange) -> None:
        if not self._is_enabled:
            text = "Lifecycle API is not enabled."
            raise HTTPError(HTTPStatus.FORBIDDEN, text, plain=text)
        require_all_groups(exchange.identity)
