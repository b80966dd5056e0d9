"""The metrics that a run left, in its document."""

from __future__ import annotations

import time

import pytest
from compat.exposition_page import value
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import finish, job_of, new_id, report, run_of, start


def test_the_metrics_of_a_run_are_pushed_to_its_group(relay: HTTPClient) -> None:
    relay.put("/metrics/job/nightly/instance/i", "other 1\nrows 1\n")
    end = finish(labels={"instance": "i"}, metrics="rows 5\n")
    end["finished_at"] = time.time() + 5
    report(relay, end)
    page = relay.page()
    assert value(page, "rows", job="nightly", instance="i") == 5
    assert value(page, "other", job="nightly", instance="i") == 1
    pushed = value(page, "push_time_seconds", job="nightly", instance="i")
    assert pushed < end["finished_at"]


def test_a_job_may_push_while_it_runs(relay: HTTPClient) -> None:
    report(relay, start("working"))
    for rows in (1, 2):
        assert relay.post("/metrics/job/working", f"rows {rows}\n").status == 200
        page = relay.page()
        assert value(page, "rows", job="working") == rows
        assert value(page, "pushrelay_job_running", job="working") == 1


def test_a_run_without_metrics_makes_no_group(relay: HTTPClient) -> None:
    report(relay, finish(metrics=""))
    assert relay.groups() == []


REFUSED = {
    "that cannot be read": ("rows 5\nbad{ 3\n", "in line 2", "invalid_body"),
    "that are inconsistent": ("rows 5 1\n", "timestamp", "timestamps"),
    "over a limit": ("a 1\nb 1\nc 1\nd 1\n", "the limit of 3 families", "limit"),
}


@pytest.fixture(scope="module")
def limited(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> RelayProcess:
    """A relay with rules for three jobs."""
    file = tmp_path_factory.mktemp("rules") / "rules.toml"
    file.write_text(
        '[[jobs]]\nmatch = \'{job="adding"}\'\nmode = "add"\n'
        "[[jobs]]\nmatch = '{job=~\"small.*\"}'\nlimits.series = 3\n"
        "limits.body_bytes = 1000\n"
    )
    return start_relay(f"--config.file={file}")


@pytest.mark.parametrize("case", REFUSED)
def test_refused_metrics_do_not_cost_the_end(limited: HTTPClient, case: str) -> None:
    metrics, text, reason = REFUSED[case]
    job, id_ = "small-" + reason, new_id()
    limited.put(f"/metrics/job/{job}", "held 1\n")
    end = finish(job, metrics=metrics)
    end["finished_at"] = time.time() + 5
    [problem] = report(limited, end, id_)["metrics_problems"]
    assert text in problem
    assert run_of(limited, id_)["metrics_problems"] == [problem]
    assert report(limited, end, id_)["metrics_problems"] == [problem]
    page = limited.page()
    name = "pushrelay_job_runs_total"
    assert value(page, name, job=job, outcome="success") == 1
    assert value(page, "held", job=job) == 1
    group = limited.group(job=job)
    assert group is not None
    assert group["last_push_successful"] is False
    name = "pushrelay_pushes_rejected_total"
    assert value(page, name, job=job, reason=reason) == 1


def test_metrics_are_taken_as_the_job_rule_says(limited: HTTPClient) -> None:
    for _ in range(2):
        report(limited, finish("adding", metrics="# TYPE n counter\nn 5\n"))
    assert value(limited.page(), "n", job="adding") == 10
    [problem] = report(limited, finish("small", metrics="#" * 2000 + "\nx 1\n"))[
        "metrics_problems"
    ]
    assert problem == "the body is larger than the limit of 1000 bytes"


MANY = "# TYPE n counter\n" + "".join(f'n{{l="{at}"}} 1\n' for at in range(3000))


def test_metrics_that_take_long_to_merge_are_merged(limited: HTTPClient) -> None:
    for number in range(3):
        end = finish("adding", metrics=MANY, ago=number)
        assert report(limited, end)["metrics_problems"] == []
    assert value(limited.page(), "n", job="adding", l="2999") == 3


def test_late_metrics_that_take_long_to_merge_are_a_problem(
    limited: HTTPClient,
) -> None:
    assert report(limited, finish("adding", metrics=MANY))["metrics_problems"] == []
    end = finish("adding", metrics=MANY, ago=600)
    [problem] = report(limited, end)["metrics_problems"]
    assert "so many can only be merged" in problem
    page = limited.page()
    assert value(page, "push_failure_time_seconds", job="adding") > 0
    name = "pushrelay_pushes_rejected_total"
    assert value(page, name, job="adding", reason="limit") == 1


def test_a_clock_that_is_a_little_late_costs_no_metrics(relay: HTTPClient) -> None:
    relay.put("/metrics/job/nightly", "done 1\n")  # on its way
    told = report(relay, finish("nightly", metrics="done 5\n", ago=5))
    assert told["warnings"] == []
    assert value(relay.page(), "done", job="nightly") == 5
    told = report(relay, finish("nightly", metrics="done 4\n", ago=600))
    assert len(told["warnings"]) == 1
    assert value(relay.page(), "done", job="nightly") == 5


def test_metrics_cannot_be_booked_beside_the_twin_of_their_group(
    relay: HTTPClient,
) -> None:
    relay.put("/metrics/job/nightly/instance@base64/=", "x 1\n")
    for metrics in ("x 1\n", "x{\n"):
        [problem] = report(relay, finish(metrics=metrics))["metrics_problems"]
        assert problem
    assert relay.grouping_keys() == [{"instance": "", "job": "nightly"}]
    assert job_of(relay)["state"] == "ok"
