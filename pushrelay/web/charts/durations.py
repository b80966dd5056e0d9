"""How long runs took, over time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from uuid import UUID

from markupsafe import Markup

from pushrelay.run_marks import RunMark
from pushrelay.web.charts.axis import (
    AXIS,
    GUTTER,
    TimeScale,
    draw_times,
    duration_ticks,
)
from pushrelay.web.charts.looks import LOOKS, SKIPPED, dot, duration_of, look_of, told
from pushrelay.web.charts.svg import WIDTH, chart, element, joined, link, path, plane
from pushrelay.web.charts.thinning import told_apart
from pushrelay.web.charts.words import counted, utc
from pushrelay.web.spoken import duration as in_words

_KEYS = 22
_HEIGHT = 150
# Room above the longest, for its dot and for the name of the tick there.
_HEADROOM = 16
# Units and pixels: dots that are closer are one.
_DOT = 4.0


@dataclass(frozen=True, slots=True)
class _Dot:
    mark: RunMark
    duration: int
    left: float
    top: float

    def cell(self, size: float) -> Hashable:
        """Return what is the same for those that are drawn as one."""
        return look_of(self.mark), self.left // size, self.top // size


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest of `ordered` that no fewer than `percent` of 100 of them are
    at or below: always one of them, none in between. There must be some."""
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


def durations(marks: Sequence[RunMark], begin: int, end: int) -> Markup:
    """Return a dot for each run that began from `begin` to `end` and has ended, however
    it did, but none for skipped ones, which never ran.

    Lines are at the median and at the 95th percentile of them all, by nearest rank. If
    there is no such run, nothing is returned.
    """
    scale = TimeScale(begin, end)
    lasted = {
        mark: duration
        for mark in marks
        if begin <= mark.started_at <= end and look_of(mark) != SKIPPED
        if (duration := duration_of(mark)) is not None
    }
    if not lasted:
        return Markup("")
    bottom = _KEYS + _HEIGHT
    grid, times = draw_times(scale, _HEIGHT, bottom + AXIS - 4)
    ordered = sorted(lasted.values())
    median, high = nearest_rank(ordered, 50), nearest_rank(ordered, 95)
    ticks = duration_ticks(ordered[-1])
    top_of = _Heights(max(ordered[-1], ticks[-1])).top_of
    lines = [path("grid", f"M0 {top_of(tick):.1f}h{WIDTH}") for tick in ticks]
    lines.append(path("high", f"M0 {top_of(high):.1f}h{WIDTH}"))
    lines.append(path("median", f"M0 {top_of(median):.1f}h{WIDTH}"))
    shown = plane(_KEYS, _HEIGHT, grid, *lines) + times
    shown += _key("median", f"median {in_words(median)}", -GUTTER)
    shown += _key("high", f"95th percentile {in_words(high)}", "33%")
    shown += joined([_tick_name(tick, _KEYS + top_of(tick)) for tick in ticks])
    dots = [
        _Dot(mark, duration, scale.place(mark.started_at), top_of(duration))
        for mark, duration in lasted.items()
    ]
    label = (
        f"durations of {counted(len(lasted), 'run', 'runs')} "
        f"from {utc(begin)} to {utc(end)}: median {in_words(median)}, "
        f"95th percentile {in_words(high)}, longest {in_words(ordered[-1])}"
    )
    over = plane(_KEYS, _HEIGHT, *_links(dots))
    return chart("durations", bottom + AXIS, label, shown, over)


@dataclass(frozen=True, slots=True)
class _Heights:
    longest: int

    def top_of(self, duration: int) -> float:
        """Return the pixels from the top of the plane to a duration."""
        return _HEIGHT - duration * (_HEIGHT - _HEADROOM) / self.longest


def _links(dots: list[_Dot]) -> list[Markup]:
    """Return the dots, the most remarkable last, on top of the others."""
    dots.sort(key=lambda dot: (LOOKS.index(look_of(dot.mark)), dot.mark.started_at))
    return [_link(group) for group in told_apart(dots, _Dot.cell, _DOT)]


def _link(group: list[_Dot]) -> Markup:
    last = group[-1]
    title = f"{utc(last.mark.started_at)}: {told(last.mark)}"
    if len(group) > 1:
        title += f"; the last of {len(group):,} here"
    drawn = dot(look_of(last.mark), last.left, last.top)
    return link(str(UUID(bytes=last.mark.id)), title, drawn)


def _tick_name(duration: int, height: float) -> Markup:
    """Return the name of a line, in the room that charts.css leaves beside it."""
    attributes: dict[str, str | float] = {"x": -6, "y": height + 4}
    attributes |= {"text-anchor": "end", "class": "tick"}
    return element("text", attributes, in_words(duration))


def _key(look: str, words: str, left: str | float) -> Markup:
    """Return what says of a line what it is."""
    return element(
        "svg",
        {"x": left, "overflow": "visible"},
        path(look, "M0 9h16"),
        element("text", {"x": 20, "y": 13}, words),
    )
