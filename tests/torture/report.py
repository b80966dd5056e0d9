"""The report of a torture run, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torture.checker import Verdict
from torture.history import History, Kind, Outcome
from torture.violations import Wrong


@dataclass
class Part:
    """What happened on one stage, and what there is to say of it."""

    name: str
    history: History
    verdict: Verdict

    @property
    def seconds(self) -> float:
        """How long it was from the first operation to the end of the last."""
        operations = self.history.operations
        begun = min(operation.begun for operation in operations)
        return max(operation.ended for operation in operations) - begun


def report(parts: Sequence[Part], how: str) -> str:
    """Return the report of `parts`; `how` tells how they came about."""
    names = [part.name for part in parts]
    return "\n".join(
        [
            f"{how} Operations: acknowledged / refused / outcome unknown.",
            "",
            *_table("", names, _amounts(parts)),
            "",
            *_table("fault", names, _faults(parts)),
            "",
            *_table("violation", names, _verdicts(parts)),
            "",
        ]
    )


def _amounts(parts: Sequence[Part]) -> dict[str, list[str]]:
    rows = {"seconds": [f"{part.seconds:.0f}" for part in parts]}
    for kind in Kind:
        rows[kind.value] = [_outcomes(part.history, kind) for part in parts]
    again = [sum(o.tries > 1 for o in part.history.operations) for part in parts]
    rows["tried again until acknowledged"] = [f"{each:,}" for each in again]
    scrapes = [part.history.scrapes for part in parts]
    fresh = [sum(scrape.is_fresh for scrape in each) for each in scrapes]
    rows["scrapes"] = [f"{len(each):,}" for each in scrapes]
    rows["scrapes that say that the store had answered"] = [f"{n:,}" for n in fresh]
    lost = [len(part.verdict.lost) for part in parts]
    rows["acknowledged, and lost with the tail that a standby lacked"] = [
        f"{each:,}" for each in lost
    ]
    return rows


def _outcomes(history: History, kind: Kind) -> str:
    found = Counter(o.outcome for o in history.operations if o.kind is kind)
    return " / ".join(f"{found[outcome]:,}" for outcome in Outcome)


def _faults(parts: Sequence[Part]) -> dict[str, list[str]]:
    counts = [Counter(f.name for f in part.history.faults) for part in parts]
    names = sorted({name for count in counts for name in count})
    return {name: [str(count[name] or "") for count in counts] for name in names}


def _verdicts(parts: Sequence[Part]) -> dict[str, list[str]]:
    counts = [Counter(v.wrong for v in part.verdict.violations) for part in parts]
    return {
        wrong.value: [str(count[wrong] or "none") for count in counts]
        for wrong in Wrong
    }


def _table(title: str, names: list[str], rows: dict[str, list[str]]) -> list[str]:
    lines = [[title, *names], ["---"] * (1 + len(names))]
    lines += [[row, *values] for row, values in rows.items()]
    return [f"| {' | '.join(line)} |" for line in lines]
