"""What the docs show: examples and tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def example_in(page: str, language: str) -> str:
    """Return the one example in `language` on a page, by its path in the repository."""
    text = (ROOT / page).read_text()
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table rows that follow `heading`, less the first two."""
    _, found, text = (DOCS / page).read_text().partition(heading)
    assert found, f"{page} has no {heading!r}"
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


def code_words(cell: str) -> list[str]:
    """Return what stands in backticks in `cell`."""
    return re.findall(r"`([^`]+)`", cell)
