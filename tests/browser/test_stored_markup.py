"""Whatever was pushed, a browser runs nothing of it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from browsers import Visitor
from canned_server import Canned, CannedServer
from page_data import group_query
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import finish, new_id, report

from pushrelay.grouping_key import GroupingKey

pytestmark = pytest.mark.system

MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "javascript:alert(1)",
    "</pre></code></title></textarea><iframe src=javascript:alert(1)>",
    "<base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example>",
    "<style>@import '//evil.example/'</style>",
    "{{7*7}}${alert(1)}\u2028\u202e\x00",
]


RUNS = {new_id(): markup for markup in MARKUP}


@pytest.fixture(scope="module")
def soiled(start_relay: StartRelay) -> RelayProcess:
    """A relay in which everything that can be pushed is markup."""
    relay = start_relay("--web.enable-admin-api", "--push.enable-utf8-names")
    for run, markup in RUNS.items():
        key = GroupingKey.of({"job": markup, "instance": markup, markup: markup})
        name = markup.replace("\\", r"\\").replace('"', r"\"")
        lines = [
            f'# HELP "{name}" {markup}',
            f'# TYPE "{name}" gauge',
            f'{{"{name}","{name}"="{name}"}} 1',
        ]
        pushed = relay.put(f"/metrics/{key.path}", "\n".join([*lines, ""]))
        assert pushed.status == 200, pushed.text
        tail = {"stdout": markup, "stderr": markup}
        document = finish(markup, "failure", exit_code=1, output_tail=tail)
        report(relay, document, run)
    return relay


def pages() -> list[str]:
    """Return the pages for people that what was pushed is on, or what was asked."""
    searches = [f"search={quote(markup)}" for markup in MARKUP]
    jobs = [f"job={quote(markup)}" for markup in MARKUP]
    keys = [
        group_query(**{"job": markup, "instance": markup, markup: markup})
        for markup in MARKUP
    ]
    return [
        *("/", "/groups", "/status", "/wipe"),
        *(f"{page}?{query}" for page in ("/", "/groups") for query in searches),
        *(f"/job?{job}&instance={job.partition('=')[2]}" for job in jobs),
        *(f"/group?{key}" for key in keys),
        *(f"{page}?{job}" for page in ("/pause", "/retire") for job in jobs[:4]),
        *(f"/delete?{key}" for key in keys[:4]),
        *(f"/run?id={run}" for run in RUNS),
        *(f"/?state={quote(markup)}" for markup in MARKUP[:3]),
        *(f"/?after={quote(markup)}" for markup in MARKUP[:3]),
    ]


def others() -> list[str]:
    """Return where else it can be seen."""
    jobs = [
        f"/api/v1/jobs@base64/{GroupingKey.of({'job': markup}).path.split('/')[1]}"
        for markup in MARKUP
    ]
    return [
        *("/metrics", "/api/v1/metrics", "/api/v1/groups"),
        *("/api/v1/runs", "/api/v1/jobs", *jobs),
        *(f"/api/v1/runs/{run}" for run in RUNS),
        # Errors and redirects tell what was asked for.
        *(f"/{quote(markup)}" for markup in MARKUP[:3]),
        *(f"//x?{quote(markup, safe='<>')}" for markup in MARKUP[:3]),
        *(f"/static/{quote(markup)}" for markup in MARKUP[:3]),
        *(f"/api/v1/groups?match[]={quote(markup)}" for markup in MARKUP[:3]),
    ]


def test_nothing_of_it_runs(browser: Browser, soiled: RelayProcess) -> None:
    with Visitor(browser) as visitor:
        for path in [*pages(), *others()]:
            visitor.open(f"http://{soiled.address}{path}")
            visitor.page.evaluate(
                "document.querySelectorAll('details').forEach((one) => one.open = true)"
            )
            assert visitor.complaints == [], path
            assert visitor.page.url.startswith(f"http://{soiled.address}/")


@pytest.mark.parametrize("path", ["/", "/groups"])
def test_it_is_shown_as_it_is(
    browser: Browser, soiled: RelayProcess, path: str
) -> None:
    with Visitor(browser) as visitor:
        visitor.open(f"http://{soiled.address}{path}")
        shown = visitor.page.locator("tbody th a").all_inner_texts()
        assert set(MARKUP[:-1]) <= set(shown)


@pytest.mark.parametrize("markup", [MARKUP[0], MARKUP[4], MARKUP[6]])
def test_elsewhere_it_would_run(browser: Browser, markup: str) -> None:
    body = f'<!doctype html><body><input value="{markup}">{markup}'
    page = Canned(200, body.encode(), {"Content-Type": "text/html"})
    with CannedServer(lambda _: page) as server, Visitor(browser) as visitor:
        visitor.open(server.url)
        visitor.wait_until(lambda: "dialog: 1" in visitor.complaints)
