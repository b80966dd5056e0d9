"""What is owed, and whether a run reached it. Beside it the names of the rows judged.

A ratio is that of medians, a limit is for the worst of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from load import CONNECTIONS
from report import Report, digits, groups_told

OWN, OTHER = "pushrelay", "Pushgateway"
OWED_AT = 100_000
"""How many groups scale.py's limit of memory is meant for: fewer are less than the
interpreter."""

THROUGHPUT = f"push throughput, {CONNECTIONS} connections to 8 groups"
SPREAD, ONE_GROUP = "spread over all groups", "all to one group"
CHANGED = "after one change"
FIRST_BYTE = "processor time until the first byte of an unchanged gzip scrape"
PER_MEGABYTE = "processor time for each MB of an unchanged gzip scrape"
HELD, MEMORY = "plain text held", "memory after all scrapes"
RESTART = "restart to ready"
FIRST_NEW_SERIES = 20_000
FEW_NEW_SERIES = f"memory after {FIRST_NEW_SERIES:,} pushes of new series"
ALL_NEW_SERIES = "memory after all pushes of new series"
AFTER_OWN = "scrape with gzip, after a push to the same replica"
AFTER_OTHER = "scrape with gzip, after a push to another replica"
LONG_SNAPSHOT = "while a snapshot is held open"
JUDGED_FORMATS = ("plain", "gzip", "protobuf with gzip")


def push_row(figure: str, of: str) -> str:
    """Name the row of a push's p50 or p99."""
    return f"push {figure}, {of}"


def scrape_row(state: str, groups: int) -> str:
    """Name the row of a scrape with gzip."""
    return f"scrape with gzip, {state}, {groups_told(groups)}"


def large_row(store: str) -> str:
    """Name the row of a push of 10,000 samples."""
    return f"push of 10,000 samples, {store}, p50"


def format_row(state: str, format_: str) -> str:
    """Name the row of a scrape in a format."""
    return f"scrape {state}, {format_}"


@dataclass(frozen=True)
class Verdict:
    """Whether a target was reached; None where it was not measured."""

    promise: str
    found: str
    passed: bool | None

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "not measured"}[self.passed]
        return f"{word}: {self.promise}{self.found and f' (it is {self.found})'}"


def at_most(
    what: str, limit: float, figure: float | None, tell: Callable[[float], str]
) -> Verdict:
    """Judge a figure that must not be larger than `limit`."""
    passed = None if figure is None else figure <= limit
    found = "" if figure is None else tell(figure)
    return Verdict(f"{what}: at most {tell(limit)}", found, passed)


def at_least(
    what: str, limit: float, figure: float | None, tell: Callable[[float], str]
) -> Verdict:
    """Judge a figure that must not be smaller than `limit`."""
    passed = None if figure is None else figure >= limit
    found = "" if figure is None else tell(figure)
    return Verdict(f"{what}: at least {tell(limit)}", found, passed)


def times(figure: float) -> str:
    """Write a ratio."""
    return f"{figure:,.0f} x" if figure >= 100 else f"{figure:.3g} x"


def milliseconds(figure: float) -> str:
    """Write a short time."""
    return f"{digits(figure * 1000)} ms"


def failed(verdicts: list[Verdict]) -> bool:
    """Whether a target was missed."""
    return any(verdict.passed is False for verdict in verdicts)


def beside_pushgateway(report: Report) -> list[Verdict]:
    """Judge what is owed of a run beside the Pushgateway."""

    def share(row: str) -> float | None:
        return report.quotient((row, OWN), (row, OTHER))

    def advantage(row: str) -> float | None:
        return report.quotient((row, OTHER), (row, OWN))

    def slower(row: str, limit: float) -> Verdict:
        return at_most(f"{row}, of the Pushgateway's time", limit, share(row), times)

    def faster(row: str, limit: float) -> Verdict:
        return at_least(
            f"{row}, faster than the Pushgateway", limit, advantage(row), times
        )

    throughput = f"{THROUGHPUT}, of the Pushgateway's"
    return [
        at_least(throughput, 1.3, share(THROUGHPUT), times),
        slower(push_row("p50", groups_told(1)), 1.3),
        faster(push_row("p50", groups_told(1_000)), 20),
        faster(push_row("p50", groups_told(5_000)), 100),
        faster(scrape_row("one group changed", 5_000), 20),
        faster(scrape_row("unchanged", 5_000), 50),
        slower(large_row("empty store"), 1.5),
        faster(large_row(groups_told(1_000)), 1),
    ]


def at_scale(
    report: Report, sizes: tuple[int, ...], streams: list[str]
) -> list[Verdict]:
    """Judge what is owed of a run of scale.py, at the largest of its sizes.

    streams: the names of what went on beside pushes.
    """
    small, middle, large = sizes[0], sizes[-2], sizes[-1]
    at = groups_told(large)

    def grown(row: str, since: int) -> float | None:
        return report.quotient((row, at), (row, groups_told(since)))

    def flat(row: str, since: int) -> Verdict:
        what = f"{row}, at {at} of that at {groups_told(since)}"
        return at_most(what, 1.3, grown(row, since), times)

    def limited(row: str, limit: float) -> Verdict:
        return at_most(f"{row}, at {at}", limit, report.worst(row, at), milliseconds)

    memory = report.quotient((MEMORY, at), (HELD, at)) if large >= OWED_AT else None
    new_series = report.quotient(
        (ALL_NEW_SERIES, groups_told(small)), (FEW_NEW_SERIES, groups_told(small))
    )
    return [
        *(flat(push_row("p50", of), small) for of in (SPREAD, ONE_GROUP)),
        *(limited(format_row(CHANGED, format_), 2) for format_ in JUDGED_FORMATS),
        at_most(f"{MEMORY}, of the plain text at {OWED_AT:,} groups", 3, memory, times),
        limited(RESTART, 5),
        *(limited(push_row("p99", stream), 0.05) for stream in streams),
        flat(FIRST_BYTE, middle),
        flat(PER_MEGABYTE, middle),
        at_most(
            f"{ALL_NEW_SERIES}, of that after {FIRST_NEW_SERIES:,}",
            1.1,
            new_series,
            times,
        ),
    ]


def replicas_told(number: int) -> str:
    """Name a number of replicas."""
    return f"{number} replica{'' if number == 1 else 's'}"


def shared(report: Report) -> list[Verdict]:
    """Judge what is owed of a run of replicas.py, with two replicas and with three."""
    verdicts = []
    for at in map(replicas_told, (2, 3)):
        own, other = report.middle(AFTER_OWN, at), report.middle(AFTER_OTHER, at)
        limit = 2 * (own or 0) + 0.005
        what = f"{AFTER_OTHER}, {at}, of twice that to the same and 5 ms"
        verdicts.append(at_most(what, limit, other, milliseconds))
    for of in (SPREAD, ONE_GROUP):
        for at in map(replicas_told, (1, 2, 3)):
            row = push_row("p50", of)
            grown = report.quotient((f"{row}, {LONG_SNAPSHOT}", at), (row, at))
            what = f"{row}, {LONG_SNAPSHOT}, {at}, of that without"
            verdicts.append(at_most(what, 1.3, grown, times))
    return verdicts
