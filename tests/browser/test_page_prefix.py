"""Pages below a path of their own: the relay's, or one that a proxy takes away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from browsers import Visitor
from canned_server import Asked, Canned, CannedServer
from page_data import group_query
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import finish, new_id

pytestmark = pytest.mark.system

PREFIX = "/ops/push"
ALIKE = 3
"""So many links to one page, with other parameters, are followed."""


ADDRESSES = """
(all) => all.map((one) => new URL(one.getAttribute("href"), one.baseURI).href)
"""

NOT_PASSED_ON = ("connection", "content-length", "accept-encoding", "host")


class Site:
    """Pages at `url`, which ends in a slash, of a relay that is filled."""

    def __init__(self, relay: RelayProcess, url: str, prefix: str = "") -> None:
        self.relay, self.url, self._prefix = relay, url, prefix
        for name in ("one", "two"):
            pushed = relay.put(f"{prefix}/metrics/job/{name}", "x 1\n")
            assert pushed.status == 200, pushed.text
        body = json.dumps(finish("ended", "failure"))
        reported = relay.put(f"{prefix}/api/v1/runs/{new_id()}", body)
        assert reported.status == 200, reported.text

    def jobs(self) -> str:
        return self.relay.get(f"{self._prefix}/api/v1/groups").text


@contextmanager
def taking_away(prefix: str, relay: RelayProcess) -> Iterator[CannedServer]:
    """Have a proxy that passes on what is below `prefix`, without it."""

    def answer(asked: Asked) -> Canned:
        if not asked.target.startswith(f"{prefix}/"):
            return Canned(404)
        target = asked.target.removeprefix(prefix)
        kept = {k: v for k, v in asked.headers.items() if k not in NOT_PASSED_ON}
        kept["Host"] = asked.headers["host"]
        found = relay.request(asked.method, target, asked.body or None, kept)
        headers = dict(found.headers)
        for name in ("Content-Length", "Transfer-Encoding", "Connection"):
            headers.pop(name, None)
        return Canned(found.status, found.body, headers)

    with CannedServer(answer) as proxy:
        yield proxy


@pytest.fixture(params=["route prefix", "external URL", "proxy"], scope="module")
def site(request: pytest.FixtureRequest, start_relay: StartRelay) -> Iterator[Site]:
    ready = f"{PREFIX}/-/ready"
    if request.param == "proxy":
        relay = start_relay()
        with taking_away(PREFIX, relay) as proxy:
            yield Site(relay, f"{proxy.url}{PREFIX}/")
        return
    if request.param == "route prefix":
        relay = start_relay(f"--web.route-prefix={PREFIX}", ready=ready)
    else:
        external = f"--web.external-url=http://relay.example:9{PREFIX}"
        relay = start_relay(external, ready=ready)
    yield Site(relay, f"http://{relay.address}{PREFIX}/", PREFIX)


def test_all_links_lead_on_below_it(browser: Browser, site: Site) -> None:
    paths: dict[str, int] = {}
    with Visitor(browser) as visitor:
        left = [site.url]
        seen = {site.url}
        while left:
            url = left.pop()
            answer = visitor.page.goto(url)
            assert answer is not None
            assert answer.status == 200, url
            if "text/html" not in answer.headers["content-type"]:
                continue
            for found in visitor.page.locator("a[href]").evaluate_all(ADDRESSES):
                link = found.partition("#")[0]
                assert link.startswith(site.url), f"{link} on {url}"
                path = urlsplit(link).path
                if link not in seen and paths.get(path, 0) < ALIKE:
                    paths[path] = paths.get(path, 0) + 1
                    seen.add(link)
                    left.append(link)
        assert visitor.complaints == []
    wanted = ("", "job", "run", "groups", "group", "status", "metrics", "retire")
    assert {f"{PREFIX}/{each}" for each in wanted} <= {*paths, f"{PREFIX}/"}


def test_what_is_done_there_leads_back_there(browser: Browser, site: Site) -> None:
    with Visitor(browser) as visitor:
        visitor.open(f"{site.url}group?{group_query(job='two')}")
        visitor.page.click("text=Delete…")
        visitor.page.click("button:has-text('Delete 1 group')")
        visitor.page.wait_for_selector("[role=status]:has-text('Deleted 1 group.')")
        assert visitor.page.url.startswith(f"{site.url}groups?")
        assert '"one"' in site.jobs()
        assert '"two"' not in site.jobs()
        assert visitor.complaints == []
