"""`/api/v1/jobs/<job>/pause`: nothing is expected of a job for a while."""

from __future__ import annotations

import time

import pytest
from compat.exposition_page import value
from relay_process import HTTPClient
from run_http import data_of, finish, job_of, report

DAY = 24 * 3600
PATH = "/api/v1/jobs/a/pause"


def test_a_job_is_paused_and_resumed(relay: HTTPClient) -> None:
    report(relay, finish("a", ago=2 * DAY, expectation={"every": "1h"}))
    assert job_of(relay, "a")["state"] == "overdue"
    now = time.time()
    paused = data_of(relay.post(PATH + "?until=2h"))
    assert (paused["state"], paused["overdue"]) == ("paused", False)
    assert paused["paused_until"] == pytest.approx(now + 7200, abs=5)
    assert value(relay.page(), "pushrelay_job_overdue", job="a") == 0
    resumed = data_of(relay.delete(PATH))
    # What was missed during the pause is not missed.
    assert (resumed["state"], resumed["paused_until"]) == ("ok", None)
    assert resumed["next_expected"] > now
    again = data_of(relay.delete(PATH))
    assert again["next_expected"] == resumed["next_expected"]


def test_the_end_of_a_pause_is_written_in_several_ways(relay: HTTPClient) -> None:
    report(relay, finish("a"))
    until = int(time.time()) + DAY
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    assert data_of(relay.post(f"{PATH}?until={until}.5"))["paused_until"] == until + 0.5
    assert data_of(relay.post(PATH, f"until={day}"))["paused_until"] == until
    day = day.replace("Z", "+00:00")
    assert data_of(relay.post(f"{PATH}?until={day}"))["paused_until"] == until


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "say until when the job is paused, such as until=2h"),
        ("?until=soon", 'until is "soon"; write Unix seconds'),
        ("?until=0", "is in the past; to end a pause, use DELETE"),
        ("?until=2020-01-01T00:00:00Z", "is in the past"),
        ("?until=11y", "can be paused for 10y at most"),
        ("?until=1h&for=x", 'unknown parameter "for"'),
    ],
)
def test_a_pause_that_cannot_be_understood_is_refused(
    relay: HTTPClient, query: str, text: str
) -> None:
    report(relay, finish("a"))
    response = relay.post(PATH + query)
    assert response.status == 400
    assert text in response.text
    assert job_of(relay, "a")["state"] == "ok"
