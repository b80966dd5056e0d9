"""Where moments and durations are in a chart, and what its axes say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pushrelay.web.charts.svg import WIDTH, joined, path, text
from pushrelay.web.charts.words import moment
from pushrelay.web.spoken import DAY, HOUR, MILLISECOND, MINUTE, SECOND

AXIS = 18
"""Pixels of the line of text below a chart."""

# Both in ascending order, none more than 2.5 times the one before, so that there are
# always several ticks.
_DURATION_STEPS = (
    *[n * MILLISECOND for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)],
    *[n * SECOND for n in (1, 2, 5, 10, 15, 30)],
    *[n * MINUTE for n in (1, 2, 5, 10, 15, 30)],
    *[n * HOUR for n in (1, 2, 3, 6, 12)],
    *[n * DAY for n in (1, 2, 4, 7, 14, 28)],
)
_TIME_STEPS = tuple(step for step in _DURATION_STEPS if step >= SECOND)
_MOST_TIMES = 7
_MOST_DURATIONS = 3
# The first Monday of Unix time; steps of weeks begin on Mondays.
_MONDAY = 4 * DAY
_WITH_YEAR = 300 * DAY
# So close to an edge, in units, a label would be cut.
_EDGE = 50
# If there are more, charts.css shows every other one on a phone.
_MOST_ON_PHONE = 4
# So close to `now`, a label would touch it on a phone.
_BESIDE_NOW = 130


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Moments from `begin` to `end`, Unix nanoseconds, across a plane."""

    begin: int
    end: int

    @property
    def span(self) -> int:
        """Nanoseconds across the plane."""
        return max(self.end - self.begin, 1)

    def place(self, at: int) -> float:
        """Return where a moment is; one that is outside is at the edge."""
        return min(max(at - self.begin, 0), self.span) * WIDTH / self.span

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the places of whole hours or days, a few of them, with their names."""
        step = _fitting(_TIME_STEPS, self.span, _MOST_TIMES)
        start = _MONDAY if step >= 7 * DAY else 0
        at = start - (start - self.begin) // step * step
        while at <= self.end:
            yield self.place(at), self._name(at, step)
            at += step

    def _name(self, at: int, step: int) -> str:
        shown = moment(at)
        if step < DAY and at % DAY:
            return f"{shown:%H:%M:%S}" if step < MINUTE else f"{shown:%H:%M}"
        return f"{shown:%b %Y}" if self.span > _WITH_YEAR else f"{shown:%b} {shown.day}"


def duration_ticks(longest: int) -> list[int]:
    """Return two to four durations, the first of which is 0, up to `longest`."""
    longest = max(longest, MILLISECOND)
    step = _fitting(_DURATION_STEPS, longest, _MOST_DURATIONS)
    return list(range(0, longest + 1, step))


def draw_times(
    scale: TimeScale, height: int, base: int, now: int | None = None
) -> tuple[Markup, Markup]:
    """Return the lines of the ticks, for a plane of some height, and their names, for a
    chart, on the line of text at `base`; the same of `now`, if it is given."""
    ticks = list(scale.ticks())
    lines = path("grid", "".join([f"M{place:.1f} 0v{height}" for place, _ in ticks]))
    names = [tick for tick in ticks if _EDGE <= tick[0] <= WIDTH - _EDGE]
    written = []
    if now is not None and scale.begin <= now <= scale.end:
        place = scale.place(now)
        lines += path("now", f"M{place:.1f} 0v{height}")
        written.append(text("now", place, base, _anchor(place), "now"))
        names = [tick for tick in names if abs(tick[0] - place) > _BESIDE_NOW]
    for n, (at, name) in enumerate(_zoned(names)):
        look = "tick minor" if n % 2 and len(names) > _MOST_ON_PHONE else "tick"
        written.append(text(name, at, base, "middle", look))
    return lines, joined(written)


def _zoned(names: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the same with the zone after the first time of day."""
    for n, (place, name) in enumerate(names):
        if ":" in name:
            return [*names[:n], (place, f"{name} UTC"), *names[n + 1 :]]
    return names


def _anchor(place: float) -> str:
    if place < _EDGE:
        return "start"
    return "end" if place > WIDTH - _EDGE else "middle"


def _fitting(steps: tuple[int, ...], span: int, most: int) -> int:
    for step in steps:
        if span // step <= most:
            return step
    step = steps[-1]
    while span // step > most:
        step *= 2
    return step
