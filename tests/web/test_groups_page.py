"""The page of the groups."""

from __future__ import annotations

import re
from html import unescape

import pytest
from builders import group_of, key_of
from group_pages import (
    client_of,
    counts_on,
    group_named,
    jobs_on,
    page_of,
    reader,
    stale_group,
)

from pushrelay.config import Settings
from pushrelay.rights import Right
from pushrelay.web.pages.keys import read_key, written_key


def test_a_row_has_labels_times_and_numbers() -> None:
    text = '# HELP x How many.\n# TYPE x gauge\nx{a="b"} 1\nx 2\n# TYPE y counter\ny 3'
    group = group_of(text, key_of("backup", instance="db1"), pushed_at=3 * 10**9)
    page = unescape(page_of(group))
    assert jobs_on(page) == ["backup"]
    assert '<span class="pair">instance="db1"</span>' in page
    assert 'title="1970-01-01 00:00:03 UTC" data-relative>5 s ago</time>' in page
    assert '<td data-label="Families">2</td>' in page
    assert '<td data-label="Series">3</td>' in page
    assert '<span class="muted">fresh</span>' in page
    assert f'href="./group?key={written_key(group.key)}"' in page
    # What was pushed is on the page of the group.
    assert "How many." not in page


def test_what_is_stale_is_flagged() -> None:
    page = page_of(stale_group())
    assert 'class="state is-stale"' in page
    assert 'title="1970-01-01 00:00:06 UTC" data-relative="bare">2 s</time>' in page
    assert "is-stale" not in page_of(stale_group(now=5 * 10**9))


def test_a_refused_push_is_flagged() -> None:
    page = page_of(group_of("", pushed_at=0, failed_at=3 * 10**9))
    assert 'class="state is-failed strong"' in page
    assert re.search(r'"Refused" class="bad"><time [^>]*>5 s ago<', page)
    assert '<td data-label="Pushed"><span class="muted">never</span>' in page
    # One that was refused before the last one says when, and no more.
    page = page_of(group_of(pushed_at=4 * 10**9, failed_at=3 * 10**9))
    assert "is-failed" not in page
    assert re.search(r'"Refused"><time [^>]*>5 s ago<', page)


MARKUP = "<script>alert(1)</script>\"'&"


def test_nothing_pushed_is_markup() -> None:
    page = page_of(group_of("x 1", key_of(MARKUP, l=MARKUP)))
    assert page.count("<script") == page.count("</script>") == 2
    assert "alert(1)<" not in page
    shown = unescape(re.findall(r'aria-label="(Choose .*?)">', page)[0])
    assert shown == f'Choose job="{MARKUP}" l="{MARKUP}"'


def test_a_search_is_not_markup() -> None:
    page = page_of(group_named("a"), query='?search="><script>')
    assert page.count("<script") == 2
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
    links = re.findall(r'(?:href|src|action)="(.*?)"', page)
    assert links
    assert all(link.startswith(("./", "#")) for link in links)
    assert '<meta name="robots" content="noindex">' in page


def test_every_asset_of_the_page_is_there() -> None:
    types = {}
    for asset in re.findall(r'"\./(static/.*?)"', page_of()):
        with client_of().get(f"/{asset}") as response:
            types[asset] = (response.status_code, response.mimetype)
    assert types == {
        "static/icon.svg": (200, "image/svg+xml"),
        "static/base.css": (200, "text/css"),
        "static/groups.css": (200, "text/css"),
        "static/page.js": (200, "text/javascript"),
        "static/groups.js": (200, "text/javascript"),
    }


@pytest.mark.parametrize("name", ["", "none", "../app.py", "..%2fapp.py", "%00"])
def test_other_files_are_not_there(name: str) -> None:
    response = client_of().get(f"/static/{name}")
    assert (response.status_code, response.text) == (404, "404 page not found\n")
    assert response.mimetype == "text/plain"


def test_groups_are_chosen_by_those_who_may_delete() -> None:
    groups = [group_named("a", l="v"), group_named("b")]
    page = page_of(*groups, query="?search=a&state=fresh")
    [written] = re.findall(r'name="key" value="(.*?)" form="chosen"', page)
    assert read_key(written) == groups[0].key
    # The list is shown as it was when somebody comes back.
    form = page[page.index('id="chosen"') :].partition("</form>")[0]
    hidden = re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', form)
    assert hidden == [("search", "a"), ("state", "fresh")]
    page = page_of(*groups, identity=reader(Right.READ))
    assert jobs_on(page) == ["a", "b"]
    assert not re.search("delete|checkbox|groups.js", page, re.I)


def test_a_grant_that_is_bounded_sees_what_it_covers_and_no_numbers_of_others() -> None:
    groups = [group_named("mine"), group_named("theirs"), stale_group("theirs-too")]
    identity = reader(Right.READ, Right.PUSH, match='{job="mine"}')
    page = page_of(*groups, identity=identity)
    assert jobs_on(page) == ["mine"]
    assert set(counts_on(page).values()) == {"1", "0"}
    page = page_of(*groups, query="?search=theirs", identity=identity)
    assert jobs_on(page) == []
    assert set(counts_on(page).values()) == {"0"}


def test_all_groups_can_be_deleted_with_the_admin_api_only() -> None:
    group = group_named("a")
    assert "./wipe" not in page_of(group)
    settings = Settings(enable_admin_api=True)
    assert 'href="./wipe"' in page_of(group, settings=settings)
    bounded = reader(Right.ADMIN, match='{job="a"}')
    assert "./wipe" not in page_of(group, settings=settings, identity=bounded)


def test_many_and_long_labels_are_cut() -> None:
    labels = {f"l{number:02}": "v" for number in range(20)}
    page = page_of(group_named("j" * 101, **labels))
    assert "j" * 100 + "…" in page
    assert "l10=" in page
    assert "l19=" not in page
    assert "and 9 more" in page


def test_an_empty_relay_says_how_to_push() -> None:
    response = client_of().get("/groups", base_url="http://relay.example:9091")
    command = "curl --data-binary @- http://relay.example:9091/metrics/job/example"
    assert command in response.text
    settings = Settings(route_prefix="/in", external_path="/out")
    assert "localhost/out/metrics/job/example" in page_of(settings=settings)


def test_where_somebody_is_asked_who_they_are_the_command_says_so_too() -> None:
    told = '-H "Authorization: Bearer $PUSHRELAY_TOKEN"'
    assert told in unescape(page_of(identity=reader(Right.READ)))
    assert told not in unescape(page_of())
    settings = Settings(auth_anonymous=("push",))
    page = page_of(identity=reader(Right.READ), settings=settings)
    assert told not in unescape(page)


def test_a_host_header_cannot_add_to_the_command() -> None:
    response = client_of().get("/groups", headers={"Host": "a;reboot"})
    command = unescape(re.findall(r"<pre.*?>(.*)</pre>", response.text)[0])
    assert "reboot" not in re.sub(r"'.*?'", "", command)


def test_the_page_says_if_it_may_be_old() -> None:
    assert "The database does not answer" in page_of(is_current=False)
    assert "The database does not answer" not in page_of()
