"""Pushes that would make the exposition illegal are refused, and only those."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from exposition_page import lines_of, pushed
from relay_process import HTTPClient

PREFIX = "pushed metrics are invalid or inconsistent with existing metrics: "
SUMMARY = "# TYPE a summary\na_sum 1\na_count 1\n"
HISTOGRAM = "# TYPE a histogram\na_sum 1\na_count 1\n"
GAUGE = "# TYPE a gauge\na 1\n"
COUNTER = "# TYPE a counter\na 1\n"
OWN_GAUGE = "# TYPE process_open_fds gauge\nprocess_open_fds 1\n"
OWN_AS_COUNTER = "# TYPE process_open_fds counter\nprocess_open_fds 1\n"


class Case(NamedTuple):
    """Pushes (path and body) that are accepted, and one that is judged."""

    before: list[tuple[str, str]]
    path: str
    body: str


REFUSED = {
    # types
    "another type in another group": Case([("job/x", GAUGE)], "job/y", COUNTER),
    "untyped against typed": Case([("job/x", GAUGE)], "job/y", "a 1\n"),
    "typed against untyped": Case([("job/x", "a 1\n")], "job/y", GAUGE),
    "another type with other labels": Case(
        [("job/x", GAUGE)], "job/y", '# TYPE a counter\na{l="v"} 1\n'
    ),
    "a new type while another group has the old one": Case(
        [("job/x", GAUGE), ("job/y", GAUGE)], "job/x", COUNTER
    ),
    # duplicates
    "a series twice": Case([], "job/x", "a 1\na 2\n"),
    "a series twice with labels in another order": Case(
        [], "job/x", 'a{l="1",m="2"} 1\na{m="2",l="1"} 2\n'
    ),
    "series that the grouping key makes equal": Case(
        [], "job/x/l/v", 'a{l="1"} 1\na{l="2"} 2\n'
    ),
    "series that the job makes equal": Case(
        [], "job/x", 'a{job="1"} 1\na{job="2"} 2\n'
    ),
    "an empty and an implied instance": Case([], "job/x", 'a{instance=""} 1\na 2\n'),
    "a series of another group by its instance": Case(
        [("job/x/instance/i", "a 1\n")], "job/x", 'a{instance="i"} 2\n'
    ),
    "a series of another group by a label": Case(
        [("job/x", 'a{l="v"} 1\n')], "job/x/l/v", "a 2\n"
    ),
    "a series of another group by two labels": Case(
        [("job/x/l/v", 'a{m="w"} 1\n')], "job/x/m/w", 'a{l="v"} 2\n'
    ),
    # labels
    "a reserved label name": Case([], "job/x", 'a{__l="v"} 1\n'),
    "a quantile of the URL on a summary": Case([], "job/x/quantile/1", SUMMARY),
    # suffixes
    **{
        f"{suffix} next to a {kind}": Case([("job/x", body)], "job/y", f"a{suffix} 1\n")
        for kind, body, suffixes in [
            ("summary", SUMMARY, ["_sum", "_count"]),
            ("histogram", HISTOGRAM, ["_sum", "_count", "_bucket"]),
        ]
        for suffix in suffixes
    },
    **{
        f"a {kind} next to {suffix}": Case([("job/y", f"a{suffix} 1\n")], "job/x", body)
        for kind, body, suffixes in [
            ("summary", SUMMARY, ["_sum", "_count"]),
            ("histogram", HISTOGRAM, ["_sum", "_count", "_bucket"]),
        ]
        for suffix in suffixes
    },
    "a suffix in the same push": Case([], "job/x", "a_count 1\n" + SUMMARY),
    # the server's own metrics
    "another type than a metric of the server": Case([], "job/x", OWN_AS_COUNTER),
    "an untyped metric of the server": Case([], "job/x", "process_open_fds 1\n"),
    "a name of the relay": Case([], "job/x", "pushrelay_jobs 1\n"),
    "a name of the relay with its type": Case(
        [], "job/x", "# TYPE pushrelay_groups gauge\npushrelay_groups 1\n"
    ),
}

ACCEPTED = {
    "the same type in another group": Case([("job/x", GAUGE)], "job/y", GAUGE),
    "a new type in one's own group": Case([("job/x", GAUGE)], "job/x", COUNTER),
    "a new type after the old one was deleted by its owner": Case(
        [("job/x", GAUGE), ("job/y", GAUGE), ("job/x", "b 1\n"), ("job/y", "b 1\n")],
        "job/x",
        COUNTER,
    ),
    "another help": Case(
        [("job/x", "# HELP a One.\n" + GAUGE)], "job/y", "# HELP a Two.\n" + GAUGE
    ),
    "an empty label against none": Case([], "job/x", 'a{l=""} 1\na 2\n'),
    "an empty label against none in another group": Case(
        [("job/x", 'a{l="v"} 1\n')], "job/x/l/", "a 2\n"
    ),
    "equal labels in different groups": Case(
        [("job/x/l/v", "a 1\n")], "job/x/m/v", "a 1\n"
    ),
    "a group with more labels": Case([("job/x", "a 1\n")], "job/x/l/v", "a 1\n"),
    "one's own series again": Case(
        [("job/x", 'a{l="v"} 1\n')], "job/x", 'a{l="v"} 2\n'
    ),
    "a series that its group gave up": Case(
        [("job/x", 'a{l="v"} 1\n'), ("job/x", "b 1\n")], "job/x/l/v", "a 2\n"
    ),
    "a bucket next to a summary": Case([("job/x", SUMMARY)], "job/y", "a_bucket 1\n"),
    "a count next to a gauge": Case([("job/x", GAUGE)], "job/y", "a_count 1\n"),
    "a total next to a counter": Case([("job/x", COUNTER)], "job/y", "a_total 1\n"),
    "a histogram in place of its suffixes": Case(
        [("job/x", "a_count 1\n")], "job/x", HISTOGRAM
    ),
    "a metric of the server with its type": Case([], "job/x", OWN_GAUGE),
    "a metric of the server with another help": Case(
        [], "job/x", "# HELP process_open_fds Mine.\n" + OWN_GAUGE
    ),
    "a name that begins like the relay's": Case([], "job/x", "pushrelayed 1\n"),
    "le and quantile on gauges": Case(
        [], "job/x/le/1/quantile/2", "# TYPE a gauge\na 1\n"
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_refuses(relay: HTTPClient, method: str, case: Case) -> None:
    _prepare(relay, case)
    before = lines_of(pushed(relay.page()), without=())
    response = relay.request(method, f"/metrics/{case.path}", case.body)
    assert response.status == 400
    assert response.text.startswith(PREFIX)
    assert response.text.endswith("\n")
    assert len(response.text) > len(PREFIX) + 1
    page = relay.page()
    assert lines_of(pushed(page), without=()) == before
    assert relay.put("/metrics/job/unrelated", "unrelated 1\n").status == 200


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(relay: HTTPClient, case: Case) -> None:
    _prepare(relay, case)
    response = relay.put(f"/metrics/{case.path}", case.body)
    assert (response.status, response.text) == (200, "")
    assert relay.get("/metrics").status == 200


def test_a_refusal_is_booked_in_its_group(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", GAUGE)
    relay.put("/metrics/job/y", "b 1\n")
    assert relay.post("/metrics/job/y", COUNTER).status == 400
    for job, successful in [("x", True), ("y", False)]:
        group = relay.group(job=job)
        assert group is not None
        assert group["last_push_successful"] is successful


def test_a_refused_push_makes_its_group(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", GAUGE)
    assert relay.put("/metrics/job/y", COUNTER).status == 400
    assert {"job": "y"} in relay.grouping_keys()


@pytest.mark.parametrize(
    ("first", "second"),
    [("job/x", "job/x/instance/"), ("job/x/instance/", "job/x")],
)
@pytest.mark.parametrize("body", ["a 1\n", "b 1 1\n", ""])
def test_an_empty_instance_cannot_poison_the_bookkeeping(
    relay: HTTPClient, first: str, second: str, body: str
) -> None:
    relay.put(f"/metrics/{first}", "c 1\n")
    assert relay.put(f"/metrics/{second}", body).status == 400
    assert len(relay.groups()) == 1
    assert relay.put("/metrics/job/other", "c 1\n").status == 200
    assert lines_of(pushed(relay.page())) == ["c 1 untyped"] * 2


def test_help_of_one_group_stands_for_all(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "# HELP a One.\n" + GAUGE)
    relay.put("/metrics/job/y", "# HELP a Two.\n" + GAUGE)
    lines = relay.page().splitlines()
    helps = [line for line in lines if line.startswith("# HELP a ")]
    assert helps in (["# HELP a One."], ["# HELP a Two."])


def test_a_type_is_free_again_when_its_groups_are_gone(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", GAUGE)
    relay.delete("/metrics/job/x")
    assert relay.put("/metrics/job/y", COUNTER).status == 200


def test_the_reason_names_the_metric_and_both_types(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "# TYPE my_gauge gauge\nmy_gauge 1\n")
    text = relay.put("/metrics/job/y", "# TYPE my_gauge counter\nmy_gauge 1\n").text
    assert "my_gauge" in text
    assert "gauge" in text.lower().replace("my_gauge", "")
    assert "counter" in text.lower()


def test_several_reasons_are_listed(relay: HTTPClient) -> None:
    text = relay.put("/metrics/job/x", "a 1\na 2\nb 1\nb 2\n").text
    first, *reasons = text.removeprefix(PREFIX).rstrip("\n").split("\n")
    assert first == "2 error(s) occurred:"
    assert len(reasons) == 2
    assert all(reason.startswith("* ") for reason in reasons)


def _prepare(relay: HTTPClient, case: Case) -> None:
    for path, body in case.before:
        assert relay.put(f"/metrics/{path}", body).status == 200
