"""What pages of other origins have a browser do to a relay: nothing.

Cookies do not care about ports, so that the worst of them comes from another port of
the same host. A host with a name is no loopback to the browser, which tells less then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from browsers import Visitor
from canned_server import Canned, CannedServer
from logging_in import new_token
from page_data import group_query
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import new_id

pytestmark = pytest.mark.system

ADMIN = ("--web.enable-admin-api", "--web.enable-lifecycle")
LOOPBACK, NAMED = "127.0.0.1", "relay.example"
ATTACKED = [
    ("open", LOOPBACK, "localhost"),
    ("open", NAMED, "evil.example"),
    ("basic", LOOPBACK, LOOPBACK),
    ("session", LOOPBACK, LOOPBACK),
    ("session", NAMED, "evil.relay.example"),
]
"""How people are known, and where the browser finds the relay and the foreign page."""

FORMS = [
    *("/metrics/job/stolen", "/metrics/job/kept", "/api/v1/groups?by=job"),
    *("/api/v1/ping?job=kept&status=fail", "/api/v1/jobs/kept/pause?until=2h"),
    *("/api/v1/admin/import", "/-/reload", "/-/quit", "/login", "/logout"),
    *(f"/delete?{group_query(job='kept')}", "/retire?job=kept", "/wipe?confirm=all"),
    *("/pause?job=kept&until=2h", "/resume?job=kept"),
]
FETCHES = [
    *(("POST", path) for path in FORMS),
    *(("PUT", path) for path in ("/metrics/job/stolen", "/-/quit")),
    *(("PUT", path) for path in ("/api/v1/admin/wipe", f"/api/v1/runs/{new_id()}")),
    *(("DELETE", path) for path in ("/metrics/job/kept", "/api/v1/jobs/kept")),
    ("DELETE", '/api/v1/groups?match[]={job="kept"}'),
    ("PUT", "/api/v1/jobs/kept/expectation"),
]
READS = [
    *("/", "/status", "/metrics", "/-/metrics", "/-/healthy", "/-/ready", "/-/quit"),
    *("/-/reload", "/login", "/logout", "/metrics/job/kept", "/api/v1/admin/wipe"),
    *("/api/v1/status", "/api/v1/metrics", "/api/v1/groups", "/api/v1/runs"),
    *("/api/v1/jobs", "/api/v1/jobs/kept", "/api/v1/ping?job=kept&status=fail"),
    *("/groups", "/job?job=kept", "/retire?job=kept", "/pause?job=kept", "/wipe"),
]

ATTACK = """
async ([relay, forms, fetches, reads]) => {
  setTimeout(() => window.stop(), 30000);
  const settled = (element) => new Promise((resolve) => {
    element.onload = element.onerror = resolve;
    document.body.append(element);
  });
  const submit = async (path) => {
    const frame = document.createElement("iframe");
    frame.name = path;
    await settled(frame);
    const form = document.createElement("form");
    Object.assign(form, {
      method: "post", enctype: "text/plain", action: relay + path, target: frame.name,
    });
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "stolen 1\\n#", value: "" });
    form.append(field);
    document.body.append(form);
    const answered = new Promise((resolve) => { frame.onload = resolve; });
    form.submit();
    await answered;
  };
  for (const path of forms) {
    await submit(path);
  }
  const body = "stolen 1\\n";
  for (const [method, path] of fetches) {
    for (const mode of ["no-cors", "cors"]) {
      const asked = { method, mode, body, credentials: "include" };
      await fetch(relay + path, asked).catch(() => "kept by the browser");
    }
    navigator.sendBeacon(relay + path, body);
  }
  for (const path of reads) {
    const image = new Image();
    image.src = relay + path;
    await settled(image);
    const script = document.createElement("script");
    script.src = relay + path;
    await settled(script);
  }
}
"""


WHOLE_FORM = """
(url) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", enctype: "text/plain", action: url });
  form.innerHTML = '<input type="hidden" name="stolen 1&#10;#">';
  document.body.append(form);
  form.submit();
}
"""


@pytest.fixture(scope="module")
def foreign() -> Iterator[CannedServer]:
    """A server of pages that are not the relay's."""
    page = b"<!doctype html><title>foreign</title><body>"
    answer = Canned(200, page, {"Content-Type": "text/html"})
    with CannedServer(lambda _: answer) as server:
        yield server


@dataclass
class Site:
    """A relay, what its administrator sends, and how they are known to the browser."""

    relay: RelayProcess
    kind: str
    token: str = ""

    @property
    def fields(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.relay.port}"

    def begin(self) -> list[bytes]:
        """Have a group in it; return all that it knows."""
        pushed = self.relay.put("/metrics/job/kept", "kept 1\n", self.fields)
        assert pushed.status == 200, pushed.text
        return self.known()

    def known(self) -> list[bytes]:
        pages = [f"/api/v1/{name}" for name in ("metrics", "runs", "groups", "jobs")]
        answers = [self.relay.get(page, self.fields) for page in pages]
        assert {answer.status for answer in answers} == {200}
        return [answer.body for answer in answers]

    @contextmanager
    def visitor(self, browser: Browser, host: str) -> Iterator[Visitor]:
        """Have somebody who is at the page of the relay, with all rights."""
        credentials = {"username": "x", "password": self.token}
        options = {"http_credentials": credentials} if self.kind == "basic" else {}
        with Visitor(browser, **options) as visitor:
            if self.kind == "basic":
                # For the page alone, browsers are not asked.
                visitor.open(f"{self.url(host)}/metrics")
            visitor.open(f"{self.url(host)}/")
            if self.kind == "session":
                visitor.page.fill("#password", self.token)
                visitor.page.press("#password", "Enter")
            visitor.page.wait_for_selector("nav [aria-current=page]")
            yield visitor


@pytest.fixture(scope="module")
def sites(start_relay: StartRelay) -> dict[str, Site]:
    """A relay that asks nobody, and one that does."""
    closed = start_relay("--auth.required", *ADMIN)
    token = new_token(closed, "boss", "admin")
    return {
        "open": Site(start_relay(*ADMIN), "open"),
        "basic": Site(closed, "basic", token),
        "session": Site(closed, "session", token),
    }


@pytest.mark.parametrize(("kind", "host", "foreign_host"), ATTACKED)
def test_a_foreign_page_changes_nothing(
    browser: Browser,
    sites: dict[str, Site],
    foreign: CannedServer,
    kind: str,
    host: str,
    foreign_host: str,
) -> None:
    site = sites[kind]
    before = site.begin()
    with site.visitor(browser, host) as visitor:
        visitor.open(foreign.url.replace("127.0.0.1", foreign_host))
        work = [site.url(host), FORMS, FETCHES, READS]
        visitor.page.evaluate(ATTACK, work)
        told = [frame.locator("body").inner_text() for frame in visitor.page.frames[1:]]
        assert len(told) == len(FORMS)
        assert all("a page of another origin" in text for text in told)
        assert site.known() == before
        # And as the whole page, not in a frame.
        visitor.page.evaluate(WHOLE_FORM, f"{site.url(host)}/metrics/job/stolen")
        visitor.page.wait_for_url("**/metrics/job/stolen")
        assert "a page of another origin" in visitor.text
        assert site.known() == before
        visitor.open(f"{site.url(host)}/")
        assert visitor.page.locator(".session button").count() == (kind == "session")


@pytest.mark.parametrize(("kind", "host"), [each[:2] for each in ATTACKED[1:]])
def test_the_relays_own_page_does_what_its_buttons_say(
    browser: Browser, sites: dict[str, Site], kind: str, host: str
) -> None:
    site = sites[kind]
    site.begin()
    with site.visitor(browser, host) as visitor:
        visitor.open(f"{site.url(host)}/group?{group_query(job='kept')}")
        visitor.page.click("text=Delete…")
        visitor.page.click("button:has-text('Delete 1 group')")
        visitor.page.wait_for_selector("text=Nothing has been pushed yet")
        assert b'"kept"' not in site.known()[0]
        site.begin()
        visitor.open(f"{site.url(host)}/groups")
        visitor.page.click("text=Delete all groups")
        visitor.page.fill("#confirm", "all")
        visitor.page.press("#confirm", "Enter")
        visitor.page.wait_for_selector("text=Nothing has been pushed yet")
        assert b'"kept"' not in site.known()[0]


@pytest.mark.parametrize("path", ["/", "/wipe", "/login"])
def test_no_other_page_frames_it(
    browser: Browser, sites: dict[str, Site], foreign: CannedServer, path: str
) -> None:
    site = sites["session" if path == "/login" else "open"]
    with Visitor(browser) as visitor:
        visitor.open(foreign.url)
        visitor.page.evaluate(
            """(url) => new Promise((resolve) => {
              const frame = document.createElement("iframe");
              frame.src = url;
              frame.onload = resolve;
              document.body.append(frame);
            })""",
            f"{site.url()}{path}",
        )
        [frame] = visitor.page.frames[1:]
        assert frame.locator("main").count() == 0
        visitor.wait_until(lambda: "frame-ancestors" in "".join(visitor.complaints))


def test_no_other_page_learns_where_somebody_was(
    browser: Browser, sites: dict[str, Site], foreign: CannedServer
) -> None:
    site = sites["open"]
    site.begin()
    with Visitor(browser) as visitor:
        visitor.open(f"{site.url()}/?search=secret")
        visitor.page.evaluate(
            """(url) => {
              const link = document.createElement("a");
              link.href = url;
              document.body.append(link);
              link.click();
            }""",
            f"{foreign.url}/followed",
        )
        visitor.page.wait_for_url("**/followed")
    [followed] = [asked for asked in foreign.asked if asked.path == "/followed"]
    assert "referer" not in followed.headers
