"""Where moments and durations are in a chart, and what its axes say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pushrelay.web.charts.svg import WIDTH, element, joined, path, text
from pushrelay.web.charts.words import moment
from pushrelay.web.spoken import DAY, HOUR, MILLISECOND, MINUTE, SECOND

AXIS = 18
"""Pixels of the line of text below a chart."""
GUTTER = 58
"""Pixels to the left of a plane, for words. charts.css leaves some more there, the same
for all charts with an axis of time: so the same moment has the same place in them."""

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
# So close to the right edge, in units, a label would be cut; the left has a gutter.
_EDGE = 50
# If there are more, charts.css shows every other one on a phone.
_MOST_ON_PHONE = 4


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


def draw_times(scale: TimeScale, height: int, base: int) -> tuple[Markup, Markup]:
    """Return the lines of the ticks, for a plane of some height, and their names, for a
    chart, on the line of text at `base`."""
    ticks = list(scale.ticks())
    lines = path("grid", "".join([f"M{place:.1f} 0v{height}" for place, _ in ticks]))
    written = []
    for n, (at, name) in enumerate(_zoned(ticks), 1):
        # The last one, today as a rule, is not left out.
        is_minor = len(ticks) > _MOST_ON_PHONE and (len(ticks) - n) % 2
        look = "tick minor" if is_minor else "tick"
        written.append(text(name, at, base, _anchor(at), look))
    return lines, joined(written)


def draw_now(
    scale: TimeScale, height: int, base: int, now: int
) -> tuple[Markup, Markup]:
    """Return the same of `now`, nothing if it is outside. Its name does not fit among
    those of the ticks, which are often close to it."""
    if not scale.begin <= now <= scale.end:
        return Markup(""), Markup("")
    place = scale.place(now)
    line = path("now", f"M{place:.1f} 0v{height}")
    return line, text("now", place, base, _anchor(place), "now")


def at_the_left(words: str, base: int, look: str = "") -> Markup:
    """Return words that begin in the gutter, at `base` pixels of a chart."""
    attributes: dict[str, str | float] = {"x": -GUTTER, "y": base}
    if look:
        attributes["class"] = look
    return element("text", attributes, words)


def _zoned(names: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the same with the zone after the first time of day."""
    for n, (place, name) in enumerate(names):
        if ":" in name:
            return [*names[:n], (place, f"{name} UTC"), *names[n + 1 :]]
    return names


def _anchor(place: float) -> str:
    return "end" if place > WIDTH - _EDGE else "middle"


def _fitting(steps: tuple[int, ...], span: int, most: int) -> int:
    for step in steps:
        if span // step <= most:
            return step
    step = steps[-1]
    while span // step > most:
        step *= 2
    return step
