"""The page of the relay itself: what it is, how it and its store do, and what was
refused of late."""

from __future__ import annotations

from flask import Response

from pushrelay.commit import version
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
        version=version(),
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
        second=NANOSECONDS,
    )
