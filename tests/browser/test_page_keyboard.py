"""Pages by the keyboard alone, and what it tells of where one is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsers import Visitor
from page_data import Shown
from playwright.sync_api import Browser

pytestmark = pytest.mark.system

FOCUS = """
() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  return {
    text: (one.innerText || one.value || one.getAttribute("aria-label") || "").trim(),
    tag: one.tagName,
    isSeen: box.width > 0 && box.height > 0 && box.top >= -1 && box.left >= -1
      && box.bottom <= innerHeight + 1,
    isMarked: width > 0 || style.boxShadow !== "none",
  };
}
"""


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def visitor(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with Visitor(browser, java_script_enabled=request.param) as visitor:
        yield visitor


def go_to(visitor: Visitor, text: str, most: int = 60) -> None:
    """Press the tabulator key until what says `text` has the focus."""
    for _ in range(most):
        visitor.page.keyboard.press("Tab")
        if text in visitor.page.evaluate(FOCUS)["text"]:
            return
    raise AssertionError(f"the tabulator key never came to {text!r}")


def test_the_first_key_offers_the_way_to_the_content(
    visitor: Visitor, shown: Shown
) -> None:
    visitor.open(shown.url())
    visitor.page.keyboard.press("Tab")
    focus = visitor.page.evaluate(FOCUS)
    assert focus["text"] == "Skip to the content"
    assert focus["isSeen"]
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    # Past the navigation.
    assert visitor.page.locator("main :focus").count() == 1


@pytest.mark.parametrize("path", ["/", "/job?job=billing-export", "/groups", "/status"])
def test_whatever_has_the_focus_is_seen_and_marked(
    browser: Browser, shown: Shown, path: str
) -> None:
    seen = []
    with Visitor(browser) as visitor:
        visitor.open(shown.url(path))
        for _ in range(25):
            visitor.page.keyboard.press("Tab")
            focus = visitor.page.evaluate(FOCUS)
            if focus["tag"] == "BODY":
                break  # once around
            assert focus["isSeen"], focus
            assert focus["isMarked"], focus
            seen.append(focus["text"])
    assert len(seen) > 5


def test_a_failure_is_three_keys_of_enter_away(visitor: Visitor, shown: Shown) -> None:
    visitor.open(shown.url())
    go_to(visitor, "Jobs")
    go_to(visitor, "failed")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/?state=failed")
    go_to(visitor, "billing-export")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/job?**")
    go_to(visitor, "exited with 1")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/run?**")
    assert 'UndefinedColumn: column "tax_rate" does not exist' in visitor.text
    assert visitor.complaints == []


def test_a_search_is_sent_by_enter(visitor: Visitor, shown: Shown) -> None:
    visitor.open(shown.url())
    for _ in range(20):
        visitor.page.keyboard.press("Tab")
        if visitor.page.locator("#search:focus").count():
            break
    visitor.page.keyboard.type('{job=~"backup-.+",instance!="db1"}')
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/?search=**")
    rows = visitor.page.locator("tbody th").all_inner_texts()
    assert {row.split()[-1] for row in rows} == {"db2", "db3"}
