"""Moving from a Pushgateway: a real one where the machine has it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from math import nan
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data, text
from command import call, run, run_on_terminal
from compat.exposition_page import Sample, read_page, value
from compat.metric_messages import (
    CONTENT_TYPE,
    COUNTER,
    GAUGE_HISTOGRAM,
    HEADERS,
    HISTOGRAM,
    SUMMARY,
    delimited,
    family,
    labels,
    read_delimited,
)
from relay_process import HTTPClient, PushgatewayProcess, RelayProcess, StartRelay

GROUPS = 1000
GO_NAN = pack("<Q", 0x7FF8000000000001)

EVERY_TYPE = """\
# HELP a_gauge With "quotes", a \\\\ and a \\n line end.
# TYPE a_gauge gauge
a_gauge{l="ü \\"x\\" \\\\ \\n",n="%(n)d"} %(n)d.25
a_gauge{l="nan"} NaN
a_gauge{l="inf"} -Inf
a_gauge{l="minus zero"} -0
a_gauge{l="large"} 1.7976931348623157e+308
a_gauge{l="small"} 5e-324
# TYPE rows_total counter
rows_total{table="b"} 9007199254740993
rows_total{table="a"} %(n)d
# TYPE took_seconds summary
took_seconds{quantile="0.5"} 0.1
took_seconds{quantile="0.99"} NaN
took_seconds_sum 17.5
took_seconds_count %(n)d
# TYPE size_bytes histogram
size_bytes_bucket{le="0.001"} 1
size_bytes_bucket{le="1e+06"} 2
size_bytes_bucket{le="+Inf"} %(n)d
size_bytes_sum 3.5
size_bytes_count %(n)d
no_type %(n)d
"""

NATIVE = {
    "sample_count": 6,
    "sample_sum": 2.5,
    "schema": 3,
    "zero_threshold": 0.001,
    "zero_count": 1,
    "positive_span": [{"offset": 0, "length": 2}],
    "positive_delta": [3, -1],
    "created_timestamp": {"seconds": 12},
}
BOTH = {
    **NATIVE,
    "bucket": [
        {"upper_bound": 1, "cumulative_count": 4},
        {"upper_bound": float("inf"), "cumulative_count": 6},
    ],
}
BUCKETLESS = {"sample_count": 3, "sample_sum": 1.5}
EXEMPLAR = {"label": labels(trace_id="t"), "value": 1}
MESSAGES = delimited(
    family(
        "native_seconds",
        HISTOGRAM,
        {"label": labels(l="v"), "histogram": NATIVE},
        {"label": labels(l="w"), "histogram": BOTH},
        {"histogram": BUCKETLESS},
        help="Native.",
    ),
    family("exact_total", COUNTER, {"counter": {"value": 3, "exemplar": EXEMPLAR}}),
    family("without_metrics", SUMMARY),
)


def push_everything(server: HTTPClient, groups: int) -> None:
    """Push `groups` groups with all there is, as pushes and failed pushes come."""
    for n in range(groups):
        path = f"/metrics/job/job-{n}"
        match n % 8:
            case 0:
                server.put(f"{path}/instance/host:{n}", EVERY_TYPE % {"n": n})
                server.post(f"{path}/instance/host:{n}", f"later {n}\n")
            case 1:
                server.put(path, MESSAGES, HEADERS)
            case 2:
                server.put(f"{path}/path@base64/L3Zhcg/empty@base64/=", "in_path 1\n")
            case 3:
                server.put(path)
            case 4:
                server.put(path, "never 1 1\n")
            case 5:
                server.put(path, f"succeeded {n}\n")
                server.put(path, "failed_then 1 1\n")
            case 6:
                server.put(f"{path}/city/Z%C3%BCrich%20%F0%9F%9A%80", "far_away 1\n")
            case 7:
                server.put(path, EVERY_TYPE % {"n": n})


@pytest.fixture(scope="module")
def pushgateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HTTPClient]:
    """A Pushgateway with many groups."""
    if PushgatewayProcess.executable is None:
        pytest.skip("prometheus-pushgateway is not installed")
    directory = tmp_path_factory.mktemp("pushgateway")
    # With its check on, filling it takes time by the square of the groups.
    with PushgatewayProcess(directory, "--push.disable-consistency-check") as server:
        push_everything(server, GROUPS)
        # In that mode it answers before it has done anything.
        deadline = time.monotonic() + 20
        while len(server.groups()) < GROUPS:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield server


def import_from(
    source: HTTPClient | CannedServer, relay: HTTPClient | CannedServer, *options: str
) -> dict[str, Any]:
    """Import and return what was told as JSON, with the exit code."""
    addresses = [f"http://{source.address}", f"--url=http://{relay.address}"]
    done = run("import", "pushgateway", *addresses, "--output=json", *options)
    assert done.stderr == ""
    return {**json.loads(done.stdout), "code": done.returncode}


def shown(server: HTTPClient) -> set[Sample]:
    """Return the samples of groups, push times included."""
    return {s for s in read_page(server.page()) if "instance" in dict(s.labels)}


def messages(server: HTTPClient) -> dict[str, set[bytes]]:
    """Return the metrics of groups by family, each with the family's type and help."""
    found = {}
    for message in read_delimited(
        server.get("/metrics", {"Accept": CONTENT_TYPE}).body
    ):
        metrics = set()
        for metric in message.metric:
            pairs = sorted((pair.name, pair.value) for pair in metric.label)
            if "instance" in dict(pairs):
                del metric.label[:]
                for name, text_ in pairs:
                    metric.label.add(name=name, value=text_)
                head = f"{message.type} {message.help}".encode()
                # Go and Python spell a NaN differently.
                encoded = metric.SerializeToString(deterministic=True)
                metrics.add(head + encoded.replace(GO_NAN, pack("<d", nan)))
        if metrics:
            found[message.name] = metrics
    return found


def times(server: HTTPClient) -> dict[str, dict[str, str]]:
    """Return the time of each pushed family of each group."""
    return {
        json.dumps(group["labels"], sort_keys=True): {
            name: told["time_stamp"]
            for name, told in group.items()
            if isinstance(told, dict) and "metrics" in told and "push_" not in name
        }
        for group in server.groups()
    }


@pytest.mark.system
def test_all_groups_are_copied_as_they_are(
    pushgateway: HTTPClient, relay: HTTPClient
) -> None:
    would_be = import_from(pushgateway, relay, "--dry-run")
    assert (would_be["imported"], would_be["dry_run"]) == (GROUPS, True)
    assert relay.groups() == []

    outcome = import_from(pushgateway, relay)
    assert (outcome["imported"], outcome["left_out"]) == (GROUPS, [])
    assert outcome["code"] == 0
    expected = shown(pushgateway)
    assert len(expected) > 7 * GROUPS
    assert shown(relay) == expected
    assert messages(relay) == messages(pushgateway)
    assert times(relay) == times(pushgateway)

    page = relay.page()
    again = import_from(pushgateway, relay)
    assert (again["imported"], len(again["skipped"])) == (0, GROUPS)
    assert again["code"] == 0
    assert shown(relay) == expected
    assert value(relay.page(), "pushrelay_store_revision") == value(
        page, "pushrelay_store_revision"
    )


@pytest.mark.system
def test_what_was_pushed_to_the_relay_meanwhile_is_kept(
    pushgateway: HTTPClient, relay: HTTPClient
) -> None:
    relay.put("/metrics/job/job-5", "succeeded 7\n")
    outcome = import_from(pushgateway, relay)
    assert outcome["imported"] == GROUPS - 1
    assert [skipped["labels"] for skipped in outcome["skipped"]] == [{"job": "job-5"}]
    assert value(relay.page(), "succeeded", job="job-5") == 7


@pytest.mark.system
def test_what_cannot_be_copied_is_told(
    tmp_path: Path, relay: HTTPClient, start_relay: StartRelay
) -> None:
    if PushgatewayProcess.executable is None:
        pytest.skip("prometheus-pushgateway is not installed")
    relay.put("/metrics/job/here", "# TYPE x counter\nx 1\n")
    with PushgatewayProcess(tmp_path) as server:
        server.put("/metrics/job/a", "pushrelay_own 1\nother 2\n")
        server.put("/metrics/job/b", "# TYPE x gauge\nx 1\n")
        server.put("/metrics/job/c", "labels 1\n")
        server.put("/metrics/job/d", "last_push_successful 1\n")
        arguments = ["import", "pushgateway", f"http://{server.address}"]
        done = run(*arguments, "--url", f"http://{relay.address}")
    assert done.returncode == 1
    assert done.stderr == ""
    head, *lines = done.stdout.splitlines()
    assert head == "2 groups imported"
    assert lines[0] == "could not be copied: 3"
    told = "\n".join(lines[1:])
    assert '{job="a"}, family pushrelay_own: names that begin with' in told
    assert '  {job="b"}: pushed metrics are invalid or inconsistent' in told
    assert "a group, family labels: it hides the group's own labels" in told
    assert value(relay.page(), "other", job="a") == 2
    assert value(relay.page(), "last_push_successful", job="d") == 1


def test_a_relay_can_be_copied_as_a_pushgateway_can(
    start_relay: StartRelay, relay: HTTPClient
) -> None:
    source: RelayProcess = start_relay(
        "--web.route-prefix=/pre", "--web.telemetry-path=/all", ready="/pre/-/ready"
    )
    gauge_histogram = family("gh", GAUGE_HISTOGRAM, {"histogram": BOTH})
    source.put("/pre/metrics/job/a", MESSAGES + delimited(gauge_histogram), HEADERS)
    source.put("/pre/metrics/job/b", EVERY_TYPE % {"n": 7})
    done = run(
        *("import", "pushgateway", f"http://{source.address}/pre"),
        *("--url", f"http://{relay.address}"),
    )
    assert done.stdout == "2 groups imported\n", done.stderr
    page = source.get("/pre/all").text
    expected = {s for s in read_page(page) if "instance" in dict(s.labels)}
    assert shown(relay) == expected
    answer = source.get("/pre/all", {"Accept": CONTENT_TYPE})
    [native] = [f for f in read_delimited(answer.body) if f.name == "native_seconds"]
    answer = relay.get("/metrics", {"Accept": CONTENT_TYPE})
    assert native in read_delimited(answer.body)


class Source:
    """Answers as a Pushgateway with these groups; `page` is what it scrapes."""

    def __init__(self, groups: Any, page: Canned | None = None) -> None:
        self.groups = groups
        self.page = page or text(500, "An error has occurred\n")

    def __call__(self, asked: Asked) -> Canned:
        match asked.path:
            case "/api/v1/metrics":
                return data(self.groups)
            case "/api/v1/status":
                return data({"flags": {"web.telemetry-path": "/metrics"}})
            case "/metrics":
                return self.page
        return text(404, "404 page not found\n")


def told_family(type_: str, *metrics: dict[str, Any]) -> dict[str, Any]:
    time_stamp = "2026-11-25T20:08:58.5+01:00"
    return {"type": type_, "time_stamp": time_stamp, "metrics": list(metrics)}


def told_group(job: str = "a", **families: Any) -> dict[str, Any]:
    push_time = {"labels": {"job": job}, "value": "1.795637338e+09"}
    return {
        "labels": {"job": job},
        "last_push_successful": True,
        "push_time_seconds": told_family("GAUGE", push_time),
        **families,
    }


def test_without_a_page_the_json_serves_as_far_as_it_goes(relay: HTTPClient) -> None:
    identity = {"job": "a", "instance": ""}
    plain = {"labels": {**identity, "l": "v"}, "value": "2.5"}
    summary = {
        "labels": identity,
        "count": "2",
        "sum": "4.5",
        "quantiles": {"0.5": "3"},
    }
    buckets = {"1": "3", "+Inf": "5"}
    histogram = {"labels": identity, "count": "5", "sum": "9", "buckets": buckets}
    floats = {**histogram, "buckets": {"1": "2.5", "+Inf": "5"}}
    large = {**histogram, "count": "1e+06", "buckets": {"1": "1e+06"}}
    native = {**histogram, "buckets": [[0, "0.5", "1", "1"]]}
    group = told_group(
        gauge=told_family("GAUGE", plain),
        counter=told_family("COUNTER", {**plain, "value": "NaN"}),
        untyped=told_family("UNTYPED", {**plain, "value": "+Inf"}),
        summary=told_family("SUMMARY", summary),
        histogram=told_family("HISTOGRAM", histogram),
        floats=told_family("HISTOGRAM", floats),
        large=told_family("HISTOGRAM", large),
        native=told_family("HISTOGRAM", native),
        lossy=told_family("HISTOGRAM", {**histogram, "buckets": {}}),
        strange=told_family("INFO", plain),
    )
    with CannedServer(Source([group])) as source:
        outcome = import_from(source, relay)
    assert (outcome["code"], outcome["imported"]) == (1, 1)
    left_out = {each["family"]: each["reason"] for each in outcome["left_out"]}
    assert set(left_out) == {"native", "lossy", "strange"}
    for name in ("native", "lossy"):
        assert "JSON does not tell native histograms" in left_out[name]
        assert "/metrics answered 500" in left_out[name]
    assert "INFO" in left_out["strange"]
    imported = relay.group(job="a")
    assert imported is not None
    for name in ("gauge", "counter", "untyped", "summary", "histogram", "floats"):
        assert imported[name]["metrics"] == group[name]["metrics"], name
        assert imported[name]["time_stamp"] == "2026-11-25T19:08:58.5Z"
    assert value(relay.page(), "large_count", job="a") == 1e6
    assert value(relay.page(), "push_time_seconds", job="a") == 1795637338


@pytest.mark.parametrize(
    "page",
    [
        Canned(200, b"x 1\n", {"Content-Type": "text/plain"}),
        Canned(200, b"\x05abc", {"Content-Type": CONTENT_TYPE}),
        Canned(200, b"\x02\xff\xff", {"Content-Type": CONTENT_TYPE}),
    ],
)
def test_a_page_that_is_none_is_as_good_as_none(
    relay: HTTPClient, page: Canned
) -> None:
    group = told_group(x=told_family("GAUGE", {"labels": {"job": "a"}, "value": "2"}))
    with CannedServer(Source([group], page)) as source:
        assert import_from(source, relay)["code"] == 0
    assert value(relay.page(), "x", job="a") == 2


@pytest.mark.parametrize("value_", ["soon", "NaN", "+Inf", "-5", "1e300", None])
def test_a_push_time_that_is_none_does_not_stop_the_import(
    relay: HTTPClient, value_: str | None
) -> None:
    group = told_group(
        push_failure_time_seconds=told_family("UNTYPED", {"value": value_}),
        push_time_seconds=told_family("UNTYPED", {"value": value_}),
        x=told_family("GAUGE", {"labels": {"job": "a"}, "value": "2"}),
    )
    with CannedServer(Source([group])) as source:
        assert import_from(source, relay)["imported"] == 1
    page = relay.page()
    assert value(page, "push_time_seconds", job="a") == 1795633738.5
    assert value(page, "push_failure_time_seconds", job="a") == 0


@pytest.mark.parametrize(
    "groups",
    [
        7,
        [7],
        [{}],
        [{"labels": {"job": "a"}, "x": {}}],
        [told_group(x={**told_family("GAUGE"), "time_stamp": "today"})],
        [told_group(x=told_family("GAUGE", {"labels": {}, "value": "many"}))],
    ],
)
def test_a_source_that_is_no_pushgateway_is_told(groups: Any) -> None:
    with CannedServer(Source(groups)) as source, CannedServer(taken) as relay:
        done = call("import", "pushgateway", source.url, "--url", relay.url)
    assert done.returncode == 1
    assert "/api/v1/metrics answers what no Pushgateway answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert relay.asked == []


def taken(asked: Asked) -> Canned:
    """Answer as a relay that takes everything."""
    return data({"imported": asked.body.count(b"\n"), "skipped": [], "refused": []})


def takes_two_at_once(asked: Asked) -> Canned:
    """Answer as a relay for which three groups are too large."""
    groups = asked.body.count(b"\n")
    if b"huge" in asked.body or groups > 2:
        return text(413, "the body is too large\n")
    return taken(asked)


def test_many_groups_go_in_a_request() -> None:
    groups = [told_group(f"job-{n}") for n in range(601)]
    with CannedServer(Source(groups)) as source, CannedServer(taken) as relay:
        outcome = import_from(source, relay)
    assert outcome["imported"] == 601
    assert len(relay.asked) == 3
    assert relay.connections == 1


def test_what_is_too_large_goes_in_parts() -> None:
    groups = [told_group(job) for job in ("a", "b", "huge", "c", "d")]
    source, relay = Source(groups), takes_two_at_once
    with CannedServer(source) as source_, CannedServer(relay) as relay_:
        outcome = import_from(source_, relay_)
    assert (outcome["code"], outcome["imported"]) == (1, 4)
    [left_out] = outcome["left_out"]
    assert left_out["labels"] == {"job": "huge"}
    assert "the body is too large" in left_out["reason"]


def test_progress_is_shown_on_a_terminal() -> None:
    with CannedServer(Source([told_group()])) as source, CannedServer(taken) as relay:
        code, shown = run_on_terminal(
            "", "import", "pushgateway", source.url, "--url", relay.url
        )
    assert code == 0
    assert "100%" in shown
    assert shown.endswith("1 group imported\n")


def test_a_relay_that_takes_no_imports_is_told(start_relay: StartRelay) -> None:
    relay: RelayProcess = start_relay()
    with CannedServer(Source([told_group()])) as source:
        address = f"http://{relay.address}"
        done = run("import", "pushgateway", source.url, "--url", address)
    assert done.returncode == 1
    assert "start it with --web.enable-admin-api" in done.stderr


def test_a_source_that_is_not_there_is_another_exit_code(relay: HTTPClient) -> None:
    address = f"http://{relay.address}"
    done = run("import", "pushgateway", "http://127.0.0.1:1", "--url", address)
    assert done.returncode == 3
    assert "no answer from http://127.0.0.1:1/api/v1/metrics" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["ftp://x"], ["http://x", "--output=csv"]])
def test_a_wrong_call_is_a_usage_error(arguments: list[str]) -> None:
    assert call("import", "pushgateway", *arguments).returncode == 2


def test_nothing_that_is_left_out_has_the_terminal_do_anything() -> None:
    bad = "\x1b]0;x\a"
    shown = {"type": bad, "metrics": [], "time_stamp": "2026-11-22T22:20:41Z"}
    source = {"labels": {"job": bad, bad: bad}, bad: shown}
    refused = [{"labels": {"job": bad, bad: bad}, "reason": bad}]
    outcome = {"imported": 0, "skipped": [], "refused": refused}

    def answer(asked: Asked) -> Canned:
        if asked.path.endswith("/import"):
            return data(outcome)
        return data([source]) if asked.path == "/api/v1/metrics" else text(404, "no")

    with CannedServer(answer) as server:
        done = run("import", "pushgateway", server.url, "--url", server.url)
    assert done.returncode == 1
    assert "could not be copied: 2" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
