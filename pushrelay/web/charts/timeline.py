"""Runs over days: when each began, how long it took, how it ended; what is missing."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from markupsafe import Markup

from pushrelay.run_marks import RunMark
from pushrelay.web.charts.axis import AXIS, TimeScale, at_the_left, draw_now, draw_times
from pushrelay.web.charts.looks import (
    BAR,
    LOOKS,
    MISSED,
    bar,
    look_of,
    point_at,
    told,
    word_of,
)
from pushrelay.web.charts.svg import WIDTH, chart, element, joined, link, path, plane
from pushrelay.web.charts.thinning import told_apart
from pushrelay.web.charts.words import counted, tally, utc

MOST_LANES = 40
"""How many are drawn; the others are counted below."""

# Pixels of the line of text above all lanes, and of that above each with a name; that
# is closer to its own lane than to the one before.
_NOW = 14
_NAME = 14
_APART = 14
_GAP = 2
_MOST_TRACKS = 6
_LONGEST_NAME = 44
# Units of a plane: a bar is at least so wide, and so much room has a missed slot.
_NARROWEST = 3.0
_RING = 12.0


@dataclass(frozen=True, slots=True)
class Lane:
    """What a timeline shows in one line.

    name: of an instance; with an empty one, the only lane needs no heading. missed:
    slots that no run satisfied, Unix nanoseconds.
    """

    name: str
    marks: Sequence[RunMark]
    missed: Sequence[int] = ()


@dataclass(slots=True)
class _Piece:
    """Runs or missed slots that cannot be told apart, drawn as one mark.

    track: which of the lines of its lane. times: starts of runs, or slots. until: when
    the first of them ended. runs: none for missed slots.
    """

    lane: int
    look: str
    left: float
    right: float
    times: list[int]
    until: int
    runs: list[RunMark]
    track: int = 0

    def cell(self, size: float) -> Hashable:
        """Return what is the same for those that are drawn as one."""
        place = self.lane, self.track, self.look
        if self.runs and self.right - self.left > max(size, _RING):
            return *place, self.runs[0].id, self.times[0]
        return *place, self.left // size


def timeline(lanes: Sequence[Lane], begin: int, end: int, now: int) -> Markup:
    """Return a lane for each of `lanes` from `begin` to `end`, with a line at `now`.

    Runs without an end go on until `now`. Runs at the same time are below each other;
    those with the same outcome that cannot be told apart are one mark.
    """
    scale = TimeScale(begin, end)
    drawn = lanes[:MOST_LANES]
    single = [
        piece
        for number, lane in enumerate(drawn)
        for piece in _single_pieces(number, lane, scale, now)
    ]
    single.sort(key=lambda piece: (piece.times[0], piece.until))
    tracks = _lay_tracks(single, len(drawn))
    runs = _merged([piece for piece in single if piece.runs])
    # On their own, so that many runs do not make few of them.
    missed = _merged([piece for piece in single if not piece.runs])
    names = [] if _needs_no_names(lanes) else [lane.name for lane in drawn]
    tops, height = _tops(tracks, bool(names))
    bottom = _NOW + height + AXIS
    lines, times = draw_times(scale, height, bottom - 4)
    line_now, name_now = draw_now(scale, height, _NOW - 4, now)
    shown = [plane(_NOW, height, lines, line_now), times, name_now]
    for name, top in zip(names, tops, strict=False):
        shown.append(_heading(name, _NOW + top))
    if len(lanes) > MOST_LANES:
        more = counted(len(lanes) - MOST_LANES, "more instance", "more instances")
        bottom += AXIS
        shown.append(at_the_left(f"and {more}", bottom - 4))
    bars = [_bar(piece, tops[piece.lane]) for piece in runs]
    rings = _rings(missed, tops)
    label = _label(lanes, scale, now)
    links = plane(_NOW, height, *bars, *rings)
    return chart("timeline", bottom, label, joined(shown), links)


def _merged(single: list[_Piece]) -> list[_Piece]:
    """Return what is drawn, the most remarkable last, on top of the others."""
    pieces = [
        replace(
            group[0],
            right=max(piece.right for piece in group),
            times=[piece.times[0] for piece in group],
            runs=[run for piece in group for run in piece.runs],
        )
        for group in told_apart(single, _Piece.cell, _NARROWEST)
    ]
    pieces.sort(key=lambda piece: LOOKS.index(piece.look))
    return pieces


def _single_pieces(
    number: int, lane: Lane, scale: TimeScale, now: int
) -> Iterator[_Piece]:
    for mark in _within(lane.marks, scale, now):
        left = min(scale.place(mark.started_at), WIDTH - _NARROWEST)
        until = _end_of(mark, now)
        right = max(scale.place(until), left + _NARROWEST)
        start = mark.started_at
        yield _Piece(number, look_of(mark), left, right, [start], until, [mark])
    for slot in lane.missed:
        if scale.begin <= slot <= scale.end:
            left = min(max(scale.place(slot) - _RING / 2, 0), WIDTH - _RING)
            yield _Piece(number, MISSED, left, left + _RING, [slot], slot, [])


def _within(marks: Sequence[RunMark], scale: TimeScale, now: int) -> list[RunMark]:
    return [
        mark
        for mark in marks
        if mark.started_at <= scale.end and _end_of(mark, now) >= scale.begin
    ]


def _end_of(mark: RunMark, now: int) -> int:
    end = now if mark.finished_at is None else mark.finished_at
    return max(end, mark.started_at)


def _lay_tracks(pieces: list[_Piece], lanes: int) -> list[int]:
    """Give each piece a track that is free at its time, as long as there are tracks,
    and return how many each lane has.

    Those one after the other are on one track, even where they touch as drawn.
    """
    ends: list[list[int]] = [[] for _ in range(lanes)]
    for piece in pieces:
        if not piece.runs:
            continue
        of_lane = ends[piece.lane]
        free = [n for n, end in enumerate(of_lane) if end <= piece.times[0]]
        if not free and len(of_lane) < _MOST_TRACKS:
            of_lane.append(0)
            free = [len(of_lane) - 1]
        piece.track = free[0] if free else of_lane.index(min(of_lane))
        of_lane[piece.track] = max(of_lane[piece.track], piece.until)
    return [max(len(of_lane), 1) for of_lane in ends]


def _needs_no_names(lanes: Sequence[Lane]) -> bool:
    return len(lanes) == 1 and not lanes[0].name


def _tops(tracks: list[int], has_names: bool) -> tuple[list[int], int]:
    """Return where the first track of each lane is, and the height of all lanes."""
    tops, below = [], _GAP
    for number, count in enumerate(tracks):
        if has_names:
            below += _NAME + (_APART if number else 0)
        else:
            below += _GAP
        tops.append(below)
        below += count * (BAR + _GAP) + _GAP
    return tops, below + _GAP


def _heading(name: str, top: int) -> Markup:
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    return at_the_left(name or "no instance", top - 3, "" if name else "tick")


def _bar(piece: _Piece, lane_top: int) -> Markup:
    top = lane_top + piece.track * (BAR + _GAP)
    drawn = bar(piece.look, piece.left, top, piece.right - piece.left)
    if len(piece.runs) == 1:
        title = f"{utc(piece.times[0])}: {told(piece.runs[0])}"
    else:
        said = f"{len(piece.runs):,} runs {_span(piece)}: {word_of(piece.look)}"
        title = f"{said}; this is the last of them"
    return link(str(UUID(bytes=piece.runs[-1].id)), title, drawn)


def _rings(missed: list[_Piece], tops: list[int]) -> list[Markup]:
    """Return rings, their holes on top of them all: those that overlap look like one
    that is longer, and still hollow."""
    if not missed:
        return []
    rings, holes = [], []
    for piece in missed:
        center = (piece.left + piece.right) / 2
        holes.append(point_at(center, tops[piece.lane] + BAR / 2))
        if len(piece.times) == 1:
            title = f"missed at {utc(piece.times[0])}"
        else:
            title = f"{len(piece.times):,} missed {_span(piece)}"
        ring = {"class": f"dot {MISSED}", "d": holes[-1]}
        rings.append(element("path", ring, element("title", {}, title)))
    return [*rings, path("hole", "".join(holes))]


def _span(piece: _Piece) -> str:
    return f"from {utc(min(piece.times))} to {utc(max(piece.times))}"


def _label(lanes: Sequence[Lane], scale: TimeScale, now: int) -> str:
    marks = [mark for lane in lanes for mark in _within(lane.marks, scale, now)]
    missed = [
        slot
        for lane in lanes
        for slot in lane.missed
        if scale.begin <= slot <= scale.end
    ]
    said = f"{counted(len(marks), 'run', 'runs')} "
    if not _needs_no_names(lanes):
        said += f"of {counted(len(lanes), 'instance', 'instances')} "
    said += f"from {utc(scale.begin)} to {utc(scale.end)}"
    if marks:
        said += f": {tally([word_of(look_of(mark)) for mark in marks])}"
    return f"{said}; {len(missed):,} missed" if missed else said
