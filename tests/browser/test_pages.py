"""What holds for every page: anybody can use it, and it needs nothing from elsewhere."""

from __future__ import annotations

from urllib.parse import quote

import axe
import page_data
import pytest
from browsers import Visitor
from page_data import Filled, group_query
from page_pushes import ODD_GROUP
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay

pytestmark = pytest.mark.system

ODD = f"job={quote(page_data.ODD_JOB)}&instance={quote(page_data.ODD_INSTANCE)}"

PAGES = {
    "board": "/",
    "board, one state": "/?state=failed",
    "board, nothing found": "/?search=nothing-such",
    "job": "/job?job=billing-export&instance=eu",
    "job with gaps": "/job?job=backup-postgres&instance=db1",
    "job that runs": "/job?job=video-transcode&instance=gpu-1",
    "job with odd labels": f"/job?{ODD}",
    "job that never ran": "/job?job=quarterly-close&instance=",
    "job that pushes only": "/job?job=latency-probe&instance=",
    "job that is stale": "/job?job=sensor-gateway&instance=roof",
    "run": "/run?id={failed}",
    "run that goes on": "/run?id={running}",
    "groups": "/groups",
    "groups, nothing found": "/groups?search=nothing-such",
    "group": f"/group?{group_query(job='billing-export', instance='eu')}",
    "group, native": f"/group?{group_query(job='latency-probe', zone='a')}",
    "group, odd": f"/group?{group_query(**ODD_GROUP)}",
    "status": "/status",
    "error": "/job?job=nobody-knows-it",
}

NARROW = """
() => [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1)
  .map((e) => e.outerHTML.slice(0, 120)).slice(0, 5)
"""


@pytest.fixture(scope="module")
def relay(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> RelayProcess:
    return start_relay(*page_data.flags(tmp_path_factory.mktemp("rules")))


@pytest.fixture(scope="module")
def filled(relay: RelayProcess) -> Filled:
    return page_data.fill(relay)


def url_of(relay: RelayProcess, filled: Filled, page: str) -> str:
    path = PAGES[page].format(failed=filled.failed_run, running=filled.running_run)
    return f"http://{relay.address}{path}"


@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_use_it_in_light_and_dark(
    browser: Browser, relay: RelayProcess, filled: Filled, page: str
) -> None:
    asked: list[str] = []
    with Visitor(browser, color_scheme="light") as visitor:
        visitor.context.on("request", lambda request: asked.append(request.url))
        visitor.open(url_of(relay, filled, page))
        assert axe.violations(visitor) == []
        visitor.page.emulate_media(color_scheme="dark")
        assert axe.violations(visitor, "color-contrast") == []
        assert visitor.complaints == []
    elsewhere = [url for url in asked if not url.startswith(f"http://{relay.address}/")]
    assert elsewhere == []


@pytest.mark.parametrize("page", PAGES)
def test_it_fits_a_phone(
    browser: Browser, relay: RelayProcess, filled: Filled, page: str
) -> None:
    phone = {"width": 360, "height": 740}
    with Visitor(browser, viewport=phone, is_mobile=True, has_touch=True) as visitor:
        visitor.open(url_of(relay, filled, page))
        evaluate = visitor.page.evaluate
        evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        width = evaluate("document.documentElement.scrollWidth")
        assert width <= 360, evaluate(NARROW)
        assert evaluate("window.innerWidth") == 360


@pytest.mark.parametrize("page", PAGES)
def test_it_says_the_same_without_a_script(
    browser: Browser, relay: RelayProcess, filled: Filled, page: str
) -> None:
    url = url_of(relay, filled, page)
    with Visitor(browser, java_script_enabled=False) as visitor:
        visitor.open(url)
        text = visitor.page.locator("main").inner_text()
        assert visitor.page.locator("h1").count() == 1
        assert visitor.complaints == []
    assert "NaN" not in text.replace("size", "") or page == "group, odd"
    assert "None" not in text
    assert "Invalid" not in text


@pytest.mark.parametrize("page", ["board", "job", "run", "groups", "group", "status"])
def test_all_that_it_loads_is_less_than_100_kilobytes(
    browser: Browser, relay: RelayProcess, filled: Filled, page: str
) -> None:
    with Visitor(browser) as visitor:
        sizes: dict[str, int] = {}
        visitor.context.on(
            "response", lambda each: sizes.update({each.url: len(each.body())})
        )
        visitor.open(url_of(relay, filled, page))
        visitor.wait_until(lambda: url_of(relay, filled, page) in sizes)
        assert sum(sizes.values()) < 100_000, sizes


@pytest.mark.parametrize("page", ["board", "job", "run", "groups", "group", "status"])
def test_dark_is_dark(
    browser: Browser, relay: RelayProcess, filled: Filled, page: str
) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with Visitor(browser, color_scheme="light") as visitor:
        visitor.open(url_of(relay, filled, page))
        assert brightness(visitor.page.evaluate(background)) > 200
        visitor.page.emulate_media(color_scheme="dark")
        assert brightness(visitor.page.evaluate(background)) < 60


def brightness(colour: str) -> float:
    """Return that of `rgb(r, g, b)`, up to 255."""
    parts = colour[colour.index("(") + 1 : -1].split(",")
    return sum(float(part) for part in parts[:3]) / 3
