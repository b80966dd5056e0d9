"""Scrapes: the page of what is stored, and that of the relay's own metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from pushrelay.exposition.negotiation import ScrapeFormat, accepts_gzip, negotiate
from pushrelay.relay import Relay
from pushrelay.view.exposition import Exposition
from pushrelay.web.exchange import Exchange, Handlers, Headers
from pushrelay.web.parameters import Parameters
from pushrelay.web.streaming import Streamer

AT_ONCE = 8
"""So many scrapes begin at once. What each does on the event loop takes a millisecond
or two, and a push would have to wait for that of all who ask."""

_Expose = Callable[[ScrapeFormat], Awaitable[Exposition]]


class Scraping:
    """Handles scrapes.

    streamer: makes large pages; chooser: finds what selectors choose.
    """

    def __init__(self, relay: Relay, streamer: Streamer, chooser: Streamer) -> None:
        self._relay = relay
        self._streamer = streamer
        self._chooser = chooser
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {
            "metrics": partial(self._show, self._relay.exposition),
            "own_metrics": partial(self._show, self._relay.own_exposition),
        }

    async def _show(self, expose: _Expose, exchange: Exchange, _rest: str) -> None:
        format_ = negotiate(exchange.header("accept"))
        async with self._turns:
            exposition = await expose(format_)
        if exchange.query:
            exposition = await self._chosen(exposition, exchange.parameters)
        if (grant := exchange.identity.grant).is_bounded:
            chosen = partial(exposition.only, grant.selectors, strictly=True)
            exposition = await self._chooser.run(chosen)
        gzip = accepts_gzip(exchange.header("accept-encoding"))
        chunks = exposition.gzip_chunks() if gzip else exposition.chunks()
        headers: Headers = (
            ("Content-Type", format_.content_type),
            ("Cache-Control", "no-store"),
        )
        if gzip:
            headers += (("Content-Encoding", "gzip"),)
        if not exposition.is_small:
            await self._streamer.send(exchange, 200, headers, chunks)
            return
        body = b"".join(chunks)
        await exchange.begin(200, (*headers, ("Content-Length", str(len(body)))))
        await exchange.send(body, more=False)

    async def _chosen(
        self, exposition: Exposition, parameters: Parameters
    ) -> Exposition:
        """Return the part of `exposition` that is asked for."""
        if not parameters.all("match[]"):
            return exposition

        def choose() -> Exposition:
            return exposition.only(parameters.selectors())

        return await self._chooser.run(choose)
