"""A badge with the state of a job, to be shown on pages of others.

It is there for any name, and as large for each state: a page that embeds it cannot find
out what it shows.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from flask import Response, render_template, request

from pushrelay.board_rows import BoardRow, RowState
from pushrelay.web.charts.svg import printable
from pushrelay.web.pages.layout import cut, pages, refresh, the_relay, who_asks

UNKNOWN = "unknown"

_NAME_CHARACTERS = 40
_NARROW, _WIDE = 7, 14
_PADDING = 10
_STATE_WIDTH = 72

_COLOURS = {
    RowState.OVERDUE: "#9a4600",
    RowState.FAILED: "#b3261e",
    RowState.ABANDONED: "#7a3aa6",
    RowState.STALE: "#6b5a00",
    RowState.NEVER_RAN: "#566072",
    RowState.RUNNING: "#0b57c4",
    RowState.OK: "#17693a",
    RowState.PAUSED: "#566072",
}
_NO_COLOUR = "#566072"


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge shows: `name` on the left, `state` on the right; widths: pixels."""

    name: str
    state: str
    colour: str
    name_width: int
    state_width: int = _STATE_WIDTH


@pages.route("/badge.svg", methods=["GET"], provide_automatic_options=False)
def badge() -> Response:
    """Show the state of a job, or of one instance of it."""
    job, instance = request.args.get("job", ""), request.args.get("instance")
    refresh()
    rows = the_relay().overview.rows_of(job, who_asks().grant)
    if instance is not None:
        rows = [row for row in rows if row.instance == instance]
    name = " ".join(filter(None, [job, instance]))
    svg = render_template("badge.svg", badge=badge_of(name, rows))
    response = Response(svg, mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def badge_of(name: str, rows: list[BoardRow]) -> Badge:
    """Return the badge called `name` of what needs attention most of `rows`."""
    shown = cut(printable(name), _NAME_CHARACTERS)
    width = 2 * _PADDING + sum(map(_width, shown))
    if not rows:
        return Badge(shown, UNKNOWN, _NO_COLOUR, width)
    # The first row is the one that needs attention most.
    state = rows[0].state
    return Badge(shown, state.value, _COLOURS[state], width)


def _width(character: str) -> int:
    """Return about how wide it is; the text is stretched to what they come to."""
    is_wide = unicodedata.east_asian_width(character) in "WF"
    return _WIDE if is_wide else _NARROW
