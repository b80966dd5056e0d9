"""Twenty thousand groups: the first page is there, and the others are found."""

from __future__ import annotations

import page_data
import pytest
from browsers import Visitor
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import finish, report

pytestmark = pytest.mark.system

GROUPS = 20_000


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    relay = start_relay()
    page_data.fill_with_groups(relay, GROUPS)
    report(relay, finish("bulk-07", "failure", labels={"instance": "host-000107"}))
    return relay


@pytest.mark.parametrize("path", ["/", "/groups"])
def test_pages_follow_each_other_and_repeat_nothing(
    browser: Browser, relay: RelayProcess, path: str
) -> None:
    seen: list[str] = []
    with Visitor(browser) as visitor:
        visitor.open(f"http://{relay.address}{path}")
        assert "20,000" in visitor.text
        for _ in range(3):
            rows = visitor.page.locator("tbody th").all_inner_texts()
            assert 20 <= len(rows) <= 200
            seen += rows
            with visitor.page.expect_navigation():
                visitor.page.click("a[rel=next]")
        assert len(seen) == len(set(seen))
        with visitor.page.expect_navigation():
            visitor.page.click("text=First page")
        assert visitor.page.locator("tbody th").first.inner_text() == seen[0]
        assert visitor.complaints == []


@pytest.mark.parametrize("path", ["/", "/groups"])
@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("host-019999", 1),
        ("HOST-01999", 10),
        ('{job="bulk-42",instance=~".*0042"}', 2),
        ('{job!~"bulk-.*"}', 0),
    ],
)
def test_what_is_searched_for_is_found(
    browser: Browser, relay: RelayProcess, path: str, search: str, found: int
) -> None:
    with Visitor(browser) as visitor:
        visitor.open(f"http://{relay.address}{path}")
        visitor.page.fill("#search", search)
        visitor.page.press("#search", "Enter")
        visitor.page.wait_for_url("**search=**")
        assert visitor.page.locator("tbody th").count() == found
        assert visitor.page.input_value("#search") == search
        assert visitor.complaints == []


def test_the_one_that_failed_is_on_top_and_a_click_away(
    browser: Browser, relay: RelayProcess
) -> None:
    with Visitor(browser) as visitor:
        visitor.open(f"http://{relay.address}/")
        assert "host-000107" in visitor.page.locator("tbody tr").first.inner_text()
        visitor.page.click("nav a:has-text('failed')")
        visitor.page.wait_for_url("**/?state=failed")
        assert visitor.page.locator("tbody tr").count() == 1
        visitor.page.click("nav a:has-text('ok')")
        visitor.page.wait_for_url("**/?state=ok")
        assert "host-000107" not in visitor.text
        chosen = visitor.page.locator("main [aria-current=true]").inner_text()
        assert chosen.split() == ["ok", "19,999"]
