"""The last runs of a row, as small as a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter

from markupsafe import Markup

from pushrelay.run_marks import RunMark
from pushrelay.web.charts.looks import (
    RUNNING,
    SKIPPED,
    duration_of,
    look_of,
    word_of,
)
from pushrelay.web.charts.svg import element, path
from pushrelay.web.charts.words import tally
from pushrelay.web.spoken import duration as in_words

MOST_RUNS = 30

_STEP = 4
_WIDTH = MOST_RUNS * _STEP
_TALLEST = 20
_SHORTEST = 3
# Those that went wrong reach below the line on which the others stand.
_FOOT = 4
_WITH_FOOT = frozenset({"failure", "timeout", "signal"})


def sparkline(marks: Sequence[RunMark]) -> Markup:
    """Return bars of the last 30 runs, the newest at the right.

    Their height is their duration, compared with the longest of them. A run without an
    end is as high as can be, and hollow.
    """
    shown = sorted(marks, key=attrgetter("started_at"))[-MOST_RUNS:]
    looks = [look_of(mark) for mark in shown]
    lasted = [duration_of(mark) for mark in shown]
    longest = max([d for d in lasted if d is not None], default=0) or 1
    steps: defaultdict[str, list[str]] = defaultdict(list)
    left = _WIDTH - _STEP * len(shown)
    for look, duration in zip(looks, lasted, strict=True):
        if duration is None:
            # Half a unit smaller on each side, for the stroke.
            steps[look].append(f"M{left}.5 .5h2v19h-2z")
        else:
            height = _SHORTEST + (_TALLEST - _SHORTEST) * duration // longest
            foot = _FOOT if look in _WITH_FOOT else 0
            steps[look].append(f"M{left} {_TALLEST - height}h3v{height + foot}h-3z")
        left += _STEP
    return element(
        "svg",
        {
            "class": "sparkline",
            "role": "img",
            "aria-label": _label(looks, lasted),
            "width": _WIDTH,
            "height": _TALLEST + _FOOT,
            "viewBox": f"0 0 {_WIDTH} {_TALLEST + _FOOT}",
        },
        *[path(look, "".join(parts)) for look, parts in steps.items()],
    )


def _label(looks: list[str], lasted: list[int | None]) -> str:
    if not looks:
        return "no runs"
    runs = f"last {len(looks)} runs" if len(looks) > 1 else "1 run"
    counts = tally([word_of(look) for look in looks])
    return f"{runs}: {counts}; the last {_how_it_went(looks[-1], lasted[-1])}"


def _how_it_went(look: str, duration: int | None) -> str:
    if look == SKIPPED:
        return "was skipped"
    if look == RUNNING or duration is None:
        return f"is {word_of(RUNNING)}"
    return f"took {in_words(duration)}"
