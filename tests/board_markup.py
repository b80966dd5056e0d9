"""The jobs board as tests read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode

from relay_process import HTTPClient, Response

_INLINE = re.compile(r"<svg.*?</svg>|</?(?:a|b|span|time)\b[^>]*>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its state, its job and instance, and what its other cells say."""

    state: str
    name: str
    last_run: str
    duration: str
    next: str
    failures: str
    markup: str


@dataclass(frozen=True, slots=True)
class BoardPage:
    """What a page of the board shows."""

    rows: list[Row]
    html: str

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.rows]

    def row(self, name: str) -> Row:
        """Return the only row of this job and instance."""
        [found] = [row for row in self.rows if row.name == name]
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many rows it says that each state has."""
        items = re.findall(r"<li class=.*?</li>", self.html, re.DOTALL)
        words = [text_of(item).rpartition(" ") for item in items]
        return {state: int(count.replace(",", "")) for state, _, count in words}

    @property
    def next(self) -> str | None:
        """Where the next page is."""
        return link_in(self.html, 'rel="next" ')


def link_in(html: str, before: str) -> str | None:
    """Return the target, below the root, of the link with this text before its href."""
    match = re.search(re.escape(before) + r'href="\./(.*?)"', html)
    return f"/{unescape(match[1])}" if match else None


def text_of(html: str) -> str:
    """Return what markup says to a person."""
    return " ".join(unescape(_TAG.sub(" ", _INLINE.sub("", html))).split())


def board_of(relay: HTTPClient, **query: str) -> BoardPage:
    """Return the board that is asked for with `query`, which must be shown."""
    return read_board(relay.get(f"/?{urlencode(query)}"))


def read_board(answer: Response) -> BoardPage:
    assert answer.status == 200, answer.text
    assert answer.header("content-type") == "text/html; charset=utf-8"
    return board_in(answer.text)


def board_in(html: str) -> BoardPage:
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return BoardPage([_row(row) for row in body.split("</tr>")[:-1]], html)


def _row(html: str) -> Row:
    cells = re.split(r"<t[dh][^>]*>", html)[1:]
    return Row(*map(text_of, cells), html)
