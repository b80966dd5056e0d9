"""Scrapes: the page of what is stored, and that of the relay's own metrics."""

from __future__ import annotations

from functools import partial

from pushrelay.exposition.negotiation import accepts_gzip, negotiate
from pushrelay.relay import Relay
from pushrelay.view.exposition import Exposition
from pushrelay.web.exchange import Exchange, Handler, Handlers, Headers
from pushrelay.web.parameters import Parameters
from pushrelay.web.shared_expositions import Expose, SharedExpositions
from pushrelay.web.streaming import Streamer


class Scraping:
    """Handles scrapes.

    streamer: makes large pages; chooser: finds what selectors choose.
    """

    def __init__(self, relay: Relay, streamer: Streamer, chooser: Streamer) -> None:
        self._relay = relay
        self._streamer = streamer
        self._chooser = chooser

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {
            "metrics": self._handler(self._relay.exposition),
            "own_metrics": self._handler(self._relay.own_exposition),
        }

    def _handler(self, expose: Expose) -> Handler:
        return partial(self._show, SharedExpositions(expose))

    async def _show(
        self, expositions: SharedExpositions, exchange: Exchange, _rest: str
    ) -> None:
        format_ = negotiate(exchange.header("accept"))
        shard = exchange.parameters.shard() if exchange.query else None
        exposition = await expositions.get(format_)
        if shard is not None:
            exposition = await self._streamer.run(exposition.of, shard)
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
