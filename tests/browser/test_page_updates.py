"""Pages keep current by themselves, and disturb nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browsers import Visitor
from page_data import Shown, group_query
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import finish, report, start

pytestmark = pytest.mark.system

A_WHILE = 15_000
"""Milliseconds after which a page has looked for something new."""

HIDE = """
(isHidden) => {
  const hidden = { get: () => isHidden, configurable: true };
  Object.defineProperty(document, "hidden", hidden);
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Somebody whose time can be made to pass quickly."""
    with Visitor(browser) as visitor:
        visitor.page.clock.install()
        yield visitor
        assert visitor.complaints == []


def open_for_long(visitor: Visitor, url: str) -> None:
    """Open a page, and be able to tell whether it is loaded again."""
    visitor.open(url)
    visitor.page.evaluate("window.wasHereAllTheTime = true")


def let_time_pass(visitor: Visitor) -> None:
    visitor.page.clock.fast_forward(A_WHILE)


def was_here_all_the_time(visitor: Visitor) -> bool:
    return visitor.page.evaluate("window.wasHereAllTheTime") is True


def test_what_is_pushed_comes_to_the_board(visitor: Visitor, shown: Shown) -> None:
    open_for_long(visitor, shown.url())
    assert "brand-new" not in visitor.text
    shown.relay.put("/metrics/job/brand-new", "x 1\n")
    let_time_pass(visitor)
    visitor.page.wait_for_selector("th:has-text('brand-new')")
    assert was_here_all_the_time(visitor)


def test_a_failure_comes_to_the_board_and_its_title(
    visitor: Visitor, shown: Shown
) -> None:
    open_for_long(visitor, f"{shown.url()}?search=fragile")
    report(shown.relay, finish("fragile", "failure", exit_code=3))
    let_time_pass(visitor)
    visitor.page.wait_for_selector("tr:has-text('fragile') .state:has-text('failed')")
    assert visitor.page.title().startswith("(1) ")
    assert was_here_all_the_time(visitor)


def test_a_run_goes_on_and_ends_on_the_page_of_its_job(
    visitor: Visitor, shown: Shown
) -> None:
    id_ = "0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00"
    report(shown.relay, start("long-run", ago=60), id_)
    open_for_long(visitor, f"{shown.url()}job?job=long-run")
    visitor.page.wait_for_selector(".verdict .state:has-text('running')")
    report(shown.relay, finish("long-run", ago=60, seconds=59), id_)
    let_time_pass(visitor)
    visitor.page.wait_for_selector(".verdict .state:has-text('ok')")
    assert was_here_all_the_time(visitor)


def test_who_is_at_a_link_stays_there(visitor: Visitor, shown: Shown) -> None:
    open_for_long(visitor, f"{shown.url()}?search=etl-")
    visitor.page.focus("th a:has-text('etl-prices')")
    report(shown.relay, start("etl-aaa", ago=1))
    let_time_pass(visitor)
    visitor.page.wait_for_selector("th:has-text('etl-aaa')")
    assert visitor.page.evaluate("document.activeElement.innerText") == "etl-prices"
    assert was_here_all_the_time(visitor)


HISTOGRAM = """\
# TYPE h histogram
h_bucket{{x="{x}",le="1"}} 2
h_bucket{{x="{x}",le="+Inf"}} 3
h_count{{x="{x}"}} 3
h_sum{{x="{x}"}} 4.5
"""


def test_what_was_opened_stays_open(visitor: Visitor, shown: Shown) -> None:
    two = HISTOGRAM.format(x=1) + HISTOGRAM.format(x=2).partition("\n")[2]
    assert shown.relay.put("/metrics/job/opened", f"{two}rows 1\n").status == 200
    open_for_long(visitor, f"{shown.url()}group?{group_query(job='opened')}")
    details = visitor.page.locator("details")
    details.first.locator("summary").click()
    states = "(all) => all.map((one) => one.open)"
    assert details.evaluate_all(states) == [True, False]
    assert shown.relay.post("/metrics/job/opened", "rows 2718\n").status == 200
    let_time_pass(visitor)
    visitor.page.wait_for_selector("main:has-text('2718')")
    assert details.evaluate_all(states) == [True, False]
    assert visitor.page.locator("summary:focus").count() == 1
    assert was_here_all_the_time(visitor)


def test_what_is_being_written_is_not_lost(visitor: Visitor, shown: Shown) -> None:
    open_for_long(visitor, shown.url())
    visitor.page.focus("#search")
    visitor.page.keyboard.type("half a wo")
    shown.relay.put("/metrics/job/meanwhile", "x 1\n")
    let_time_pass(visitor)
    visitor.page.wait_for_selector("th:has-text('meanwhile')")
    visitor.page.keyboard.type("rd")
    assert visitor.page.input_value("#search") == "half a word"


def test_a_hidden_page_asks_nothing_until_it_is_seen_again(
    visitor: Visitor, shown: Shown
) -> None:
    open_for_long(visitor, shown.url())
    asked: list[str] = []
    visitor.page.evaluate(HIDE, True)
    visitor.page.on("request", lambda request: asked.append(request.url))
    shown.relay.put("/metrics/job/while-hidden", "x 1\n")
    for _ in range(5):
        let_time_pass(visitor)
    assert asked == []
    visitor.page.evaluate(HIDE, False)
    visitor.page.wait_for_selector("th:has-text('while-hidden')")
    assert was_here_all_the_time(visitor)


def test_a_page_that_is_not_current_says_so(
    visitor: Visitor, start_relay: StartRelay
) -> None:
    relay: RelayProcess = start_relay()
    relay.put("/metrics/job/kept", "x 1\n")
    open_for_long(visitor, f"http://{relay.address}/")
    relay.stop()
    let_time_pass(visitor)
    visitor.page.wait_for_selector("#currency:has-text('the relay does not answer')")
    assert "kept" in visitor.text
    relay.start()
    visitor.page.clock.fast_forward(2 * A_WHILE)
    visitor.page.wait_for_selector("#currency:has-text('Current again')")
    assert was_here_all_the_time(visitor)
