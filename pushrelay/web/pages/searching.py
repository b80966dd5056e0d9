"""What people write into the search of a page: a text, or a selector in braces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from pushrelay.errors import InvalidRequest
from pushrelay.matchers import Selector
from pushrelay.selector_parser import parse_selector

MOST_MATCHERS = 4
"""In a search: each may take half a second for 100,000 groups, on the thread on which
all pages are made."""

MOST_CHARACTERS = 5_000
"""Of a search: each link of a page has it."""

SEARCH_SECONDS = 1.0
"""A regular expression may take a third of a second for one long value."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. text: what the labels must contain as `text_of` writes them,
    case-folded; selectors: what must match them, if there are any."""

    text: str = ""
    selectors: tuple[Selector, ...] = ()


@dataclass(frozen=True, slots=True)
class _HurriedSelector(Selector):
    """A selector that gives up after `until`, on the monotonic clock: it raises
    InvalidRequest."""

    until: float

    def matches(self, labels: Mapping[str, str]) -> bool:
        if monotonic() > self.until:
            raise InvalidRequest(
                f"the search takes longer than {SEARCH_SECONDS:g} s; write a simpler "
                "regular expression, or ask the API, which takes its time"
            )
        return Selector.matches(self, labels)


def bounded_search(written: str) -> str:
    """Return a search as it was written. Raises InvalidRequest for one that is too
    long."""
    if len(written) > MOST_CHARACTERS:
        raise InvalidRequest(
            f"the search has more than {MOST_CHARACTERS:,} characters; the API takes "
            "longer selectors"
        )
    return written


def read_search(written: str) -> Search:
    """Return what `written` looks for, and begins to do so now. Raises InvalidRequest
    for what begins with a brace and is no selector, and for one with too many matchers;
    so does a selector that takes too long."""
    written = written.strip()
    if not written.startswith("{"):
        return Search(written.casefold())
    selector = parse_selector(written)
    if len(selector.matchers) > MOST_MATCHERS:
        raise InvalidRequest(
            f"the selector has more than {MOST_MATCHERS} matchers; the API takes more"
        )
    until = monotonic() + SEARCH_SECONDS
    return Search(selectors=(_HurriedSelector(selector.matchers, until),))


def text_of(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a person reads them on a page."""
    return " ".join([f'{name}="{value}"' for name, value in labels])
