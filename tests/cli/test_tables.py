from __future__ import annotations

import click
import pytest

from pushrelay.cli.sparkline import ASCII_BARS, BARS, bars_for, sparkline
from pushrelay.cli.tables import Cell, line, name, table, word

RED, BLUE = "\x1b[31m", "\x1b[34m"
PLAIN = "\x1b[0m"


def test_columns_are_aligned_and_the_last_has_no_padding() -> None:
    rows = [("a", "12", "x"), (Cell("long"), "3", "much longer")]
    assert list(table(("A", "N", "LAST"), rows, None, right=(1,))) == [
        "A      N  LAST",
        "a     12  x",
        "long   3  much longer",
    ]


def test_a_table_without_rows_has_its_headings() -> None:
    assert list(table(("A", "B"), [], None)) == ["A  B"]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (None, "ok  twelve chars  fourteen chars  name"),
        (38, "ok  twelve chars  fourteen chars  name"),
        (37, "ok  twelve chars  fourteen cha…  name"),
        (33, "ok  twelve ch…  fourteen c…  name"),
        (30, "ok  twelve c…  fourteen…  name"),
        (29, "ok  twelve c…  fourteen…  na…"),
    ],
)
def test_the_others_are_cut_before_a_name(columns: int | None, shown: str) -> None:
    rows = [("ok", Cell("twelve chars", "red"), "fourteen chars", "name")]
    heads = ("A", "B", "C", "D")
    _, line_ = table(heads, rows, columns, last_is_name=True)
    assert click.unstyle(line_) == shown


def test_lines_are_cut_to_the_columns_whatever_their_colours() -> None:
    pieces = [Cell("abc", "red"), Cell("  "), Cell("defg", "blue")]
    whole = f"{RED}abc{PLAIN}  {BLUE}defg{PLAIN}"
    assert line(pieces, None) == line(pieces, 9) == whole
    assert line(pieces, 8) == f"{RED}abc{PLAIN}  {BLUE}de{PLAIN}…"
    assert line(pieces, 3) == f"{RED}ab{PLAIN}…"
    for columns in range(1, 10):
        assert len(click.unstyle(line(pieces, columns))) == min(columns, 9)


def test_what_comes_from_the_network_is_made_readable() -> None:
    assert word(None) == "-"
    assert word("a\n\x1b[2Jb") == "a ?[2Jb"
    assert word(7) == "7"
    assert name("nightly report") == "nightly report"
    assert name("a\x1b[2J\u202e") == '"a\\x1b[2J\\u202e"'
    assert name("") == '""'
    assert name("\udcff") == '"\\xff"'


def finished(seconds: float | None, outcome: str = "success") -> dict[str, object]:
    return {"state": "finished", "outcome": outcome, "duration_seconds": seconds}


RUNNING = {"state": "started", "abandoned": False, "duration_seconds": None}


def drawn(*runs: dict[str, object], bars: str = BARS) -> str:
    return "".join([cell.text for cell in sparkline(runs, bars)])


def test_bars_are_parts_of_the_longest_the_oldest_first() -> None:
    newest_first = [finished(each) for each in (100, 79, 59, 21, 19, 0)]
    assert drawn(*newest_first) == "▁▁▂▃▅▇"
    assert drawn(*newest_first, bars=ASCII_BARS) == "..:-=#"


def test_runs_without_a_duration_leave_a_gap() -> None:
    assert drawn(RUNNING, finished(5), finished(None), finished(5)) == "▇ ▇ "
    assert drawn(RUNNING) == " "
    assert drawn(finished(0)) == "▁"
    assert drawn() == ""


def test_failures_have_a_colour() -> None:
    outcomes = ["success", "failure", "timeout", "signal", "skipped"]
    cells = sparkline([finished(1, outcome) for outcome in outcomes], BARS)
    assert [cell.colour for cell in cells] == [None, "red", "red", "red", None]


def test_the_bars_are_those_that_can_be_written() -> None:
    assert bars_for("utf-8") == BARS
    for encoding in ("ascii", "latin-1", "no such encoding"):
        assert bars_for(encoding) == ASCII_BARS
