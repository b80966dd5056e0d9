"""The report of a torture run."""

from __future__ import annotations

from torture.checker import check
from torture.history import Fault, Outcome
from torture.planted import (
    GROUP,
    SUM,
    Observer,
    add,
    added,
    history,
    lost_tail,
    put,
    state,
)
from torture.report import Part, report
from torture.violations import Wrong


def test_a_report_tells_what_was_done_and_what_was_wrong() -> None:
    one, other = Observer(), Observer()
    good = history(
        put(1, 1),
        put(2, 2, outcome=Outcome.UNKNOWN),
        add(2, 5, tries=3),
        one.sees(3, {GROUP: state(2), SUM: added(5)}, fresh=False),
        Fault("a replica killed", 1, 2),
        Fault("a replica killed", 3, 4),
        lost_tail(4, {GROUP: state(1)}, safe_at=1.7),
    )
    bad = history(put(1, 1), other.sees(3, {}))
    histories = {"PostgreSQL": good, "SQLite": bad}
    parts = [Part(name, each, check(each)) for name, each in histories.items()]
    lines = report(parts, "Seed 17.").splitlines()
    assert lines[0].startswith("Seed 17.")
    assert "|  | PostgreSQL | SQLite |" in lines
    assert "| replace | 1 / 0 / 1 | 1 / 0 / 0 |" in lines
    assert "| tried again until acknowledged | 1 | 0 |" in lines
    assert "| scrapes that say that the store had answered | 0 | 1 |" in lines
    assert (
        "| acknowledged, and lost with the tail that a standby lacked | 1 | 0 |"
        in lines
    )
    assert "| a replica killed | 2 |  |" in lines
    assert f"| {Wrong.LOST.value} | none | 1 |" in lines
    assert f"| {Wrong.TORN.value} | none | none |" in lines
