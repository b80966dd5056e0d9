"""The pages that say what will be lost before it is."""

from __future__ import annotations

import base64
import re
import time
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from logging_in import new_token
from page_forms import BROWSER, chosen, fields_of, shown
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import finish, report, start

MARKUP = "<script>alert(1)</script>\"'&"


def words(page: str) -> str:
    """Return the text of what a page shows, without markup."""
    main = page[page.index("<main") :]
    return " ".join(unescape(re.sub("<[^>]*>", " ", main)).split())


def test_a_deletion_says_what_goes_and_what_stays(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a/instance/db1", 'x 1\ny 1\ny{a="b"} 2\n')
    relay.put("/metrics/job/b", "z 1\n")
    text = words(shown(relay, chosen({"job": "a", "instance": "db1"}, {"job": "b"})))
    assert "Delete 2 groups?" in text
    assert "3 metric families with 4 series will be lost" in text
    assert "Alerts on these series can no longer fire" in text
    assert "What is known of runs stays, and what is expected of the jobs" in text
    assert re.search(r'a instance="db1" fresh \d+ s ago never 2 3', text)
    assert re.search(r"b fresh \d+ s ago never 1 1", text)
    assert len(relay.groups()) == 2


def test_a_group_is_named_once_however_often_it_was_chosen(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a", "x 1\n")
    page = shown(relay, chosen({"job": "a"}, {"job": "a"}, {"job": "gone"}))
    assert "Delete 1 group?" in page
    assert "1 chosen group is not there any more" in words(page)
    names = [name for name, _ in fields_of(page, "./delete")]
    assert names == ["key", "revision"]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([], "No group was chosen."),
        ([{"job": "x"}], "The chosen group is not there any more."),
    ],
)
def test_without_groups_there_is_nothing_to_delete(
    relay: HTTPClient, keys: list[dict[str, str]], text: str
) -> None:
    page = shown(relay, chosen(*keys, search="x"))
    assert text in words(page)
    assert 'href="./groups?search=x"' in page
    assert 'method="post"' not in page


def test_retiring_says_what_is_known_of_the_job(relay: HTTPClient) -> None:
    for number in range(102):
        relay.put(f"/metrics/job/a/instance/{number}", "x 1\n")
    for _ in range(3):
        report(relay, finish("a", ago=7300))
    report(relay, start("a", ago=3700))
    relay.put("/api/v1/jobs/a/expectation", '{"every": "1h", "grace": "5m"}')
    text = words(shown(relay, "/retire?job=a"))
    assert "102 groups with 102 series" in text
    assert "3 runs that ended; the last one began 1 h ago" in text
    assert "1 run is going on now" in text
    assert "What is expected of it: every 1 h, grace 5 min ." in text
    assert "And 2 more" in text
    assert "A job rule names it" not in text


def test_of_a_job_that_only_pushes_that_is_said(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a", "x 1\n")
    text = words(shown(relay, "/retire?job=a"))
    assert "1 group with 1 series" in text
    assert "0 runs that ended." in text
    assert "Nothing is expected of it." in text


def test_a_job_that_a_rule_names_would_come_back(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[jobs]]\nmatch = 'job=\"a\"'\nevery = '1h'\n")
    relay = start_relay(f"--config.file={rules}")
    text = words(shown(relay, "/retire?job=a"))
    assert "0 groups with 0 series" in text
    assert "A job rule names it : take it out there, too" in text


def test_a_pause_says_what_it_means_and_when_it_ends(relay: HTTPClient) -> None:
    report(relay, finish("a"))
    page = shown(relay, "/pause?job=a")
    assert "Nothing is expected of it now" in words(page)
    assert "./resume" not in page
    relay.put("/api/v1/jobs/a/expectation", '{"schedule": "0 3 * * *"}')
    relay.post("/api/v1/jobs/a/pause?until=2h1m")
    page = shown(relay, "/pause?job=a")
    text = words(page)
    assert "cron schedule 0 3 * * *, time zone UTC, grace 5 min" in text
    assert "nobody is told if it does not run" in text
    assert re.search(r"It is paused until 20[0-9: -]+ UTC", text)
    assert 'action="./resume"' in page
    offered = re.findall(r'<button name="until" value="(.*?)">', page)
    assert offered == ["1h", "8h", "1d", "1w"]


def test_a_wipe_says_how_much_there_is(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a", "x 1\ny 1\n")
    assert "1 group with 2 series will be lost" in words(shown(relay, "/wipe"))
    assert len(relay.groups()) == 1


@pytest.mark.parametrize("path", ["/retire", "/pause"])
@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "the address names no job"),
        ("?job=", 400, "the address names no job"),
        ("?job=none", 404, 'nothing is known of a job "none"'),
        ("?job=a&job=b", 400, "given more than once"),
    ],
)
def test_of_what_is_not_known_nothing_is_offered(
    relay: HTTPClient, path: str, query: str, status: int, text: str
) -> None:
    answer = relay.get(path + query, BROWSER)
    assert answer.status == status
    assert text in unescape(answer.text)


def test_nothing_pushed_is_markup(relay: HTTPClient) -> None:
    encoded = base64.urlsafe_b64encode(MARKUP.encode()).decode()
    path = f"/metrics/job@base64/{encoded}/l@base64/{encoded}"
    assert relay.put(path, "x 1\n").status == 200
    report(relay, finish(MARKUP))
    job = urlencode({"job": MARKUP})
    targets = [
        chosen({"job": MARKUP, "l": MARKUP}),
        f"/retire?{job}",
        f"/pause?{job}",
    ]
    for target in targets:
        page = shown(relay, target)
        assert MARKUP in unescape(page)
        assert page.count("<script") == 1
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)


@pytest.fixture(scope="module")
def closed(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--auth.required", "--web.enable-admin-api")


def test_to_retire_is_offered_to_those_who_may(closed: RelayProcess) -> None:
    def page(scopes: list[str], match: str) -> str:
        token = new_token(closed, f"t{time.monotonic_ns()}", *scopes, match=match)
        bearer = {"Authorization": f"Bearer {token}"}
        closed.put("/metrics/job/a/instance/i", "x 1\n", bearer)
        return shown(closed, chosen({"job": "a", "instance": "i"}), **bearer)

    assert 'href="./retire?job=a"' in page(["admin"], "")
    assert 'href="./retire?job=a"' in page(["admin"], '{job="a"}')
    assert "./retire" not in page(["admin"], '{instance="i"}')
    assert "./retire" not in page(["read", "push"], "")


def test_anybody_is_asked_to_log_in_first(closed: RelayProcess) -> None:
    for path in ("/delete", "/retire?job=a", "/pause?job=a", "/wipe"):
        answer = closed.get(path, BROWSER)
        assert answer.status == 303
        assert answer.header("Location") == "./login"
