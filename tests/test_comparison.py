"""docs/comparison.md is whole, and what it says of pushrelay is proved by tests."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from doc_examples import DOCS, ROOT, table

OTHERS = ("PGW", "PAG", "GRV", "HC", "CRO", "STD", "VMA", "OTL")
HEADINGS = f"| # | feature | pushrelay | {' | '.join(OTHERS)} |"
VERDICTS = {"Y", "P", "N", "-", "?", "Y s"}
ROWS = 106
PROOF = re.compile(r'\[(?:yes|partly|and)\]\((\S+) "(\w+)"\)')


class Row(NamedTuple):
    """A row of the tables. ours, others: what is in the cells.

    note: the line below the table, if the number says that there is one.
    """

    number: int
    is_noted: bool
    ours: str
    others: list[str]
    note: str | None

    @property
    def proofs(self) -> list[tuple[str, str]]:
        """The file and the name of each test that is linked."""
        return PROOF.findall(self.ours)


def rows() -> list[Row]:
    """Return the rows of all tables that compare."""
    text = (DOCS / "comparison.md").read_text()
    _, *parts = text.partition("\n## Row by row\n")[2].split(f"\n{HEADINGS}\n")
    found = []
    for part in parts:
        section = part.partition("\n#")[0]
        notes = dict(re.findall(r"^- \*\*(\d+)\*\* (.+)", section, re.MULTILINE))
        for line in re.findall(r"^\|(.*)\|$", section, re.MULTILINE)[1:]:
            number, _, ours, *others = [cell.strip() for cell in line.split(" | ")]
            bare = number.removesuffix("*")
            note = notes.pop(bare, None)
            found.append(Row(int(bare), number != bare, ours, others, note))
        assert not notes, f"no row for the lines {sorted(notes)}"
    return found


@cache
def functions_in(file: Path) -> Counter[str]:
    """Return how often each function of a module of tests is defined."""
    return Counter(
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_all_rows_are_there_in_their_order() -> None:
    assert [row.number for row in rows()] == list(range(1, ROWS + 1))
    assert f"[{ROWS} rows](#row-by-row)" in (DOCS / "comparison.md").read_text()


def test_every_cell_has_a_verdict() -> None:
    ours = re.compile(
        rf"(?!\[and){PROOF.pattern}(?: (?!\[yes|\[partly){PROOF.pattern})*"
    )
    for row in rows():
        assert len(row.others) == len(OTHERS), row
        assert set(row.others) <= VERDICTS, row
        assert re.fullmatch(r"no: \w.+", row.ours) or ours.fullmatch(row.ours), row


def test_what_there_is_in_part_and_what_has_a_star_is_explained() -> None:
    for row in rows():
        assert row.is_noted == (row.note is not None), row
        assert row.is_noted or not row.ours.startswith("[partly]"), row


def test_what_is_said_to_be_there_is_proved_by_a_test_that_there_is() -> None:
    proofs = [proof for row in rows() for proof in row.proofs]
    assert len(proofs) > ROWS
    for link, name in proofs:
        file = (DOCS / link).resolve()
        assert file.is_relative_to(ROOT / "tests"), link
        assert file.name.startswith("test_"), link
        assert name.startswith("test_"), name
        assert functions_in(file)[name] == 1, f"{link} has no {name}"


def test_the_figures_are_those_that_were_measured() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    measured = results.replace(" ", "").splitlines()
    shown = table("comparison.md", "### Figures")
    assert len(shown) > 5
    for row in shown:
        assert f"|{'|'.join(row)}|".replace(" ", "") in measured
    versions = re.search(r"beside Pushgateway ([\d.]+)", text_above_figures())
    assert versions
    assert f"Pushgateway {versions[1]}\n" in results


def text_above_figures() -> str:
    """Return what is between the heading of the figures and their table."""
    text = (DOCS / "comparison.md").read_text().partition("### Figures")[2]
    return text.partition("\n|")[0]
