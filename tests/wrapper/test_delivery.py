from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data, problem, text
from compat.exposition_page import value
from noting_relay import TAKEN
from relay_process import REPOSITORY, HTTPClient, free_port
from run_http import data_of, finish, new_id, start

from pushrelay.errors import InvalidURL, RelayRefused, RelayUnavailable
from pushrelay.wrapper.delivery import Delivery, is_final
from pushrelay.wrapper.reports import Report


def taken(_: Asked) -> Canned:
    return data(TAKEN)


@contextmanager
def delivering(
    answer: Callable[[Asked], Canned], prefix: str = "", **settings: Any
) -> Iterator[tuple[Delivery, CannedServer]]:
    """Yield what delivers to a server that answers so, and the server."""
    with (
        CannedServer(answer) as server,
        closing(Delivery(server.url + prefix, **settings)) as delivery,
    ):
        yield delivery, server


@pytest.fixture
def delivery(relay: HTTPClient) -> Iterator[Delivery]:
    """What delivers to the relay of this run."""
    with closing(Delivery(f"http://{relay.address}")) as made:
        yield made


def delivered(relay: HTTPClient, report: Report) -> Any:
    """Return what the relay knows of the run."""
    return data_of(relay.get(f"/api/v1/runs/{report.run_id}"))


def test_a_run_is_reported_at_its_start_and_at_its_finish(
    relay: HTTPClient, delivery: Delivery
) -> None:
    job, id_ = "reported", new_id()
    assert delivery.deliver(Report(id_, start(job, ago=10))) == []
    begun = delivered(relay, Report(id_, {}))
    assert (begun["job"], begun["state"]) == (job, "started")
    document = finish(job, "failure", ago=10, exit_code=3, metrics="rows 5\n")
    document["started_at"] = begun["started_at"]
    assert delivery.deliver(Report(id_, document)) == []
    ended = delivered(relay, Report(id_, {}))
    assert (ended["state"], ended["exit_code"]) == ("finished", 3)
    assert value(relay.page(), "rows", job=job) == 5


def test_a_report_that_is_delivered_twice_is_one_run(
    relay: HTTPClient, delivery: Delivery
) -> None:
    report = Report(new_id(), finish("twice"))
    delivery.deliver(report)
    delivery.deliver(report, spooled=True)
    runs = "pushrelay_job_runs_total"
    assert value(relay.page(), runs, job="twice", outcome="success") == 1


def test_what_the_relay_says_of_a_report_is_told(delivery: Delivery) -> None:
    expectation = {"schedule": "0 3 * * *", "tz": "Europe/Nowhere"}
    document = finish("told", metrics="rows five\n", expectation=expectation)
    [warning, refusal] = delivery.deliver(Report(new_id(), document))
    assert "Europe/Nowhere" in warning
    assert refusal == (
        "metrics of the run were refused: text format parsing error in line 1: "
        'expected float as value, got "five"'
    )


def test_a_run_is_not_lost_for_what_is_expected_of_its_job(
    relay: HTTPClient, delivery: Delivery
) -> None:
    document = finish("misspelt", expectation={"schedule": "0 3 * *"})
    report = Report(new_id(), document)
    [told] = delivery.deliver(report)
    assert told.startswith("what is expected of the job was refused: expectation.sched")
    assert delivered(relay, report)["outcome"] == "success"
    assert document["expectation"] == {"schedule": "0 3 * *"}


@pytest.mark.parametrize("status", [408, 429, 500])
def test_how_a_relay_failed_is_known(status: int) -> None:
    with (
        delivering(lambda _: Canned(status)) as (delivery, _),
        pytest.raises(RelayUnavailable) as failed,
    ):
        delivery.deliver(Report(new_id(), finish()))
    assert failed.value.status == status


def test_a_report_is_refused_for_what_else_is_wrong_with_it(
    delivery: Delivery,
) -> None:
    expectation = {"schedule": "0 3 * *"}
    document = finish("wrong", exit_code="seven", expectation=expectation)
    with pytest.raises(RelayRefused, match="exit_code"):
        delivery.deliver(Report(new_id(), document))


def test_text_that_was_no_utf_8_is_delivered(
    relay: HTTPClient, delivery: Delivery
) -> None:
    tail = {"stdout": b"caf\xe9\n".decode(errors="surrogateescape"), "stderr": None}
    report = Report(new_id(), finish("latin", output_tail=tail))
    assert delivery.deliver(report) == []
    assert delivered(relay, report)["output_tail"]["stdout"] == "caf\ufffd\n"


def test_reports_share_a_connection_and_say_where_they_come_from() -> None:
    with delivering(taken, "/pre", token="t0ken") as (delivery, server):
        delivery.deliver(Report("a", start()))
        delivery.deliver(Report("b", finish()), spooled=True)
        assert delivery.url == f"{server.url}/pre"
    first, second = server.asked
    assert server.connections == 1
    assert (first.method, first.target) == ("PUT", "/pre/api/v1/runs/a")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["authorization"] == "Bearer t0ken"
    assert "x-pushrelay-spooled" not in first.headers
    assert second.headers["x-pushrelay-spooled"] == "true"
    assert json.loads(second.body)["state"] == "finished"


def test_what_is_expected_is_left_out_once() -> None:
    def refusing(_: Asked) -> Canned:
        return problem(400, detail="no", field="expectation.every")

    with delivering(refusing) as (delivery, server):
        with pytest.raises(RelayRefused):
            delivery.deliver(Report("a", finish(expectation={"every": "1 h"})))
        assert len(server.asked) == 2
        with pytest.raises(RelayRefused):
            delivery.deliver(Report("b", finish()))
        assert len(server.asked) == 3


def test_what_was_refused_of_a_job_is_not_asked_again() -> None:
    misspelt = {"every": "1 h"}

    def refusing(asked: Asked) -> Canned:
        if json.loads(asked.body)["expectation"] == misspelt:
            return problem(400, detail="no", field="expectation.every")
        return data(TAKEN)

    with delivering(refusing) as (delivery, server):
        for report in (
            Report("a", start(expectation=misspelt)),
            Report("a", finish(expectation=misspelt)),
            Report("b", finish(expectation={"every": "1h"})),
        ):
            told = delivery.deliver(report)
            assert told == ["what is expected of the job was refused: no"][: len(told)]
            assert bool(told) is (report.run_id == "a")
    sent = [json.loads(asked.body)["expectation"] for asked in server.asked]
    assert sent == [misspelt, None, None, {"every": "1h"}]


def test_what_is_told_cannot_command_a_terminal() -> None:
    said = {**TAKEN, "warnings": ["a\x1b[2J"], "metrics_problems": ["b\x07"]}
    with delivering(lambda _: data(said)) as (delivery, _):
        told = delivery.deliver(Report("a", finish()))
    assert told == ["a?[2J", "metrics of the run were refused: b?"]


@pytest.mark.parametrize(
    "answer",
    [Canned(body=b"<html>Please log in</html>"), data(None), data([]), data({})],
)
def test_a_report_is_not_delivered_where_no_relay_answers(answer: Canned) -> None:
    with (
        delivering(lambda _: answer) as (delivery, _),
        pytest.raises(RelayUnavailable, match="answers what no relay does"),
    ):
        delivery.deliver(Report("a", finish()))


def test_a_relay_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(RelayUnavailable, match="Connection refused"):
        Delivery(f"http://127.0.0.1:{free_port()}").deliver(Report("a", start()))


def test_a_relay_that_keeps_silent_is_unavailable() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        closing(
            Delivery(f"http://127.0.0.1:{silent.getsockname()[1]}", answer_seconds=0.05)
        ) as delivery,
        pytest.raises(RelayUnavailable, match="does not answer in time"),
    ):
        delivery.deliver(Report("a", start()))


# exec.md: 16
@pytest.mark.parametrize(
    ("status", "is_for_good"),
    [
        (301, False),
        (400, True),
        (401, False),
        (403, False),
        (404, False),
        (405, False),
        (407, False),
        (409, True),
        (410, True),
        (413, True),
        (421, False),
    ],
)
def test_what_mending_the_url_or_the_token_may_end_is_not_final(
    status: int, is_for_good: bool
) -> None:
    with (
        delivering(lambda _: text(status, "no")) as (delivery, _),
        pytest.raises(RelayRefused) as refused,
    ):
        delivery.deliver(Report("a", finish()))
    assert is_final(refused.value) == is_for_good


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_no_refusal(status: int) -> None:
    with (
        delivering(lambda _: text(status, "no")) as (delivery, _),
        pytest.raises(RelayUnavailable),
    ):
        delivery.deliver(Report("a", finish()))


@pytest.mark.parametrize(
    ("url", "token"),
    [("ftp://relay", None), ("http://user:pw@relay", "t"), ("http://relay", "a b")],
)
def test_what_cannot_lead_to_a_relay_is_told_before_any_report(
    url: str, token: str | None
) -> None:
    with pytest.raises(InvalidURL):
        Delivery(url, token)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("delivery", ["pushrelay.model", "pushrelay.exposition"]),
        ("pushgateway", ["pushrelay.exposition.text_parser", "google"]),
        ("textfile", ["http.client", "google"]),
    ],
)
def test_importing_it_costs_little(module: str, others: list[str]) -> None:
    heavy = ["click", "flask", "re2", "sqlalchemy", "requests", "urllib.request"]
    program = (
        f"import sys, pushrelay.wrapper.{module}; "
        f"print([name for name in {heavy + others} if name in sys.modules])"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", program], cwd=REPOSITORY, text=True
    )
    assert told == "[]\n"
