"""What the docs show: pages, examples and tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# A fence may be indented, as in a list; what follows ends with one indented likewise.
_BLOCK = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


def pages() -> list[str]:
    """Return all Markdown of the repository, as paths in it."""
    found = [*ROOT.glob("*.md")]
    for folder in ("docs", "contrib", "benchmarks"):
        found += (ROOT / folder).rglob("*.md")
    return sorted(str(path.relative_to(ROOT)) for path in found)


def blocks(page: str, *languages: str) -> Iterator[Block]:
    """Yield the blocks of code on a page, in their order; only those in `languages`
    if there are any."""
    text = (ROOT / page).read_text()
    for found in _BLOCK.finditer(text):
        if not languages or found[2] in languages:
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, found[2], textwrap.dedent(found[3]))


def without_blocks(text: str) -> str:
    """Return the text of a page without its blocks of code."""
    return _BLOCK.sub("", text)


def without_code(text: str) -> str:
    """Return the text of a page without what it shows as code."""
    return re.sub(r"(`+).+?\1", "", without_blocks(text))


def example_in(page: str, language: str) -> str:
    """Return the one example in `language` on a page, by its path in the repository."""
    (found,) = blocks(page, language)
    return found.text


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
