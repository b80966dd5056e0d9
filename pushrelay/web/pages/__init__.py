"""The pages for people: a file a page, on Flask, with templates of the same names.

They work without JavaScript. Links are relative, and all pages are on one level, so
that it does not matter below which path a proxy shows the relay.
"""

from __future__ import annotations

from pushrelay.web.pages import (
    assets,
    badge,
    board,
    confirm,
    group,
    groups,
    job,
    run,
    status,
)
from pushrelay.web.pages.layout import HEADERS, pages

__all__ = [
    "HEADERS",
    "assets",
    "badge",
    "board",
    "confirm",
    "group",
    "groups",
    "job",
    "pages",
    "run",
    "status",
]
