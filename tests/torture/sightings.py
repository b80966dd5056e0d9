"""What each cell looked like to each observer, as long as it looked the same."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from torture.history import Contents, History, LostTail, Scrape


@dataclass(slots=True)
class Sighting:
    """Scrapes one after the other, by one observer of one process, that show the same
    in a cell: those from `start` to `stop` of `scrapes`.

    era: how many tails had been lost before; None while that is not known.
    """

    contents: Contents
    scrapes: list[Scrape]
    start: int
    stop: int
    era: int | None

    @property
    def first(self) -> Scrape:
        return self.scrapes[self.start]

    @property
    def process(self) -> str | None:
        return self.first.process

    def fresh(self) -> Iterator[Scrape]:
        """Yield those of its scrapes that show all that was committed, last first."""
        for number in range(self.stop - 1, self.start - 1, -1):
            if self.scrapes[number].is_fresh:
                yield self.scrapes[number]


class Sightings:
    """The sightings of all cells in `history`."""

    def __init__(self, history: History) -> None:
        self._observed: dict[str, list[Scrape]] = defaultdict(list)
        for scrape in history.scrapes:
            self._observed[scrape.observer].append(scrape)
        self._borders = {
            observer: _borders(scrapes, history.lost_tails)
            for observer, scrapes in self._observed.items()
        }
        self._changes: dict[tuple[str, str], list[tuple[int, Contents]]]
        self._changes = defaultdict(list)
        for observer, scrapes in self._observed.items():
            for number, scrape in enumerate(scrapes):
                for cell, contents in scrape.changed.items():
                    self._changes[observer, cell].append((number, contents))

    def cells(self) -> set[str]:
        """Return all cells that anybody saw."""
        return {cell for _, cell in self._changes}

    def of(self, cell: str, since: float) -> list[Sighting]:
        """Return the sightings of `cell`, in the order in which they began, but for
        those that ended before `since` and saw nothing."""
        found = [s for o in self._observed for s in self._by(o, cell, since)]
        return sorted(found, key=lambda sighting: sighting.first.begun)

    def _by(self, observer: str, cell: str, since: float) -> Iterator[Sighting]:
        scrapes, borders = self._observed[observer], self._borders[observer]
        changes = [(0, ()), *self._changes.get((observer, cell), [])]
        starts = [number for number, _ in changes]
        border_starts = [number for number, _ in borders]
        first = bisect_left(scrapes, since, key=lambda scrape: scrape.ended)
        first = min(first, *starts[1:2], len(scrapes))
        cuts = sorted({first, *starts, *border_starts, len(scrapes)})
        cuts = cuts[cuts.index(first) :]
        for start, stop in pairwise(cuts):
            contents = changes[bisect_right(starts, start) - 1][1]
            era = borders[bisect_right(border_starts, start) - 1][1]
            yield Sighting(contents, scrapes, start, stop, era)


def _borders(
    scrapes: list[Scrape], tails: list[LostTail]
) -> list[tuple[int, int | None]]:
    """Return where the scrapes of an observer are of another process or era than those
    before: the number of the first one, and its era."""
    eras: list[int | None] = []
    for scrape in scrapes:
        least = 0
        if eras and eras[-1] is not None and scrape.process is not None:
            is_same = scrapes[len(eras) - 1].process == scrape.process
            least = eras[-1] if is_same else 0
        eras.append(_era_of(scrape, tails, least))
    places = range(len(scrapes))
    runs = groupby(places, lambda n: (scrapes[n].process, eras[n]))
    starts = [next(run) for _, run in runs]
    return [(start, eras[start]) for start in starts]


def _era_of(scrape: Scrape, tails: list[LostTail], least: int) -> int | None:
    """Return the era that `scrape` shows, which is `least` or a later one."""
    era = least
    for number, tail in enumerate(tails, 1):
        knows = scrape.begun >= (tail.dead_at if scrape.is_fresh else tail.settled_at)
        if knows:
            era = max(era, number)
        elif number > era and scrape.ended >= tail.dead_at:
            return None
    return era
