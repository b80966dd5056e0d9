"""Service discovery: Prometheus asks which targets there are to scrape."""

from __future__ import annotations

import json
import re

from pushrelay.config import Settings
from pushrelay.errors import InvalidRequest
from pushrelay.quoting import quote
from pushrelay.web.answers import READ
from pushrelay.web.exchange import Exchange
from pushrelay.web.streaming import Streamer

_ADDRESS = re.compile(
    r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
"""A host, perhaps with a port, that is an address and nothing else. It is shown twice
for each shard, so it is not longer than addresses are."""


class Discovery:
    """Tells the targets that the page of a relay with these settings is.

    chooser: writes them down; a thousand take milliseconds.
    """

    def __init__(self, settings: Settings, chooser: Streamer) -> None:
        self._chooser = chooser
        self._origin = settings.external_origin
        prefix = settings.external_path or settings.route_prefix
        self._path = prefix + settings.telemetry_path

    async def show(self, exchange: Exchange, _rest: str) -> None:
        """Show a target for each shard, as Prometheus reads it. Raises InvalidRequest.

        Labels of targets end up on all series that have no such label. So there is none
        but `instance`, which every pushed series has already.
        """
        parameters = exchange.parameters
        parameters.require_known("shards")
        shards = parameters.shards() or 1
        scheme, address = self._asked(exchange)
        document = await self._chooser.run(self._document, scheme, address, shards)
        await exchange.answer(200, document, headers=READ)

    def _document(self, scheme: str, address: str, shards: int) -> bytes:
        labels = {"__scheme__": scheme, "__metrics_path__": self._path}
        all_labels = [labels | _of_shard(address, n, shards) for n in range(shards)]
        groups = [{"targets": [address], "labels": each} for each in all_labels]
        return json.dumps(groups).encode()

    def _asked(self, exchange: Exchange) -> tuple[str, str]:
        """Return the scheme and the address by which the relay can be reached."""
        source = exchange.source
        origin = self._origin or f"{source.scheme}://{source.host}"
        scheme, _, address = origin.partition("://")
        if not _ADDRESS.fullmatch(address):
            named = "--web.external-url" if self._origin else "the Host header"
            raise InvalidRequest(
                f"{named} names {quote(address)}, which is no address that could be "
                "scraped; ask at the address of the relay, such as relay:9091, or tell "
                "the relay such a one with --web.external-url"
            )
        return scheme, address


def _of_shard(address: str, number: int, shards: int) -> dict[str, str]:
    if shards == 1:
        return {"instance": address}
    return {
        "instance": f"{address}/shard-{number}",
        "__param_shard": str(number),
        "__param_shards": str(shards),
    }
