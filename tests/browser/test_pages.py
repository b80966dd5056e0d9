"""What holds for every page: everybody can use it, and all of it comes from here."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import axe
import page_data
import pytest
from browsers import Visitor
from page_data import Shown, group_query
from page_pushes import ODD_GROUP
from playwright.sync_api import Browser, Response, ViewportSize

pytestmark = pytest.mark.system

ODD = f"job={quote(page_data.ODD_JOB)}&instance={quote(page_data.ODD_INSTANCE)}"

PAGES = {
    "board": "/",
    "board, refused": "/?search={{job=",
    "job": "/job?job=billing-export&instance=eu",
    "job with gaps": "/job?job=backup-postgres&instance=db1&days=30",
    "job as a whole": "/job?job=backup-postgres",
    "job that runs": "/job?job=video-transcode&instance=gpu-1",
    "job with odd labels": f"/job?{ODD}",
    "job that pushes only": "/job?job=latency-probe&instance=",
    "run": "/run?id={failed}",
    "run that goes on": "/run?id={running}",
    "groups": "/groups",
    "group": f"/group?{group_query(job='billing-export', instance='eu')}",
    "group, odd": f"/group?{group_query(**ODD_GROUP)}",
    "deletion": f"/delete?{group_query(job='crm-sync')}",
    "pause": "/pause?job=billing-export",
    "pause, refused": "/pause?job=billing-export&problem=until",
    "retirement": "/retire?job=billing-export",
    "wipe": "/wipe",
    "status": "/status",
    "error": "/job?job=nobody-knows-it",
}
MAIN = ("board", "job", "run", "groups", "group", "status")

PHONE: ViewportSize = {"width": 360, "height": 740}
TABLET: ViewportSize = {"width": 820, "height": 1180}

TOO_WIDE = """
() => [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120)).slice(0, 5)
"""
PLACES = """
(selector) => [...document.querySelectorAll(selector)]
  .map((each) => each.getBoundingClientRect())
  .filter((box) => box.width).map((box) => [box.left, box.right])
"""
CHARTS = ".timeline, .durations"
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => one.open = true)"


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Visitor]:
    """Somebody at a desk."""
    with Visitor(browser) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def walker(browser: Browser) -> Iterator[Visitor]:
    """Somebody without a desk."""
    with Visitor(browser, viewport=PHONE, is_mobile=True, has_touch=True) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def scriptless(browser: Browser) -> Iterator[Visitor]:
    """Somebody whose browser runs no scripts."""
    with Visitor(browser, java_script_enabled=False) as visitor:
        yield visitor


@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_use_it_in_light_and_dark(
    reader: Visitor, shown: Shown, page: str
) -> None:
    reader.complaints.clear()
    reader.page.emulate_media(color_scheme="light")
    reader.open(shown.url(PAGES[page]))
    assert axe.violations(reader) == []
    reader.page.emulate_media(color_scheme="dark")
    assert axe.violations(reader, "color-contrast") == []
    assert reader.complaints == []


@pytest.mark.parametrize("page", PAGES)
def test_it_fits_a_phone_and_a_tablet(walker: Visitor, shown: Shown, page: str) -> None:
    evaluate = walker.page.evaluate
    walker.open(shown.url(PAGES[page]))
    evaluate(OPEN_ALL)
    for size in PHONE, TABLET:
        walker.page.set_viewport_size(size)
        width = evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], evaluate(TOO_WIDE)
        # They would zoom out for what is wider.
        assert evaluate("window.innerWidth") == size["width"]


@pytest.mark.parametrize("page", ["job", "job with gaps", "job as a whole"])
def test_a_moment_is_at_the_same_place_in_both_charts_of_a_job(
    walker: Visitor, shown: Shown, page: str
) -> None:
    walker.open(shown.url(PAGES[page]))
    for size in PHONE, TABLET:
        walker.page.set_viewport_size(size)
        grids = walker.page.evaluate(PLACES, f":is({CHARTS}) path.grid:first-child")
        assert len(grids) == 2
        assert grids[0] == pytest.approx(grids[1], abs=0.5)
        for words in walker.page.evaluate(PLACES, f":is({CHARTS}) text"):
            assert 0 <= words[0] <= words[1] <= size["width"]


def test_states_of_groups_are_below_each_other_and_boxes_of_one_size(
    walker: Visitor, shown: Shown
) -> None:
    walker.open(shown.url(PAGES["groups"]))
    for size in PHONE, TABLET:
        walker.page.set_viewport_size(size)
        states = walker.page.evaluate(PLACES, ".groups .what")
        assert len(states) > 4
        assert len({round(right) for _, right in states}) == 1
        boxes = walker.page.evaluate(PLACES, "input[type=checkbox]")
        assert len(boxes) == len(states) + 1
        assert len({round(right - left) for left, right in boxes}) == 1


@pytest.mark.parametrize("page", PAGES)
def test_it_needs_no_script(scriptless: Visitor, shown: Shown, page: str) -> None:
    scriptless.complaints.clear()
    scriptless.open(shown.url(PAGES[page]))
    assert scriptless.page.locator("h1").count() == 1
    assert scriptless.page.locator("main").inner_text().count("\n") > 1
    assert scriptless.complaints == []


@pytest.mark.parametrize("page", MAIN)
def test_all_that_it_loads_is_less_than_100_kilobytes_from_here(
    browser: Browser, shown: Shown, page: str
) -> None:
    url = shown.url(PAGES[page])
    asked: list[str] = []
    answers: list[Response] = []
    with Visitor(browser) as visitor:
        visitor.context.on("request", lambda request: asked.append(request.url))
        visitor.context.on("response", lambda answer: answers.append(answer))
        visitor.open(url)
        visitor.page.wait_for_load_state("networkidle")
        sizes = {answer.url: len(answer.body()) for answer in answers}
    assert url in sizes
    assert sum(sizes.values()) < 100_000, sizes
    assert [each for each in asked if not each.startswith(shown.url())] == []


@pytest.mark.parametrize("page", MAIN)
def test_dark_is_dark(reader: Visitor, shown: Shown, page: str) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    reader.open(shown.url(PAGES[page]))
    reader.page.emulate_media(color_scheme="light")
    assert brightness(reader.page.evaluate(background)) > 200
    reader.page.emulate_media(color_scheme="dark")
    assert brightness(reader.page.evaluate(background)) < 60


def brightness(colour: str) -> float:
    """Return that of `rgb(r, g, b)`, up to 255."""
    parts = colour[colour.index("(") + 1 : -1].split(",")
    return sum(float(part) for part in parts[:3]) / 3


def test_times_are_in_the_readers_zone_and_in_utc_on_hover(
    browser: Browser, shown: Shown
) -> None:
    zone = {"timezone_id": "Asia/Kathmandu", "locale": "en-GB"}
    url = shown.url(PAGES["run"])
    with Visitor(browser, java_script_enabled=False, **zone) as visitor:
        visitor.open(url)
        time = visitor.page.locator("time:not([data-relative])").first
        moment, in_utc = time.get_attribute("datetime"), time.inner_text()
        assert moment is not None
        assert in_utc == f"{moment[:10]} {moment[11:19]} UTC"
        assert "Times are in UTC." in visitor.text
    with Visitor(browser, **zone) as visitor:
        visitor.open(url)
        time = visitor.page.locator(f"time[datetime='{moment}']").first
        assert time.get_attribute("title") == in_utc
        # Kathmandu is 5:45 ahead, as no other place is.
        minutes = (int(moment[14:16]) + 45) % 60
        assert f":{minutes:02}:{moment[17:19]}" in time.inner_text()
        # The browser has its older name.
        assert "Times are in Asia/Kat" in visitor.text
    with Visitor(browser, timezone_id="UTC") as visitor:
        visitor.open(url)
        assert "Times are in UTC." in visitor.text
