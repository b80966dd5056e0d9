"""What the dashboards of contrib/grafana ask, a real Prometheus has.

It watches a day of jobs at a relay. No Grafana is there to show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from board_markup import board_of
from dashboards import (
    ALL_QUERIES,
    GRAFANA,
    Query,
    chosen,
    read,
    states_of,
)
from day_of_jobs import STATES, Day, day_of_jobs
from prometheus_process import require_prometheus
from relay_process import StartRelay
from run_http import data_of

JOBS = GRAFANA / "dashboards/jobs.json"
QUIET = {
    "relay: Failing scrapes, A",
    "relay: Largest clock skew, A",
    "relay: Clock skew, A",
    "relay: Relays with a bad file, A",
}
"""What is 0 when all is well."""


@pytest.fixture(scope="module")
def day(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    require_prometheus()
    with day_of_jobs(start_relay, tmp_path_factory.mktemp("day")) as day:
        yield day


@pytest.mark.system
@pytest.mark.parametrize("query", ALL_QUERIES, ids=str)
def test_a_query_has_an_answer(day: Day, query: Query) -> None:
    values = [value for value in values_of(day, query) if math.isfinite(value)]
    assert values
    assert any(values) or str(query) in QUIET


def values_of(day: Day, query: Query) -> list[float]:
    """Return all values of the answer to a query, as Grafana asks it."""
    asked = query.asked(chosen(day.seconds))
    if query.is_instant:
        return [value for _, value in day.now(asked)]
    series = day.prometheus.range_of(asked, day.began_at, day.over_at)
    return [float(value) for each in series for _, value in each["values"]]


def states_told(day: Day, **some: list[str]) -> dict[str, str]:
    """Return the state of each job that the table has."""
    [states] = [query for query in ALL_QUERIES if str(query) == "jobs: Jobs, A"]
    told = day.now(states.asked(chosen(**some)))
    words = states_of(read(JOBS))
    return {labels["job"]: words[int(value)] for labels, value in told}


@pytest.mark.system
def test_jobs_are_in_the_states_that_the_relay_tells(day: Day) -> None:
    assert states_told(day) == STATES
    board = {
        job: row.state for job in STATES for row in board_of(day.relay, search=job).rows
    }
    assert board == STATES
    reported = data_of(day.relay.get("/api/v1/jobs"))["jobs"]
    assert len(reported) > 10
    assert all(STATES[job["job"]] == job["state"] for job in reported)


@pytest.mark.system
def test_what_is_chosen_is_what_is_shown(day: Day) -> None:
    jobs = ["pushes (daily)", "mail"]
    assert states_told(day, job=jobs) == {job: STATES[job] for job in jobs}
    assert states_told(day, job=jobs[:1]) == {jobs[0]: "ok"}
    of_instance = states_told(day, job=["backup", "import"], instance=["db1"])
    assert of_instance == {"backup": "ok"}


@pytest.mark.system
def test_the_jobs_shown_over_time_are_those_that_need_attention_most(day: Day) -> None:
    [shown] = [query for query in ALL_QUERIES if str(query) == "jobs: variable shown"]
    some = shown.asked(chosen()).replace("topk(30,", "topk(3,")
    states = [STATES[labels["job"]] for labels, _ in day.now(some)]
    assert sorted(states) == ["failed", "overdue", "overdue"]


@pytest.mark.system
def test_the_last_run_of_a_job_is_the_one_that_ended_last(day: Day) -> None:
    [code] = [query for query in ALL_QUERIES if str(query) == "jobs: Jobs, E"]
    answers = day.now(code.asked(chosen()))
    told = {labels["job"]: value for labels, value in answers}
    assert told == {"backup": 0, "import": 3}


@pytest.mark.system
def test_the_first_refusal_of_its_kind_is_counted(day: Day) -> None:
    [refused] = [q for q in ALL_QUERIES if str(q) == "relay: Refused by reason, A"]
    asked = refused.asked(chosen())
    series = day.prometheus.range_of(asked, day.began_at, day.over_at)
    most = {
        each["metric"]["reason"]: max(float(value) for _, value in each["values"])
        for each in series
    }
    assert most == {"type": 1, "not_authenticated": 1, "limit": 1}
