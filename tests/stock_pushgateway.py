"""A stock Pushgateway, as far as the wrapper asks it."""

from __future__ import annotations

from dataclasses import dataclass, field

from canned_server import Asked, Canned, CannedServer, data, text

NO_PAGE = text(404, "404 page not found\n")
STATUS = data({"build_information": {"version": "1.5.1"}, "flags": {}})
PUT, GET, POST = "PUT", "GET", "POST"


@dataclass
class Stock:
    """Answers as a Pushgateway does, until it is told otherwise."""

    push: Canned = field(default_factory=Canned)
    runs: Canned = field(default_factory=lambda: NO_PAGE)
    status: Canned = field(default_factory=lambda: STATUS)

    def __call__(self, asked: Asked) -> Canned:
        if asked.method == POST:
            return self.push
        return self.runs if asked.method == PUT else self.status


def methods(server: CannedServer) -> list[str]:
    """Return how the server was asked since it was asked here."""
    asked, server.asked = server.asked, []
    return [each.method for each in asked]
