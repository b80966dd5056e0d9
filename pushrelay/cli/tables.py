"""Tables for people: aligned columns, cut and coloured where a terminal shows them.

What is in them comes from the network, so it must be made readable before.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import click

from pushrelay.client import readable
from pushrelay.quoting import quote

_GAP = "  "
_NARROWEST = 9

Columns: TypeAlias = "dict[str, list[Cell | str]]"
"""The columns of a table by their headings."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line; colour: one of click's, None for the usual one."""

    text: str
    colour: str | None = None


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    columns: int | None,
    *,
    right: Iterable[int] = (),
    last_is_name: bool = False,
) -> Iterator[str]:
    """Yield the lines of a table, the headings first.

    columns: the width to cut lines to; None: none. right: positions of the columns that
    are aligned there. The last column is not padded, so the longest belongs there.
    last_is_name: whether the others are cut before it, as rows are known by it.
    """
    cells = [[_cell(cell) for cell in row] for row in (headings, *rows)]
    widths = [
        max(len(cell.text) for cell in column) for column in zip(*cells, strict=True)
    ]
    if last_is_name and columns is not None:
        _narrow(widths, columns)
    for row in cells:
        pieces = []
        for position, (cell, width) in enumerate(zip(row[:-1], widths, strict=False)):
            pad = str.rjust if position in right else str.ljust
            text = pad(_cut(cell, width).text, width)
            pieces += [Cell(text, cell.colour), Cell(_GAP)]
        yield line([*pieces, row[-1]], columns)


def _narrow(widths: list[int], columns: int) -> None:
    """Take from the widest of the `widths` but the last until all fit in `columns`, or
    none of them may become narrower."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - columns
    for _ in range(excess):
        widest = max(range(len(widths) - 1), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def fitted(table: Columns, width: int, give_way: Iterable[str]) -> Columns:
    """Return the columns of `table`, but those that `give_way` are cut or left out, the
    first at first, as far as it must be for `width`."""
    kept = dict(table)
    for heading in give_way:
        excess = table_width(kept) - width
        if heading not in kept or excess <= 0:
            continue
        most = table_width({heading: kept[heading]}) - excess
        if most >= max(_NARROWEST, len(heading)):
            kept[heading] = [_cut(_cell(cell), most) for cell in kept[heading]]
        else:
            del kept[heading]
    return kept


def table_width(table: Columns) -> int:
    """Return how many columns of a terminal `table` needs."""
    widths = [
        max([len(_cell(cell).text) for cell in (heading, *cells)])
        for heading, cells in table.items()
    ]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cut(cell: Cell, width: int) -> Cell:
    if len(cell.text) <= width:
        return cell
    return Cell(cell.text[: width - 1] + "…", cell.colour)


def line(pieces: Iterable[Cell], columns: int | None) -> str:
    """Return `pieces` as one line, in their colours, cut to `columns`; None: whole."""
    kept = list(pieces)
    text = "".join([piece.text for piece in kept])
    if columns is not None and len(text) > columns:
        kept = [*_first(kept, columns - 1), Cell("…")]
    styled = [
        click.style(piece.text, fg=piece.colour) if piece.colour else piece.text
        for piece in kept
    ]
    return "".join(styled)


def _first(pieces: Iterable[Cell], characters: int) -> Iterator[Cell]:
    for piece in pieces:
        yield Cell(piece.text[:characters], piece.colour)
        characters -= len(piece.text)
        if characters <= 0:
            return


def _cell(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def terminal_columns() -> int | None:
    """Return how many columns there are on standard output; None if it is not on a
    terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(lines: Iterable[str]) -> None:
    """Print `lines`; what standard output has no characters for is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    for each in lines:
        click.echo(each.encode(encoding, "backslashreplace").decode(encoding))


def word(value: object) -> str:
    """Return a short value from the network, `-` for None, as a cell may show it."""
    return "-" if value is None else readable(str(value)).replace("\n", " ")


def name(text: str) -> str:
    """Return a name of any characters as it may be shown, quoted if it needs that."""
    return text if text and text.isprintable() else quote(text)


def facts(values: Mapping[str, object]) -> str:
    """Return an object from the network in words: `max runtime 2h, per instance`."""
    told = [
        word(name.replace("_", " ")) + ("" if value is True else f" {word(value)}")
        for name, value in values.items()
    ]
    return ", ".join(told)
