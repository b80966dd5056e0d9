from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data, problem, text
from compat.exposition_page import read_page, value
from relay_process import HTTPClient, PushgatewayProcess
from run_http import data_of, finish, new_id, start
from stock_pushgateway import GET, NO_PAGE, POST, PUT, Stock, methods

from pushrelay.errors import RelayRefused, RelayUnavailable
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.gauges import LAST_FINISH, LAST_START, LAST_SUCCESS
from pushrelay.wrapper.reports import Report


@pytest.fixture(scope="module")
def pushgateway(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PushgatewayProcess]:
    if PushgatewayProcess.executable is None:
        pytest.skip("there is no prometheus-pushgateway")
    with PushgatewayProcess(tmp_path_factory.mktemp("pushgateway")) as started:
        yield started


@pytest.fixture
def stock() -> Stock:
    return Stock()


@pytest.fixture
def server(stock: Stock) -> Iterator[CannedServer]:
    with CannedServer(stock) as started:
        yield started


Deliver = Callable[..., list[str]]


@pytest.fixture
def deliver(tmp_path: Path) -> Iterator[Deliver]:
    """Deliver a document in what stands for a process of its own."""
    with ExitStack() as open_:

        def in_a_process(
            url: str, document: dict[str, Any], id_: str | None = None, **how: Any
        ) -> list[str]:
            delivery = Delivery(url, directories=[str(tmp_path / "state")])
            open_.enter_context(closing(delivery))
            return delivery.deliver(Report(id_ or new_id(), document), **how)

        yield in_a_process


def shown(gateway: HTTPClient, **labels: str) -> dict[str, float]:
    """Return the gauges of runs with these labels, without what their names share."""
    return {
        sample.name.removeprefix("pushrelay_job_"): float(sample.value)
        for sample in read_page(gateway.page())
        if sample.name.startswith("pushrelay_job_")
        and labels.items() <= dict(sample.labels).items()
    }


@pytest.mark.system
def test_a_stock_pushgateway_has_gauges_of_the_last_run(
    pushgateway: HTTPClient, deliver: Deliver
) -> None:
    url = f"http://{pushgateway.address}"
    labels = {"instance": "", "path": "/a b", "quote": '"\\\n'}
    begun = start("stock", labels=labels)
    assert deliver(url, begun) == []
    assert shown(pushgateway, job="stock", **labels) == {
        "last_start_timestamp_seconds": begun["started_at"]
    }
    ended = finish("stock", labels=labels, usage={"max_rss_bytes": 4096}, exit_code=0)
    assert deliver(url, {**ended, "metrics": "# TYPE rows gauge\nrows 5\n"}) == []
    assert shown(pushgateway, job="stock", **labels) == {
        "last_start_timestamp_seconds": ended["started_at"],
        "last_finish_timestamp_seconds": ended["finished_at"],
        "last_success_timestamp_seconds": ended["finished_at"],
        "last_duration_seconds": pytest.approx(4),
        "last_exit_code": 0,
        "last_max_rss_bytes": 4096,
    }
    assert value(pushgateway.page(), "rows", job="stock", path="/a b") == 5


@pytest.mark.system
def test_a_failure_keeps_the_last_success_and_no_other_value(
    pushgateway: HTTPClient, deliver: Deliver
) -> None:
    url = f"http://{pushgateway.address}"
    good = finish("failing", ago=60, exit_code=0, usage={"max_rss_bytes": 4096})
    deliver(url, good)
    bad = finish("failing", "signal", signal=9)
    deliver(url, bad)
    found = shown(pushgateway, job="failing")
    assert found["last_success_timestamp_seconds"] == good["finished_at"]
    assert found["last_finish_timestamp_seconds"] == bad["finished_at"]
    assert math.isnan(found["last_exit_code"])
    assert math.isnan(found["last_max_rss_bytes"])


@pytest.mark.system
@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ("rows 5\nrows five\n", 'line 2: expected float as value, got "five"'),
        ("rows 5\nrow", "line 2: unexpected end of input stream"),
        ("rows 5 1795378841000\n", "pushed metrics must not have timestamps"),
        ("# TYPE push_time_seconds gauge\nx{a=\n", "line 2: "),
    ],
)
def test_metrics_that_are_refused_do_not_cost_the_gauges(
    pushgateway: HTTPClient, deliver: Deliver, metrics: str, told: str
) -> None:
    document = finish("refused", exit_code=0, metrics=metrics)
    [sentence] = deliver(f"http://{pushgateway.address}", document)
    assert sentence.startswith("metrics of the run were refused: ")
    assert told in sentence
    found = shown(pushgateway, job="refused")
    assert found["last_finish_timestamp_seconds"] == document["finished_at"]
    assert 'rows{instance="",job="refused"' not in pushgateway.page()


def test_a_run_costs_a_request_each_once_the_server_is_known(
    server: CannedServer, deliver: Deliver
) -> None:
    deliver(server.url, start())
    assert methods(server) == [PUT, GET, POST]
    deliver(server.url, finish())
    assert methods(server) == [POST]


def test_one_process_does_not_ask_twice_where_nothing_can_be_kept(
    server: CannedServer,
) -> None:
    with closing(Delivery(server.url)) as delivery:
        delivery.deliver(Report("a", start()))
        delivery.deliver(Report("a", finish()))
    assert methods(server) == [PUT, GET, POST, POST]
    assert server.connections == 1


def test_the_push_names_the_group_and_the_metrics_come_first(
    server: CannedServer, deliver: Deliver
) -> None:
    labels = {"dir": "a/b", "instance": ""}
    metrics = "rows 5\n"
    deliver(server.url, finish("night ly", labels=labels, metrics=metrics))
    asked = server.asked[-1]
    path = "/metrics/job/night%20ly/dir@base64/YS9i/instance@base64/="
    assert (asked.method, asked.target) == (POST, path)
    assert asked.body.startswith(b"rows 5\n# HELP pushrelay_job_last_start")


def test_skipped_runs_push_nothing(server: CannedServer, deliver: Deliver) -> None:
    deliver(server.url, finish())
    methods(server)
    assert deliver(server.url, finish("nightly", "skipped")) == []
    assert methods(server) == []


def test_late_reports_do_not_overwrite_newer_ones(
    server: CannedServer, deliver: Deliver
) -> None:
    deliver(server.url, finish(ago=60))
    methods(server)
    late = finish(ago=600, exit_code=3, metrics="rows 5\n")
    assert deliver(server.url, late, spooled=True) == []
    assert methods(server) == []
    deliver(server.url, finish("other", ago=600), spooled=True)
    assert methods(server) == [POST]


def test_a_run_that_was_overtaken_does_not_turn_its_start_back(
    server: CannedServer, deliver: Deliver
) -> None:
    deliver(server.url, finish(ago=60, seconds=10))
    deliver(server.url, finish(ago=70, seconds=65, metrics="rows 5\n"))
    body = server.asked[-1].body.decode()
    assert LAST_START not in body
    assert LAST_FINISH in body
    assert LAST_SUCCESS in body
    assert "rows 5" in body


@pytest.mark.parametrize("status", [404, 405])
def test_what_is_no_pushgateway_any_more_is_asked_anew(
    stock: Stock, server: CannedServer, deliver: Deliver, status: int
) -> None:
    deliver(server.url, start())
    stock.push = stock.status = text(status, "no")
    stock.runs = data({"id": "a", "warnings": [], "metrics_problems": []})
    methods(server)
    deliver(server.url, start())
    assert methods(server) == [POST, PUT]
    deliver(server.url, finish())
    assert methods(server) == [PUT]


def test_a_relay_takes_over_from_a_pushgateway_without_a_trace_in_its_groups(
    relay: HTTPClient, tmp_path: Path
) -> None:
    url, state = f"http://{relay.address}", [str(tmp_path / "state")]
    with closing(Delivery(url, directories=state)) as delivery:
        delivery._peer.note_pushgateway()
        report = Report(new_id(), finish("moved", metrics="rows 5\n"))
        assert delivery.deliver(report) == []
    run = data_of(relay.get(f"/api/v1/runs/{report.run_id}"))
    assert run["outcome"] == "success"
    group = relay.group(job="moved")
    assert group is not None
    assert group["last_push_successful"]
    with closing(Delivery(url, directories=state)) as later:
        assert not later._peer.is_pushgateway()


@pytest.mark.parametrize(
    "status",
    [
        NO_PAGE,
        text(503, "not now"),
        data(None),
        data([]),
        data({}),
        data({"build_information": {}, "flags": {"database.url": "sqlite:///x"}}),
        Canned(body=b"<html>"),
    ],
)
def test_what_is_neither_refuses_as_it_refuses_runs(
    stock: Stock, server: CannedServer, deliver: Deliver, status: Canned
) -> None:
    stock.status = status
    with pytest.raises(RelayRefused, match=r"answered 404") as refused:
        deliver(server.url, start())
    assert refused.value.status == 404
    assert POST not in methods(server)


@pytest.mark.parametrize("runs", [problem(409, detail="another"), text(503, "later")])
def test_only_where_there_are_no_runs_a_pushgateway_is_looked_for(
    stock: Stock, server: CannedServer, deliver: Deliver, runs: Canned
) -> None:
    stock.runs = runs
    with pytest.raises((RelayRefused, RelayUnavailable)):
        deliver(server.url, start())
    assert methods(server) == [PUT]


def test_a_pushgateway_that_is_never_pushed_to_is_not_remembered(
    stock: Stock, server: CannedServer, deliver: Deliver
) -> None:
    stock.push = text(503, "later")
    for _ in range(2):
        with pytest.raises(RelayUnavailable):
            deliver(server.url, start())
        assert methods(server) == [PUT, GET, POST]


def test_gauges_that_are_refused_are_a_refusal(
    stock: Stock, server: CannedServer, deliver: Deliver
) -> None:
    deliver(server.url, start())
    stock.push = text(400, "is not a GAUGE")
    with pytest.raises(RelayRefused, match="is not a GAUGE"):
        deliver(server.url, finish(metrics="rows 5\n"))


def test_metrics_that_are_too_large_for_a_proxy_are_left_out(
    stock: Stock, deliver: Deliver
) -> None:
    def small_only(asked: Asked) -> Canned:
        is_large = asked.method == POST and b"rows" in asked.body
        return text(413, "too large\x1b[2J") if is_large else stock(asked)

    with CannedServer(small_only) as server:
        told = deliver(server.url, finish(metrics="rows 5\n"))
        assert LAST_FINISH in server.asked[-1].body.decode()
    assert told == ["metrics of the run were refused: too large?[2J"]


def test_text_that_was_no_utf_8_is_pushed_all_the_same(
    server: CannedServer, deliver: Deliver
) -> None:
    metrics = b'rows{a="\xff"} 5\n'.decode(errors="surrogateescape")
    document = finish("a\udcff", labels={"b": "\udcff"}, metrics=metrics)
    deliver(server.url, json.loads(json.dumps(document)))
    asked = server.asked[-1]
    assert asked.target == "/metrics/job/a%EF%BF%BD/b/%EF%BF%BD"
    assert asked.body.startswith('rows{a="\ufffd"} 5\n'.encode())
