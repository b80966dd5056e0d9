"""The page of the relay itself: what it is, and how it was started."""

from __future__ import annotations

from flask import Response

from pushrelay import __version__
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.web.pages.layout import (
    moment,
    pages,
    refresh,
    show,
    the_relay,
    the_settings,
)


@pages.route("/status", methods=["GET"], provide_automatic_options=False)
def status() -> Response:
    """Show the relay's own state."""
    refresh()
    started_at = round(the_relay().telemetry.started_at * NANOSECONDS)
    return show(
        "status.html",
        version=__version__,
        started_at=moment(started_at),
        flags=the_settings().flags,
    )
