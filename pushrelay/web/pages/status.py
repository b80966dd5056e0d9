"""The page of the relay itself: what it is, how it and its store do, and what was
refused of late."""

from __future__ import annotations

from flask import Response

from pushrelay import __version__
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.web.pages import examples
from pushrelay.web.pages.layout import (
    moment,
    pages,
    refresh,
    show,
    the_relay,
    the_settings,
    who_asks,
)

NEARLY = 0.8
"""The part of a limit from which on it is near."""

_LIMITS = {
    "stored_groups": "Groups, or keys of runs",
    "stored_series": "Pushed series",
    "stored_bytes": "Text of pushed series",
    "database_bytes": "Database",
}

_STEPS = ("B", "KiB", "MiB", "GiB", "TiB")


@pages.route("/status", methods=["GET"], provide_automatic_options=False)
def status() -> Response:
    """Show the relay's own state. How much there is and what was refused is for those
    who may see all groups."""
    refresh()
    relay = the_relay()
    facts = relay.facts()
    sees_all = not who_asks().grant.is_bounded
    return show(
        "status.html",
        now=moment(relay.now()),
        version=__version__,
        started_at=moment(round(relay.telemetry.started_at * NANOSECONDS)),
        flags=the_settings().flags,
        store=facts,
        sees_all=sees_all,
        is_empty=sees_all and facts.groups == facts.jobs == 0,
        limit_names=_LIMITS,
        nearly=NEARLY,
        rejections=relay.rejections.all() if sees_all else [],
        examples=examples,
        moment=moment,
    )


@pages.app_template_filter("size")
def size(number: int) -> str:
    """Return a number of bytes as people read it."""
    shown, unit = float(number), _STEPS[0]
    for unit in _STEPS:
        if shown < 1024 or unit == _STEPS[-1]:
            break
        shown /= 1024
    return (
        f"{shown:.0f} {unit}" if unit == "B" or shown >= 100 else f"{shown:.1f} {unit}"
    )


@pages.app_template_filter("milliseconds")
def milliseconds(seconds: float) -> str:
    """Return a short time."""
    shown = seconds * 1000
    return f"{shown:.1f} ms" if shown < 100 else f"{shown:,.0f} ms"
