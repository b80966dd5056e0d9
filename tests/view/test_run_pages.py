"""The families of run pages are whole at any moment."""

from __future__ import annotations

from builders import group_of, key_of

from pushrelay.groups import RunPage
from pushrelay.view.run_pages import RunPages


def page(body: str) -> RunPage:
    return RunPage(key_of("a"), group_of(body).payload)


def test_a_family_is_what_it_was_until_its_last_page_is_gone() -> None:
    pages = RunPages()
    pages.put("a", page("# TYPE x counter\nx 1\ny 1\n"))
    pages.update()
    before = pages.families["x"].snapshot()
    pages.put("a", page("y 2\n"))
    assert pages.families["x"].snapshot() == before
    pages.update()
    assert pages.families.keys() == {"y"}
    pages.remove("a")
    assert pages.families["y"].snapshot().blocks
    pages.update()
    assert pages.families == {}
