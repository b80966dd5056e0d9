from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import pytest
from canned_runs import BAD, HISTORY, ID, NOW, run_document, started
from relay_process import REPOSITORY

from pushrelay.cli.run_history import history
from pushrelay.cli.sparkline import BARS


def drawn(runs: list[dict[str, Any]], columns: int | None = None) -> list[str]:
    """Return the lines of the history of `runs`."""
    lines = history(runs, BARS, columns, NOW * 10**9, UTC)
    return [click.unstyle(each) for each in lines]


def test_the_example_in_the_docs_is_such_a_history() -> None:
    page = (REPOSITORY / "docs/cli.md").read_text()
    example = page.partition("DURATIONS")[2].partition("```")[0].splitlines()
    runs = []
    for written in example[3:]:
        day, clock, took, outcome, code, id_, host = written.split()
        at = datetime.fromisoformat(f"{day}T{clock}Z").timestamp()
        ended = {"outcome": outcome, "exit_code": int(code), "host": host}
        took_seconds = float(took.removesuffix("s"))
        more = {"id": id_, "started_at": at, "duration_seconds": took_seconds}
        runs.append(run_document(**ended, **more))
    bars, *lines = drawn(runs)
    assert lines == example[1:]
    assert bars == "DURATIONS" + example[0]


def test_the_history() -> None:
    lines = drawn(HISTORY)
    assert lines == [
        "DURATIONS    ▇▂ ",
        "",
        "STARTED              DURATION  OUTCOME    EXIT     "
        "ID                                    HOST",
        f"2023-11-14 22:13:20         -  running    -        {ID.format(0)}  db1",
        f"2023-11-14 21:13:20      9.5s  failure    3        {ID.format(1)}  db1",
        f"2023-11-14 20:13:20     41.2s  signal     SIGKILL  {ID.format(2)}  -",
        f"2023-11-14 19:13:20         -  success    -        {ID.format(3)}  db1",
        f"2023-11-14 18:13:20         -  abandoned  -        {ID.format(4)}  db1",
    ]


def test_the_history_tells_runs_with_other_labels_apart() -> None:
    runs = [
        run_document(0, labels={"instance": "db1", "db": "main"}, host=None),
        run_document(1, labels={"instance": BAD}),
        run_document(2),
    ]
    _, _, *lines = drawn(runs)
    ends = [each[each.rindex("HOST") :] for each in lines[:1]]
    assert ends == ["HOST  LABELS"]
    assert [each.split()[-2:] for each in lines[1:]] == [
        ["-", "db=main,instance=db1"],
        ["db1", "instance=?]0;x??"],
        ["db1", "-"],
    ]


def test_without_runs_there_is_nothing_to_draw() -> None:
    [headings] = drawn([])
    assert headings.startswith("STARTED")
    assert len(drawn([started()])) == 2


def test_the_bars_of_the_last_runs_fit_the_terminal() -> None:
    runs = [run_document(n, duration_seconds=1.0 if n else 100.0) for n in range(200)]
    first, *_ = drawn(runs, 40)
    assert first == "DURATIONS  " + "▁" * 28 + "▇"


LABELLED = {"db": "a-long-name-of-a-database", "instance": "db1.example.org"}
ON_A_HOST = {"host": "db1.example.org", "labels": LABELLED}


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (200, "STARTED DURATION OUTCOME EXIT ID HOST LABELS"),
        (129, "STARTED DURATION OUTCOME EXIT ID HOST LABELS"),
        (128, "STARTED DURATION OUTCOME EXIT ID HOST LABELS"),
        (110, "STARTED DURATION OUTCOME EXIT ID HOST LABELS"),
        (109, "STARTED DURATION OUTCOME EXIT ID HOST"),
        (93, "STARTED DURATION OUTCOME EXIT ID HOST"),
        (92, "STARTED DURATION OUTCOME EXIT ID"),
        (77, "STARTED DURATION OUTCOME EXIT ID"),
        (76, "STARTED OUTCOME EXIT ID"),
        (67, "STARTED OUTCOME EXIT ID"),
        (66, "STARTED OUTCOME ID"),
        (20, "STARTED OUTCOME ID"),
    ],
)
def test_all_columns_give_way_to_the_id(columns: int, headings: str) -> None:
    runs = [run_document(number, **ON_A_HOST) for number in range(2)]
    _, _, *lines = drawn(runs, columns)
    assert lines[0].split() == headings.split()
    assert max(map(len, lines)) <= max(columns, 61)
    for run, line in zip(runs, lines[1:], strict=True):
        assert run["id"] in line.split()


def test_what_is_cut_says_so() -> None:
    _, _, _, line = drawn([run_document(**ON_A_HOST)], 110)
    assert line.endswith("  db1.example.org  db=a-lon…")
    _, _, _, line = drawn([run_document(**ON_A_HOST)], 93)
    assert line.endswith("  db1.exam…")


def test_where_it_is_narrow_starts_are_told_without_their_years() -> None:
    ages = [0, 24, 24 * 400]
    lines = drawn([run_document(hours) for hours in ages], 80)[3:]
    told = ["11-14 22:13:20  ", "11-13 22:13:20  ", "2022-10-10 22:13"]
    assert [line[:16] for line in lines] == told


@pytest.mark.parametrize("more", [{"signal": 9}, {"exit_code": 127}, {"attempt": 2}])
def test_a_usual_terminal_shows_whole_ids(more: dict[str, int]) -> None:
    runs = [*HISTORY, run_document(5, outcome="timeout", **more)]
    _, _, *lines = drawn(runs, 80)
    for run, line in zip(runs, lines[1:], strict=True):
        assert run["id"] in line.split()
        assert len(line) <= 80


def test_an_instance_that_is_the_host_is_told_once() -> None:
    labels = {"instance": "db1"}
    same = [run_document(number, labels=labels) for number in range(2)]
    assert drawn(same)[2].endswith("  HOST")
    others = [*same, run_document(2, labels={**labels, "db": "main"}), run_document(3)]
    others[1]["host"] = "db2"
    told = [line.split()[-1] for line in drawn(others)[3:]]
    assert told == ["-", "instance=db1", "db=main", "-"]


def test_attempts_are_counted_where_there_was_more_than_one() -> None:
    runs = [run_document(0, attempt=2), run_document(1, exit_code=3)]
    _, _, headings, *lines = drawn(runs)
    assert headings.split()[3:] == ["EXIT", "ATTEMPT", "ID", "HOST"]
    assert [line.split()[4:6] for line in lines] == [["0", "2"], ["3", "1"]]
