"""Deleting, pausing and retiring on pages: first said, then done, without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import axe
import pytest
from browsers import Visitor
from logging_in import new_token
from page_data import group_query
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from run_http import finish, job_of, report

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--web.enable-admin-api")


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Somebody whose browser runs no scripts."""
    with Visitor(browser, java_script_enabled=False) as visitor:
        yield visitor
        assert visitor.complaints == []


@pytest.fixture(autouse=True)
def groups(relay: RelayProcess) -> None:
    """Have five groups, of jobs of which one is expected to run."""
    relay.wipe()
    for name in "abcd":
        assert relay.put(f"/metrics/job/job-{name}/zone/z", "x 1\ny 2\n").status == 200
    report(relay, finish("nightly", expectation={"every": "1d"}, metrics="rows 3\n"))


def jobs(relay: RelayProcess) -> set[str]:
    return {labels["job"] for labels in relay.grouping_keys()}


def url_of(relay: RelayProcess, path: str) -> str:
    return f"http://{relay.address}{path}"


def test_a_group_is_deleted_once_it_was_said_what_is_lost(
    visitor: Visitor, relay: RelayProcess
) -> None:
    key = group_query(job="job-b", zone="z")
    visitor.open(url_of(relay, f"/group?{key}"))
    visitor.page.click("text=Delete…")
    visitor.page.wait_for_url("**/delete?**")
    assert "2 metric families with 2 series will be lost" in visitor.text
    assert "job-b" in jobs(relay)
    visitor.page.click("button:has-text('Delete 1 group')")
    visitor.page.wait_for_selector("[role=status]:has-text('Deleted 1 group.')")
    assert jobs(relay) == {"job-a", "job-c", "job-d", "nightly"}


def test_chosen_groups_are_deleted_and_no_others(
    visitor: Visitor, relay: RelayProcess
) -> None:
    visitor.open(url_of(relay, "/groups"))
    for name in ("job-a", "job-d"):
        visitor.page.check(f"tr:has-text('{name}') input")
    visitor.page.click("text=Delete chosen groups")
    visitor.page.wait_for_url("**/delete?**")
    visitor.page.click("button:has-text('Delete 2 groups')")
    visitor.page.wait_for_selector("[role=status]:has-text('Deleted 2 groups.')")
    assert jobs(relay) == {"job-b", "job-c", "nightly"}


def test_a_script_counts_what_is_chosen_and_chooses_all(
    browser: Browser, relay: RelayProcess
) -> None:
    with Visitor(browser) as visitor:
        visitor.open(url_of(relay, "/groups?search=job-"))
        visitor.page.check("text=All on this page")
        visitor.page.wait_for_selector("text=4 chosen")
        visitor.page.uncheck("tr:has-text('job-c') input")
        visitor.page.wait_for_selector("text=3 chosen")
        visitor.page.click("text=Delete chosen groups")
        visitor.page.click("button:has-text('Delete 3 groups')")
        visitor.page.wait_for_selector("[role=status]:has-text('Deleted 3 groups.')")
        assert visitor.complaints == []
    assert jobs(relay) == {"job-c", "nightly"}


def test_who_thinks_better_of_it_loses_nothing(
    visitor: Visitor, relay: RelayProcess
) -> None:
    for path, keep, back in [
        (f"/delete?{group_query(job='job-a', zone='z')}", "Keep it", "**/groups"),
        ("/retire?job=nightly", "Keep it", "**/job?**"),
        ("/pause?job=nightly", "Back to the job", "**/job?**"),
        ("/wipe", "Keep it", "**/groups"),
    ]:
        visitor.open(url_of(relay, path))
        visitor.page.click(f"a:has-text('{keep}')")
        visitor.page.wait_for_url(back)
    assert len(jobs(relay)) == 5
    assert job_of(relay, "nightly")["paused_until"] is None


def test_a_job_is_paused_and_resumed(visitor: Visitor, relay: RelayProcess) -> None:
    visitor.open(url_of(relay, "/job?job=nightly"))
    visitor.page.click("text=Pause the job…")
    visitor.page.click("button:has-text('8 hours')")
    visitor.page.wait_for_selector("[role=status]:has-text('The job is paused.')")
    visitor.page.wait_for_selector(".verdict .state:has-text('paused')")
    assert job_of(relay, "nightly")["state"] == "paused"
    visitor.page.click("text=Resume the job…")
    visitor.page.click("text=End the pause now")
    visitor.page.wait_for_selector("[role=status]:has-text('no longer paused')")
    visitor.page.wait_for_selector(".verdict .state:has-text('ok')")
    assert job_of(relay, "nightly")["state"] == "ok"


def test_a_pause_of_nonsense_is_explained(
    visitor: Visitor, relay: RelayProcess
) -> None:
    visitor.open(url_of(relay, "/pause?job=nightly"))
    visitor.page.fill("#until", "soon")
    visitor.page.press("#until", "Enter")
    visitor.page.wait_for_selector("[role=alert]")
    assert job_of(relay, "nightly")["paused_until"] is None
    visitor.page.fill("#until", "36h")
    visitor.page.press("#until", "Enter")
    visitor.page.wait_for_selector(".verdict .state:has-text('paused')")


def test_a_job_is_retired_with_all_that_is_known_of_it(
    visitor: Visitor, relay: RelayProcess
) -> None:
    visitor.open(url_of(relay, "/job?job=nightly"))
    visitor.page.click("text=Retire the job…")
    assert "1 run that ended" in visitor.text
    visitor.page.click("button:has-text('Retire the job')")
    visitor.page.wait_for_selector("[role=status]:has-text('The job is retired')")
    assert jobs(relay) == {"job-a", "job-b", "job-c", "job-d"}
    assert relay.get("/api/v1/jobs/nightly").status == 404


def test_all_goes_only_for_who_writes_that(
    visitor: Visitor, relay: RelayProcess
) -> None:
    visitor.open(url_of(relay, "/groups"))
    visitor.page.click("text=Delete all groups")
    visitor.page.fill("#confirm", "yes")
    visitor.page.press("#confirm", "Enter")
    visitor.page.wait_for_selector("[role=alert]")
    assert len(jobs(relay)) == 5
    visitor.page.fill("#confirm", "all")
    visitor.page.press("#confirm", "Enter")
    visitor.page.wait_for_selector("[role=status]:has-text('are deleted')")
    assert jobs(relay) == set()


def test_who_may_only_read_is_offered_nothing(
    browser: Browser, start_relay: StartRelay
) -> None:
    closed = start_relay("--auth.required")
    admin, guest = (new_token(closed, n, n) for n in ("admin", "read"))
    headers = {"Authorization": f"Bearer {admin}"}
    assert closed.put("/metrics/job/kept", "x 1\n", headers).status == 200
    with Visitor(browser) as visitor:
        visitor.open(url_of(closed, "/"))
        visitor.page.fill("#password", guest)
        visitor.page.press("#password", "Enter")
        visitor.page.wait_for_selector("text=You are the token")
        for path in ("/groups", "/job?job=kept", f"/group?{group_query(job='kept')}"):
            visitor.open(url_of(closed, path))
            assert "kept" in visitor.text
            for word in ("Delete", "Pause", "Retire"):
                assert word not in visitor.text
        assert axe.violations(visitor) == []
        assert visitor.complaints == []
