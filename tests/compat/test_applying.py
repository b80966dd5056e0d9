"""What a push, a delete and a wipe do to the groups, and what is booked of it."""

from __future__ import annotations

import time

import pytest
from exposition_page import block, lines_of, pushed, read_page, value
from relay_process import HTTPClient

TIMESTAMP_REFUSAL = (
    "pushed metrics are invalid or inconsistent with existing metrics: "
    "pushed metrics must not have timestamps\n"
)
BOOKED = ["push_failure_time_seconds", "push_time_seconds"]


def test_put_replaces_all_families_of_the_group(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", 'a{l="1"} 1\nb 2\n')
    relay.put("/metrics/job/x", 'a{l="2"} 3\nc 4\n')
    assert _lines(relay) == ['a{l="2"} 3 untyped', "c 4 untyped"]


def test_post_replaces_the_families_that_it_names(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", 'a{l="1"} 1\nb 2\n')
    relay.post("/metrics/job/x", 'a{l="2"} 3\nc 4\n')
    assert _lines(relay) == ['a{l="2"} 3 untyped', "b 2 untyped", "c 4 untyped"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_push_makes_a_missing_group(relay: HTTPClient, method: str) -> None:
    assert relay.request(method, "/metrics/job/x/l/v", "a 1\n").status == 200
    assert relay.grouping_keys() == [{"job": "x", "l": "v"}]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_push_leaves_other_groups_alone(relay: HTTPClient, method: str) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    relay.put("/metrics/job/x/l/v", "a 2\n")
    relay.request(method, "/metrics/job/x", "a 3\n")
    assert _lines(relay) == ["a 3 untyped", 'a{l="v"} 2 untyped']


@pytest.mark.parametrize("body", ["", "\n", "# a comment\n", "# TYPE a gauge\n"])
def test_an_empty_put_keeps_the_group_with_its_bookkeeping(
    relay: HTTPClient, body: str
) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    assert relay.put("/metrics/job/x", body).status == 200
    assert _lines(relay) == []
    assert _booked(relay) == BOOKED


def test_an_empty_post_refreshes_the_push_time_only(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    before = value(relay.page(), "push_time_seconds")
    assert relay.post("/metrics/job/x", "").status == 200
    assert _lines(relay) == ["a 1 untyped"]
    assert value(relay.page(), "push_time_seconds") > before


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_empty_push_makes_a_missing_group(relay: HTTPClient, method: str) -> None:
    assert relay.request(method, "/metrics/job/x", "").status == 200
    assert _booked(relay) == BOOKED


# labels ---------------------------------------------------------------------------

LABELS = {
    "an instance is implied": (
        "job/x",
        "a 1\n",
        {"instance": "", "job": "x"},
    ),
    "an instance of the body is kept": (
        "job/x",
        'a{instance="i"} 1\n',
        {"instance": "i", "job": "x"},
    ),
    "an instance of the URL wins": (
        "job/x/instance/u",
        'a{instance="i"} 1\n',
        {"instance": "u", "job": "x"},
    ),
    "an empty instance of the URL wins": (
        "job/x/instance/",
        'a{instance="i"} 1\n',
        {"instance": "", "job": "x"},
    ),
    "the job of the URL wins": (
        "job/x",
        'a{job="y"} 1\n',
        {"instance": "", "job": "x"},
    ),
    "any label of the URL wins": (
        "job/x/l/u",
        'a{l="b",m="c"} 1\n',
        {"instance": "", "job": "x", "l": "u", "m": "c"},
    ),
    "an empty label stays": (
        "job/x/l/",
        'a{m=""} 1\n',
        {"instance": "", "job": "x", "l": "", "m": ""},
    ),
}


@pytest.mark.parametrize(("path", "body", "labels"), LABELS.values(), ids=LABELS)
def test_grouping_labels_are_put_in(
    relay: HTTPClient, path: str, body: str, labels: dict[str, str]
) -> None:
    assert relay.put(f"/metrics/{path}", body).status == 200
    [sample] = pushed(relay.page())
    assert sample.labels == tuple(sorted(labels.items()))


# timestamps -----------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", ["1395066363000", "0", "-1"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_timestamps_are_refused(relay: HTTPClient, method: str, timestamp: str) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    body = f"b 2\na 3 {timestamp}\n"
    response = relay.request(method, "/metrics/job/x", body)
    assert (response.status, response.text) == (400, TIMESTAMP_REFUSAL)
    assert _lines(relay) == ["a 1 untyped"]
    assert value(relay.page(), "push_failure_time_seconds") > 0


# deleting -------------------------------------------------------------------------


def test_delete_takes_exactly_one_group(relay: HTTPClient) -> None:
    paths = ["job/x", "job/x/l/1", "job/x/l/1/m/2", "job/x/m/2", "job/y/l/1"]
    for path in paths:
        relay.put(f"/metrics/{path}", "a 1\n")
    assert relay.delete("/metrics/job/x/l/1").status == 202
    keys = relay.grouping_keys()
    assert {"job": "x", "l": "1"} not in keys
    assert len(keys) == len(paths) - 1


def test_delete_takes_the_bookkeeping_too(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    relay.delete("/metrics/job/x")
    assert _booked(relay) == []
    assert relay.groups() == []


def test_delete_of_an_unknown_group_does_nothing(relay: HTTPClient) -> None:
    assert relay.delete("/metrics/job/x").status == 202
    assert relay.groups() == []
    assert _booked(relay) == []


def test_a_deleted_group_can_be_pushed_again(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    relay.delete("/metrics/job/x")
    relay.post("/metrics/job/x", "b 1\n")
    assert _lines(relay) == ["b 1 untyped"]


def test_a_delete_is_applied_before_a_later_push(relay: HTTPClient) -> None:
    for number in range(20):
        relay.put("/metrics/job/x", f'a{{l="{number}"}} 1\n')
        relay.delete("/metrics/job/x")
    relay.post("/metrics/job/x", "b 1\n")
    assert _lines(relay) == ["b 1 untyped"]


# bookkeeping ----------------------------------------------------------------------


def test_the_bookkeeping_has_help_and_type(relay: HTTPClient) -> None:
    before = time.time()
    relay.put("/metrics/job/x/l/v", "a 1\n")
    page = relay.page()
    labels = '{instance="",job="x",l="v"}'
    lines = block(page, "push_time_seconds").splitlines()
    assert lines[:2] == [
        "# HELP push_time_seconds "
        "Last Unix time when changing this group in the Pushgateway succeeded.",
        "# TYPE push_time_seconds gauge",
    ]
    assert lines[2].startswith(f"push_time_seconds{labels} ")
    assert before <= value(page, "push_time_seconds") <= time.time()
    assert block(page, "push_failure_time_seconds").splitlines() == [
        "# HELP push_failure_time_seconds "
        "Last Unix time when changing this group in the Pushgateway failed.",
        "# TYPE push_failure_time_seconds gauge",
        f"push_failure_time_seconds{labels} 0",
    ]


def test_the_bookkeeping_takes_the_instance_of_the_url(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x/instance/i", "a 1\n")
    assert value(relay.page(), "push_time_seconds", job="x", instance="i") > 0


def test_a_success_leaves_the_failure_time(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1 1\n")
    failed_at = value(relay.page(), "push_failure_time_seconds")
    for body in ("a 1\n", ""):
        relay.put("/metrics/job/x", body)
        assert value(relay.page(), "push_failure_time_seconds") == failed_at > 0


def test_a_failure_leaves_the_push_time(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    pushed_at = value(relay.page(), "push_time_seconds")
    before = time.time()
    relay.put("/metrics/job/x", "a 1 1\n")
    page = relay.page()
    assert value(page, "push_time_seconds") == pushed_at
    assert before <= value(page, "push_failure_time_seconds") <= time.time()


def test_a_refused_push_makes_a_missing_group(relay: HTTPClient) -> None:
    before = time.time()
    assert relay.post("/metrics/job/x/l/v", "a 1 1\n").status == 400
    page = relay.page()
    assert value(page, "push_time_seconds", job="x", l="v") == 0
    assert value(page, "push_failure_time_seconds", job="x", l="v") >= before
    group = relay.group(job="x", l="v")
    assert group is not None
    assert group["last_push_successful"] is False
    assert group.keys() == {"labels", "last_push_successful", *BOOKED}


def test_a_success_after_a_failure_is_a_success(relay: HTTPClient) -> None:
    for body, successful in [("a 1\n", True), ("a 1 1\n", False), ("", True)]:
        relay.post("/metrics/job/x", body)
        group = relay.group(job="x")
        assert group is not None
        assert group["last_push_successful"] is successful


@pytest.mark.parametrize(
    "line",
    [
        "push_time_seconds 1",
        "push_failure_time_seconds 1",
        "# TYPE push_time_seconds counter\npush_time_seconds 1",
        "# TYPE push_time_seconds gauge\npush_time_seconds 1",
        '# HELP push_time_seconds Mine.\npush_time_seconds{l="v"} 1',
    ],
)
def test_pushed_bookkeeping_is_overridden(relay: HTTPClient, line: str) -> None:
    response = relay.put("/metrics/job/x", f"{line}\na 1\n")
    assert (response.status, response.text) == (200, "")
    page = relay.page()
    assert _lines(relay) == ["a 1 untyped"]
    assert value(page, "push_time_seconds", job="x") > 1
    assert value(page, "push_failure_time_seconds", job="x") == 0


def test_a_wipe_takes_everything(relay: HTTPClient) -> None:
    for number in range(20):
        relay.put(f"/metrics/job/x/number/{number}", "a 1\n")
    relay.put("/metrics/job/failed", "a 1 1\n")
    relay.wipe()
    assert _lines(relay) == []
    assert _booked(relay) == []
    assert relay.put("/metrics/job/x", "# TYPE a gauge\na 1\n").status == 200


def _lines(relay: HTTPClient) -> list[str]:
    return lines_of(pushed(relay.page()))


def _booked(relay: HTTPClient) -> list[str]:
    samples = read_page(relay.page())
    return [sample.name for sample in samples if sample.name in BOOKED]
