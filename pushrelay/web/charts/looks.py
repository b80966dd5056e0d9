"""How charts show a run: a look for each outcome, told apart by shape and by colour.

A look is also a class of charts.css. All shapes are of one plane: units wide, pixels
high.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from pushrelay.run_marks import RunMark
from pushrelay.web.charts.svg import element, joined, number, path
from pushrelay.web.spoken import duration as in_words

RUNNING = "running"
"""The look of a run whose end is not known."""
MISSED = "missed"
"""The look of a slot that no run satisfied."""
SKIPPED = "skipped"

BAR = 12
"""Pixels that a bar is high."""

# Distance from the top of the bar and height, of each stripe that a bar consists of.
_STRIPES = {
    SKIPPED: ((5, 2),),
    "success": ((3, 6),),
    RUNNING: ((1, 10),),
    "timeout": ((0, 4), (8, 4)),
    "signal": ((0, 2), (5, 2), (10, 2)),
    "failure": ((0, 12),),
}
LOOKS = (*_STRIPES, MISSED)
"""All looks; where marks overlap, those of later ones are on top."""

_WORDS = {RUNNING: "unfinished"}
_HOLED = frozenset({"signal", MISSED})


def look_of(mark: RunMark) -> str:
    """Return the look of a run."""
    return RUNNING if mark.outcome is None else mark.outcome.value


def word_of(look: str) -> str:
    """Return what a look is called."""
    return _WORDS.get(look, look)


def duration_of(mark: RunMark) -> int | None:
    """Return how long a run took, None if its end is not known.

    A clock that was set back in between makes none of less than nothing.
    """
    if mark.finished_at is None or mark.outcome is None:
        return None
    return max(mark.finished_at - mark.started_at, 0)


def told(mark: RunMark) -> str:
    """Return how a run ended and how long it took."""
    look, duration = look_of(mark), duration_of(mark)
    if duration is None or look == SKIPPED:
        return word_of(look)
    return f"{look}, took {in_words(duration)}"


def bar(look: str, left: float, top: int, width: float) -> Markup:
    """Return the bar of a run."""
    across = number(width)
    steps = [
        f"M{number(left)} {top + down}h{across}v{height}h-{across}z"
        for down, height in _STRIPES[look]
    ]
    return path(look, "".join(steps))


def dot(look: str, left: float, top: float) -> Markup:
    """Return the dot of a run or of a missed slot: a point with a wide stroke, so that
    it is as high as wide however its plane is stretched."""
    point = point_at(left, top)
    drawn = path(f"dot {look}", point)
    return drawn + path("hole", point) if look in _HOLED else drawn


def point_at(left: float, top: float) -> str:
    """Return the steps of a path that is but a point."""
    return f"M{number(left)} {number(top)}h0"


def legend(marks: Iterable[RunMark], has_missed: bool = False) -> Markup:
    """Return a list of the looks that `marks` have, as bars and as dots."""
    present = {look_of(mark) for mark in marks}
    if has_missed:
        present.add(MISSED)
    items = [
        element("li", {}, _key(look), " ", word_of(look))
        for look in reversed(LOOKS)
        if look in present
    ]
    return element("ul", {"class": "legend"}, *items)


def _key(look: str) -> Markup:
    drawn, width = [], 0
    if look != MISSED:
        drawn.append(bar(look, 1, 1, 14))
        width = 18
    if look not in (RUNNING, SKIPPED):
        drawn.append(dot(look, width + 5, 7))
        width += 12
    return element(
        "svg",
        {"class": "chart key", "width": width, "height": 14, "aria-hidden": "true"},
        joined(drawn),
    )
