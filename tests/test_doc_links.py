"""Every link of the docs leads somewhere, as GitHub shows them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from doc_examples import ROOT, pages, without_code

_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: [^)]*)?\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]: *(\S+)", re.MULTILINE)
_HTML = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"\s]+)")
_SHOWN = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ABSOLUTE = re.compile(r"[a-z]+:")


def links_of(page: str) -> Iterator[tuple[str, str]]:
    """Yield (path in the repository, anchor) of the links of `page` into it."""
    text = without_code((ROOT / page).read_text())
    for link in (_LINK, _REFERENCE, _HTML):
        for target in link.findall(text):
            if not _ABSOLUTE.match(target):
                path, _, anchor = target.partition("#")
                there = (ROOT / page).parent / path if path else ROOT / page
                yield str(there.resolve().relative_to(ROOT)), anchor


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Return what may stand behind the `#` of links to `page`."""
    text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text(), flags=re.M | re.S)
    seen: Counter[str] = Counter()
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        shown = _SHOWN.sub(r"\1", heading).lower()
        anchor = re.sub(r"[^\w -]", "", shown).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return frozenset(found)


@pytest.mark.parametrize("page", pages())
def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    for path, anchor in links_of(page):
        assert (ROOT / path).exists(), path
        if anchor:
            assert path.endswith(".md"), f"{path} has no headings"
            assert anchor in anchors_of(path), f"{path}#{anchor}"


def test_the_readme_leads_to_every_page_of_docs_and_contrib() -> None:
    linked = {path for path, _ in links_of("README.md")}
    folders = ("docs/", "contrib/")
    assert {page for page in pages() if page.startswith(folders)} <= linked


def test_anchors_are_those_that_github_makes() -> None:
    assert {"pushrelay-db-check", "talking-to-a-relay"} <= anchors_of("docs/cli.md")
    assert "pipes--cd" in anchors_of("docs/exec.md")
