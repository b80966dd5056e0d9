"""Whether each page is the store as it was at one moment.

Commits have an order, and a page shows all of them up to one. So it must not show an
operation, and lack one that had been acknowledged before that began.
"""

from __future__ import annotations

from collections.abc import Iterator

from torture.chain import Chain
from torture.history import Operation, Scrape
from torture.sightings import Sighting
from torture.violations import Violation, Wrong


class Moments:
    """Collects, cell by cell, the last operation that each scrape shows, and the first
    one that it lacks."""

    def __init__(self) -> None:
        self._shown: dict[int, Operation] = {}
        self._lacking: dict[int, Operation] = {}
        self._eras: dict[int, int | None] = {}

    def note(self, chain: Chain, sightings: list[Sighting]) -> None:
        """Take over what `sightings`, which fit to `chain`, show of a cell."""
        for sighting in sightings:
            if sighting.process is not None:
                self._note_shown(chain, sighting)
                self._note_lacking(chain, sighting)

    def check(self, scrapes: list[Scrape]) -> Iterator[Violation]:
        """Say which of `scrapes`, in the order of each observer, are of no moment."""
        last: dict[tuple[str, str | None], tuple[int | None, Operation | None]] = {}
        for scrape in scrapes:
            who, number = (scrape.observer, scrape.process), id(scrape)
            era, shown = last.get(who, (None, None))
            if self._eras.get(number, era) != era:
                era, shown = self._eras[number], None
            shown = _later(shown, self._shown.get(number))
            last[who] = era, shown
            lacking = self._lacking.get(number)
            if shown and lacking and lacking.ended < shown.begun:
                text = f"a {scrape} lacks the first of these, and shows the second"
                yield Violation(Wrong.MIXED, text, (lacking, shown))

    def _note_shown(self, chain: Chain, sighting: Sighting) -> None:
        number = id(sighting.first)
        self._eras[number] = sighting.era
        place = chain.places(sighting.contents)[0]
        if place:
            step = chain.steps[place - 1]
            later = _later(self._shown.get(number), step)
            assert later is not None
            self._shown[number] = later

    def _note_lacking(self, chain: Chain, sighting: Sighting) -> None:
        places = chain.places(sighting.contents)
        for number in range(sighting.stop - 1, sighting.start - 1, -1):
            scrape = sighting.scrapes[number]
            latest = chain.begun_before(scrape.ended)
            place = max((p for p in places if p <= latest), default=places[0])
            step = chain.next_done(place)
            if step is not None and step.ended < scrape.ended:
                before = self._lacking.get(id(scrape))
                if before is None or step.ended < before.ended:
                    self._lacking[id(scrape)] = step
            elif len(places) == 1:
                return  # nor do those before lack anything


def _later(one: Operation | None, other: Operation | None) -> Operation | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda each: each.begun)
