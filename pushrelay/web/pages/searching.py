"""What people write into the search of a page: a text, or a selector in braces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pushrelay.matchers import Selector
from pushrelay.selector_parser import parse_selector


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. text: what the labels must contain, in lower case, as
    `text_of` writes them; selectors: what must match them, if there are any."""

    text: str = ""
    selectors: tuple[Selector, ...] = ()


def read_search(written: str) -> Search:
    """Return what `written` looks for. Raises InvalidSelector for what begins with a
    brace and is none."""
    written = written.strip()
    if written.startswith("{"):
        return Search(selectors=(parse_selector(written),))
    return Search(written.casefold())


def text_of(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a person reads them on a page."""
    return " ".join(f'{name}="{value}"' for name, value in labels)
