"""What people write into the search of a page: a text, or a selector in braces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pushrelay.errors import InvalidRequest
from pushrelay.matchers import Selector
from pushrelay.selector_parser import parse_selector

MOST_MATCHERS = 4
"""In a search: each may take half a second for 100,000 groups, on the thread on which
all pages are made."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. text: what the labels must contain as `text_of` writes them,
    case-folded; selectors: what must match them, if there are any."""

    text: str = ""
    selectors: tuple[Selector, ...] = ()


def read_search(written: str) -> Search:
    """Return what `written` looks for. Raises InvalidRequest for what begins with a
    brace and is no selector, and for one that is too long."""
    written = written.strip()
    if not written.startswith("{"):
        return Search(written.casefold())
    selector = parse_selector(written)
    if len(selector.matchers) > MOST_MATCHERS:
        raise InvalidRequest(
            f"the selector has more than {MOST_MATCHERS} matchers; the API takes more"
        )
    return Search(selectors=(selector,))


def text_of(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a person reads them on a page."""
    return " ".join([f'{name}="{value}"' for name, value in labels])
