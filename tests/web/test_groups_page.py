"""The page of the groups."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from builders import group_of, key_of
from flask.testing import FlaskClient
from flask_clients import flask_client

from pushrelay.config import Settings
from pushrelay.freshness import Policy, standing_of
from pushrelay.grouping_key import GroupingKey, parse_path
from pushrelay.groups import FamilyShape, Group, Payload, StoredFamily
from pushrelay.model import MetricType
from pushrelay.web.pages import groups as groups_page
from pushrelay.web.pages.groups import list_groups


def client_of(
    *groups: Group, settings: Settings | None = None, is_current: bool = True
) -> FlaskClient:
    relay: Any = SimpleNamespace(
        groups=lambda: sorted(groups, key=lambda group: group.key.canonical),
        refresh_blocking=lambda: is_current,
        telemetry=SimpleNamespace(started_at=1.25),
    )
    return flask_client(settings or Settings(), relay)


def page_of(*groups: Group, query: str = "", **options: Any) -> str:
    response = client_of(*groups, **options).get(f"/groups{query}")
    assert response.status_code == 200
    return response.text


def jobs_on(page: str) -> list[str]:
    return re.findall(r'"label job">job="(.*?)"<', page)


def next_link(page: str) -> str | None:
    match = re.search(r'rel="next" href="\./groups(.*?)"', page)
    return unescape(match[1]) if match else None


def deletions_on(page: str) -> list[str]:
    return re.findall(r'data-method="DELETE" data-url="\./metrics/(.*?)"', page)


def group_named(job: str, **labels: str) -> Group:
    return group_of("x 1", key_of(job, **labels))


def test_a_group_shows_its_labels_times_and_families() -> None:
    text = '# HELP x How many.\n# TYPE x gauge\nx{a="b"} 1\nx 2\n# TYPE y counter\ny 3'
    page = page_of(group_of(text, key_of("backup", instance="db1"), pushed_at=10**9))
    assert jobs_on(page) == ["backup"]
    assert '<span class="label">instance="db1"</span>' in page
    assert (
        '<time datetime="1970-01-01T00:00:01Z">1970-01-01 00:00:01 UTC</time>' in page
    )
    assert "2 metric families, 3 series" in page
    assert "How many." in page
    assert "gauge, 2 series" in page
    assert unescape(page).count('x{a="b",instance="db1",job="backup"} 1\n') == 1
    assert "Last push failed!" not in page


def stale_group(now: int) -> Group:
    """A group whose y was pushed at 1 s and x at 3 s, which go stale after 5 s."""
    held = group_of("y 1", pushed_at=10**9).payload.families()
    pushed = group_of("x 1", pushed_at=3 * 10**9).payload.families()
    payload = Payload.of([*held, *pushed])
    group = replace(group_of(pushed_at=3 * 10**9), payload=payload)
    standing = standing_of(Policy(5 * 10**9), group.times, lambda _: False, now)
    return replace(group, standing=standing)


def test_what_is_stale_is_flagged() -> None:
    page = page_of(stale_group(now=8 * 10**9))
    assert '<strong class="stale">Stale</strong>' in page
    assert "<dt>Stale since</dt>" in page
    assert "1970-01-01 00:00:08 UTC" in page
    assert page.count("stale: not shown to scrapers") == 2


def test_of_a_group_in_parts_fresh_the_rest_is_flagged() -> None:
    page = page_of(stale_group(now=7 * 10**9))
    assert '<strong class="stale">' not in page
    assert "<dt>Goes stale</dt>" in page
    assert page.count("stale: not shown to scrapers") == 1


def test_what_never_goes_stale_does_not_speak_of_it() -> None:
    assert "stale" not in page_of(group_of()).casefold()


def test_a_refused_push_is_flagged() -> None:
    page = page_of(group_of("", pushed_at=0, failed_at=10**9))
    assert "Last push failed!" in page
    assert "<dd>never</dd>" in page
    assert "No metric families." in page


MARKUP = "<script>alert(1)</script>\"'&"


def test_nothing_pushed_is_markup() -> None:
    value = MARKUP.replace('"', r"\"")
    text = f'# HELP x {MARKUP}\nx{{l="{value}"}} 1\n{{"<b>\'"}} 1'
    page = page_of(group_of(text, key_of(MARKUP, l=MARKUP)))
    assert page.count("<script") == page.count("</script>") == 1
    assert "<b>" not in page
    assert re.findall(r'aria-label="Delete group (.*?)"\n', page) == [
        "job=&#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;&#34; "
        "l=&#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;&#34;"
    ]


def test_a_search_is_not_markup() -> None:
    page = page_of(group_named("a"), query='?search="><script>')
    assert page.count("<script") == 1
    assert 'value="&#34;&gt;&lt;script&gt;"' in page


@pytest.mark.parametrize("path", ["/groups", "/static/base.css", "/static/none"])
def test_the_browser_is_told_to_run_nothing_else(path: str) -> None:
    with client_of().get(path) as response:
        headers = response.headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(
        policy
    )
    assert {"frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"


def test_the_page_keeps_to_its_policy() -> None:
    page = page_of(group_named("a"))
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(">" not in tag for tag in re.findall(r"<script(.*?)></script>", page))
    # Relative, so that it works below any prefix.
    links = re.findall(r'(?:href|src|action|data-url)="(.*?)"', page)
    assert links
    assert all(link.startswith(("./", "#")) for link in links)
    assert '<meta name="robots" content="noindex">' in page


def test_every_asset_of_the_page_is_there() -> None:
    types = {}
    for asset in re.findall(r'"\./(static/.*?)"', page_of()):
        with client_of().get(f"/{asset}") as response:
            types[response.status_code, response.mimetype] = asset
    assert types == {
        (200, "image/svg+xml"): "static/icon.svg",
        (200, "text/css"): "static/base.css",
        (200, "text/javascript"): "static/page.js",
    }


@pytest.mark.parametrize("name", ["", "none", "../app.py", "..%2fapp.py", "%00"])
def test_other_files_are_not_there(name: str) -> None:
    response = client_of().get(f"/static/{name}")
    assert (response.status_code, response.text) == (404, "404 page not found\n")
    assert response.mimetype == "text/plain"


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_paging_shows_every_group_once_in_order(count: int) -> None:
    client = client_of(*(group_named(f"job-{number:03}") for number in range(count)))
    seen, link = [], "/groups"
    while link:
        page = client.get(link).text
        seen += jobs_on(page)
        following = next_link(page)
        link = f"/groups{following}" if following else ""
        assert ("First page" in page) == (len(seen) > 100)
    assert seen == [f"job-{number:03}" for number in range(count)]


def test_a_page_ends_early_when_it_gets_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_page, "PAGE_BYTES", 100)
    groups = [group_named(f"{number}") for number in range(5)]
    first = list_groups(groups, "", "")
    assert 0 < len(first.entries) < 5
    second = list_groups(groups, "", first.next_after)
    assert first.entries[-1].job < second.entries[0].job


def test_a_page_goes_on_where_a_deleted_group_was() -> None:
    groups = [group_named(f"{number:03}") for number in range(150)]
    first = list_groups(groups, "", "")
    del groups[99]
    assert list_groups(groups, "", first.next_after).entries[0].job == "100"


@pytest.mark.parametrize("after", ["?", "A", "ü", "%%%"])
def test_a_broken_position_is_the_beginning(after: str) -> None:
    assert len(list_groups([group_named("a")], "", after).entries) == 1


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["backup", "report"]),
        ("DB1", ["backup"]),
        ('instance="db', ["backup"]),
        ('job="report"', ["report"]),
        ("nothing", []),
    ],
)
def test_a_search_looks_at_the_grouping_key(search: str, found: list[str]) -> None:
    groups = [group_named("backup", instance="db1"), group_named("report")]
    listed = list_groups(groups, search, "")
    assert [entry.job for entry in listed.entries] == found
    assert (listed.total, listed.matching) == (2, len(found))


def test_a_search_is_kept_on_the_next_page() -> None:
    groups = [group_named(f"{n:03}", l="a&b") for n in range(101)]
    groups += [group_named(f"{n:03}", l="c") for n in range(101)]
    client = client_of(*groups)
    first = client.get("/groups?search=a%26b").text
    assert "202 groups, 101 found" in first
    assert jobs_on(client.get(f"/groups{next_link(first)}").text) == ["100"]


def test_a_search_without_a_match_says_so() -> None:
    assert "No group here with “zz”" in page_of(group_named("a"), query="?search=zz")


@pytest.mark.parametrize(
    "labels",
    [
        {"job": "backup", "instance": "db1"},
        {"job": "..", "l": "."},
        {"job": "a/b", "l": ""},
        {"job": "ü %2F?#\n\0", "l": "%"},
        {"job": "a", "x/y.z": "..", "..": "U__"},
    ],
)
def test_a_deletion_names_its_group(labels: dict[str, str]) -> None:
    key = GroupingKey.of(labels)
    [path] = deletions_on(page_of(group_of(key=key)))
    # What a browser takes for steps of the path would name another group.
    assert not {".", ".."} & set(path.split("/"))
    utf8_names = not all(name.isidentifier() for name in labels)
    assert parse_path(unquote(path), utf8_names=utf8_names) == key


def test_the_confirmation_tells_what_is_lost() -> None:
    page = unescape(page_of(group_of('x 1\ny 1\ny{a="b"} 1', key_of("a", l="v"))))
    assert 'Delete the group job="a" l="v"?' in page
    assert "Its 2 metric families (3 series) and its push times will be lost." in page


def test_all_groups_can_be_deleted_with_the_admin_api_only() -> None:
    group = group_named("a")
    assert "api/v1/admin/wipe" not in page_of(group)
    page = page_of(group, settings=Settings(enable_admin_api=True))
    assert 'data-method="PUT" data-url="./api/v1/admin/wipe"' in page


def test_an_empty_relay_says_how_to_push() -> None:
    response = client_of().get("/groups", base_url="http://relay.example:9091")
    command = "curl --data-binary @- http://relay.example:9091/metrics/job/example"
    assert command in response.text
    settings = Settings(route_prefix="/in", external_path="/out")
    assert "localhost/out/metrics/job/example" in page_of(settings=settings)


def test_a_host_header_cannot_add_to_the_command() -> None:
    response = client_of().get("/groups", headers={"Host": "a;reboot"})
    command = unescape(re.findall(r"<pre.*?>(.*)</pre>", response.text)[0])
    assert "reboot" not in re.sub(r"'.*?'", "", command)


def test_the_page_says_if_it_may_be_old() -> None:
    assert "The database does not answer" in page_of(is_current=False)
    assert "The database does not answer" not in page_of()


def test_long_texts_are_cut_between_lines() -> None:
    text = "\n".join(f'x{{l="{number:05}"}} 1' for number in range(1000))
    page = unescape(page_of(group_of(text)))
    assert "untyped, 1,000 series" in page
    shown = re.findall(r'^x\{.*l="\d{5}"\} 1$', page, re.M)
    assert 100 < len(shown) < 1000
    assert 'The rest is at <a href="./metrics">' in page
    assert "…" in page_of(group_named("j" * 201))
    assert "…" not in page_of(group_named("j" * 200))


def test_a_line_that_is_too_long_is_cut_inside() -> None:
    series = b'x{l="' + "ü".encode() * 10_000 + b'"} 1\n'
    family = StoredFamily(FamilyShape.of("x", MetricType.GAUGE), 1, series)
    group = Group(key_of(), 1, 1, 0, Payload.of([family]))
    [entry] = list_groups([group], "", "").entries
    assert entry.families[0].is_cut
    assert entry.families[0].series.endswith("ü")


def test_a_group_of_many_families_shows_some() -> None:
    text = "\n".join(f"x{number:03} 1" for number in range(300))
    page = page_of(group_of(text))
    assert "300 metric families, 300 series" in page
    assert "x000" in page
    assert "x299" not in page
    assert "The others are at" in page


def test_links_carry_the_position_as_base64() -> None:
    groups = [group_named(f"{number:03}") for number in range(101)]
    position = list_groups(groups, "", "").next_after
    padded = position + "=" * (-len(position) % 4)
    assert base64.urlsafe_b64decode(padded) == groups[99].key.canonical
