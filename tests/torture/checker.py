"""Reads a history, and says what in it must not be."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from itertools import accumulate, pairwise

from torture.chain import Chain, continued, steps_of
from torture.history import (
    Contents,
    History,
    Kind,
    LostTail,
    Operation,
    Outcome,
    Scrape,
)
from torture.moments import Moments
from torture.page import EVERYBODY
from torture.sightings import Sighting, Sightings
from torture.violations import Violation, Wrong, shown, what_is_strange

_LINES_OF_A_DIFFERENCE = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong in a history, and what was acknowledged and is lost with the tails
    that standbys lacked."""

    violations: list[Violation]
    lost: list[Operation]


def check(history: History) -> Verdict:
    """Judge `history`, whose lost tails are in their order."""
    cells = _Cells(history)
    violations = [
        *_refusals(history),
        *_pages(history),
        *_revisions(history),
        *cells.check(),
        *_endings(history),
    ]
    return Verdict(violations, [each for lost in cells.lost for each in lost])


def _refusals(history: History) -> Iterator[Violation]:
    for operation in history.operations:
        is_refused = operation.outcome is Outcome.REFUSED
        if is_refused and operation.kind is not Kind.CONTEST:
            yield Violation(Wrong.REFUSED, operation.told, (operation,))


def _pages(history: History) -> Iterator[Violation]:
    kinds = {"two types": Wrong.TYPES, "sum": Wrong.SUM}
    for scrape in history.scrapes:
        for problem in scrape.problems:
            wrong = kinds.get(problem.partition(":")[0], Wrong.TORN)
            yield Violation(wrong, f"{problem}, says a {scrape}")


def _revisions(history: History) -> Iterator[Violation]:
    newest: dict[tuple[str, str], Scrape] = {}
    for scrape in history.scrapes:
        if scrape.process is None or scrape.revision is None:
            continue
        before = newest.get((scrape.observer, scrape.process), scrape)
        newest[scrape.observer, scrape.process] = scrape
        assert before.revision is not None
        is_excused = any(
            before.begun < tail.settled_at and scrape.ended > tail.dead_at
            for tail in history.lost_tails
        )
        if scrape.revision < before.revision and not is_excused:
            yield Violation(Wrong.BACK, f"after a {before} comes a {scrape}")


class _Cells:
    """The check of every cell by itself, and of the tails of all."""

    def __init__(self, history: History) -> None:
        self._tails = history.lost_tails
        self._sightings = Sightings(history)
        self._operations: dict[str, list[Operation]] = defaultdict(list)
        for operation in sorted(history.operations, key=lambda each: each.begun):
            self._operations[operation.cell].append(operation)
        self._scrapes = history.scrapes
        # What runs leave is shown a moment later than what was committed beside it.
        self._moments = {of_runs: Moments() for of_runs in (False, True)}
        self._survivors: list[list[Operation]] = [[] for _ in self._tails]
        self.lost: list[list[Operation]] = [[] for _ in self._tails]

    def check(self) -> Iterator[Violation]:
        for cell in sorted(self._operations):
            yield from self._check_cell(cell)
        for cell in sorted(self._sightings.cells() - self._operations.keys()):
            if cell.rpartition(" ")[2] != EVERYBODY:
                yield Violation(Wrong.TORN, f"{cell} is shown, and nobody wrote it")
        for survivors, lost in zip(self._survivors, self.lost, strict=True):
            yield from _tail(survivors, lost)
        for moments in self._moments.values():
            yield from moments.check(self._scrapes)

    def _check_cell(self, cell: str) -> Iterator[Violation]:
        steps = steps_of(self._operations[cell])
        sightings = self._sightings.of(cell, self._operations[cell][0].begun)
        eras: list[list[Chain]] = []
        base: Contents = ()
        doubtful: list[Operation] = []
        for number, tail in enumerate([*self._tails, None]):
            end = tail.dead_at if tail else float("inf")
            certain = [step for step in steps if step.begun < end]
            steps = [step for step in steps if step.begun >= end]
            chains = list(continued(base, doubtful, certain))
            eras.append(chains)
            seen = [sighting for sighting in sightings if sighting.era == number]
            problems = [_misfit(cell, chain, seen) for chain in chains]
            if all(problems):
                yield from problems[:1]
            elif len(chains) == 1:
                self._moments[cell.startswith("runs ")].note(chains[0], seen)
            if tail is not None:
                base = tail.survived.get(cell, ())
                chain = next((c for c in chains if c.places(base)), chains[0])
                yield from self._check_survival(cell, chain, number, tail)
                doubtful, again = _in_flight(chain, base, tail)
                steps = again + steps
        yield from _strays(cell, eras, sightings)

    def _check_survival(
        self, cell: str, chain: Chain, number: int, tail: LostTail
    ) -> Iterator[Violation]:
        base = tail.survived.get(cell, ())
        places = chain.places(base)
        if not places:
            text = f"{cell}: a standby has {shown(base)}, which it never was"
            yield Violation(what_is_strange(base, chain.states), text)
            return
        first, last = places[0], places[-1]
        self._survivors[number] += chain.steps[:first]
        lost = [
            step
            for step in chain.steps[last:]
            if step.is_acknowledged and step.ended < tail.dead_at
        ]
        self.lost[number] += lost
        too_early = [step for step in lost if step.ended < tail.safe_at]
        if too_early:
            text = f"{cell}: it had reached the standby, which has {shown(base)}"
            yield Violation(Wrong.LOST, text, tuple(too_early))


def _in_flight(
    chain: Chain, base: Contents, tail: LostTail
) -> tuple[list[Operation], list[Operation]]:
    """Return the steps that may have been done after the tail was lost though they
    began before, and those that must have been."""
    survived = chain.places(base)[-1] if chain.places(base) else 0
    left = [
        step
        for step in chain.steps[survived:]
        if step.ended >= tail.dead_at or not step.is_acknowledged
    ]
    certain = [
        step
        for step in left
        if step.is_acknowledged and step.last_begun >= tail.dead_at
    ]
    return [step for step in left if step not in certain], certain


def _misfit(cell: str, chain: Chain, sightings: list[Sighting]) -> Violation | None:
    """Say which of `sightings`, all of one era, does not fit to `chain`."""
    least: dict[tuple[str, str], int] = {}
    seen: list[tuple[float, int, Scrape]] = []
    for sighting in sightings:
        places = chain.places(sighting.contents)
        if not places:
            return _strange(cell, chain, sighting)
        who = (sighting.first.observer, sighting.process or "")
        telling = list(sighting.fresh())
        if len(places) == 1:
            telling = telling[:1]
        for scrape in [sighting.first, *reversed(telling)]:
            known = chain.done_before(scrape.begun) if scrape.is_fresh else 0
            before = least.get(who, 0) if sighting.process is not None else 0
            highest = chain.begun_before(scrape.ended)
            fitting = [place for place in places if known <= place <= highest]
            if not fitting:
                return _stale(cell, chain, sighting, scrape, known)
            fitting = [place for place in fitting if place >= before]
            if not fitting:
                return _back(cell, chain, sighting, scrape, before)
            least[who] = fitting[0]
            seen.append((scrape.ended, fitting[0], scrape))
    return _between_observers(cell, chain, sightings, seen)


def _between_observers(
    cell: str,
    chain: Chain,
    sightings: list[Sighting],
    seen: list[tuple[float, int, Scrape]],
) -> Violation | None:
    """Say which fresh scrape is older than one of anybody that had ended before."""
    seen.sort(key=lambda each: each[0])
    ends = [ended for ended, _, _ in seen]
    furthest = list(accumulate((place for _, place, _ in seen), max))
    for sighting in sightings:
        last = next(sighting.fresh(), None)
        if last is None:
            continue
        number = bisect_left(ends, last.begun)
        before = furthest[number - 1] if number else 0
        if chain.places(sighting.contents)[-1] < before:
            return _back(cell, chain, sighting, last, before)
    return None


def _strange(cell: str, chain: Chain, sighting: Sighting) -> Violation:
    wrong = what_is_strange(sighting.contents, chain.states)
    text = (
        f"{cell}: {shown(sighting.contents)}, which it never was, in a {sighting.first}"
    )
    number = chain.begun_before(sighting.first.ended)
    return Violation(wrong, text, tuple(chain.steps[max(0, number - 3) : number]))


def _stale(
    cell: str, chain: Chain, sighting: Sighting, scrape: Scrape, known: int
) -> Violation:
    wrong = Wrong.LOST if scrape is sighting.scrapes[-1] else Wrong.STALE
    text = f"{cell}: {shown(sighting.contents)} in a {scrape}"
    place = chain.places(sighting.contents)[0]
    return Violation(wrong, text, tuple(chain.steps[max(0, place - 1) : known + 1]))


def _back(
    cell: str, chain: Chain, sighting: Sighting, scrape: Scrape, before: int
) -> Violation:
    text = f"{cell}: {shown(sighting.contents)} in a {scrape}; something later was seen"
    place = chain.places(sighting.contents)[0]
    return Violation(Wrong.BACK, text, tuple(chain.steps[max(0, place - 1) : before]))


def _strays(
    cell: str, eras: list[list[Chain]], sightings: list[Sighting]
) -> Iterator[Violation]:
    """Say what was shown while a tail was being lost, and never was."""
    chains = [chain for era in eras for chain in era]
    for sighting in sightings:
        if sighting.era is None and not any(
            chain.places(sighting.contents) for chain in chains
        ):
            yield _strange(cell, chains[0], sighting)


def _tail(survivors: list[Operation], lost: list[Operation]) -> Iterator[Violation]:
    """Say whether something was lost that was done before something that was not."""
    if survivors and lost:
        survivor = max(survivors, key=lambda each: each.begun)
        first = min(lost, key=lambda each: each.ended)
        if first.ended < survivor.begun:
            text = "the first of these is lost, the second is not"
            yield Violation(Wrong.TAIL, text, (first, survivor))


def _endings(history: History) -> Iterator[Violation]:
    for one, other in pairwise(history.endings):
        if one.page != other.page:
            lines = unified_diff(
                one.page.splitlines(), other.page.splitlines(), lineterm="", n=0
            )
            told = "\n".join(list(lines)[2 : 2 + _LINES_OF_A_DIFFERENCE])
            text = f"{one.replica} and {other.replica} show\n{told}"
            yield Violation(Wrong.DISAGREE, text)
    finishes = [o for o in history.operations if o.kind is Kind.FINISH]
    # Whether others were lost, their count tells.
    certain = {
        run.id
        for run in finishes
        if run.is_acknowledged
        and all(
            run.ended < tail.safe_at or run.last_begun >= tail.dead_at
            for tail in history.lost_tails
        )
    }
    for ending in history.endings:
        listed = Counter(ending.runs)
        for run in finishes:
            found = listed[run.id, "finished"]
            if found > 1 or (run.id in certain and not found):
                text = f"{ending.replica} lists it {found} times"
                yield Violation(Wrong.RUNS, text, (run,))
