"""What a push may ask for beyond the Pushgateway's protocol."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from relay_process import HTTPClient, RelayProcess, StartRelay

JOB = "/metrics/job/asked"
COUNTER = "# TYPE c_total counter\nc_total 2\n"


def samples(relay: HTTPClient, name: str = "") -> dict[str, str]:
    """Return the samples of the groups on the page, by series."""
    found = re.findall(r"^(\S*job=.*) (\S+)$", relay.page(), re.M)
    return {
        series: value
        for series, value in found
        if series.startswith(name or ("c_total", "x", "y"))
    }


# --- modes ---


@pytest.mark.parametrize("asked", ["parameter", "header", "both"])
def test_a_mode_is_asked_for_by_parameter_or_header(
    relay: HTTPClient, asked: str
) -> None:
    query = "" if asked == "header" else "?mode=add"
    headers = {} if asked == "parameter" else {"X-Pushrelay-Mode": "add"}
    for _ in range(3):
        assert relay.post(JOB + query, COUNTER, headers).status == 200
    assert samples(relay) == {'c_total{instance="",job="asked"}': "6"}


def test_merging_keeps_other_label_sets(relay: HTTPClient) -> None:
    relay.put(JOB, 'x{l="1"} 1\nx{l="2"} 1\ny 1\n')
    assert relay.post(f"{JOB}?mode=merge", 'x{l="2"} 2\n').status == 200
    assert list(samples(relay).values()) == ["1", "2", "1"]
    assert relay.post(f"{JOB}?mode=update", 'x{l="2"} 3\n').status == 200
    assert list(samples(relay).values()) == ["3", "1"]


@pytest.mark.parametrize(
    ("method", "query", "headers", "problem"),
    [
        ("PUT", "?mode=add", {}, 'PUT always replaces the group; for the mode "add"'),
        ("PUT", "", {"X-Pushrelay-Mode": "merge"}, "PUT always replaces"),
        ("POST", "?mode=replace", {}, 'unknown mode "replace"; POST takes update'),
        ("DELETE", "?dry_run=1", {}, "the parameter dry_run is not for this path"),
        ("DELETE", "?match=x", {}, "the parameter match is not for this path"),
        ("DELETE", "?older_than=1d", {}, "see DELETE /api/v1/groups"),
        ("DELETE", "?match[]=x&dry_run=1", {}, 'unknown parameter "dry_run"'),
        ("POST", "?mode=ADD", {}, 'unknown mode "ADD"'),
        ("POST", "?mode=add&mode=add", {}, "mode is given more than once"),
        ("POST", "?mode=add", {"X-Pushrelay-Mode": "merge"}, "give one of them"),
        ("PUT", "?stale_after=soon", {}, "the parameter stale_after, or the header"),
        ("PUT", "?stale_after=0s", {}, "must be longer than 0"),
        ("PUT", "?stale_after=1h", {"X-Pushrelay-Stale-After": "2h"}, "give one of"),
        ("PUT", "", {"Idempotency-Key": ""}, "has 1 to 255 bytes"),
        ("PUT", "", {"Idempotency-Key": "k" * 256}, "this one 256"),
        ("PUT", "?dry_run=maybe", {}, 'dry_run is "maybe"'),
    ],
)
def test_what_cannot_be_asked_for_is_refused_without_a_trace(
    relay: HTTPClient, method: str, query: str, headers: dict[str, str], problem: str
) -> None:
    response = relay.request(method, JOB + query, COUNTER, headers)
    assert response.status == 400
    assert problem in response.text
    assert relay.groups() == []


def test_a_refused_addition_changes_nothing_and_is_booked(relay: HTTPClient) -> None:
    relay.put(JOB, COUNTER)
    body = "# TYPE new_total counter\nnew_total 1\n# TYPE c_total gauge\nc_total 1\n"
    response = relay.post(f"{JOB}?mode=add", body)
    assert response.status == 400
    assert "GAUGE" in response.text
    assert "COUNTER" in response.text
    assert samples(relay) == {'c_total{instance="",job="asked"}': "2"}
    group = relay.group(job="asked")
    assert group is not None
    assert group["last_push_successful"] is False


# --- policies ---


def test_a_policy_comes_with_a_push_and_goes_with_the_next(relay: HTTPClient) -> None:
    relay.put(f"{JOB}?stale_after=1h", "x 1\n")
    [stale_at] = samples(relay, "pushrelay_group_stale_timestamp").values()
    [pushed_at] = samples(relay, "push_time_seconds").values()
    assert float(stale_at) - float(pushed_at) == pytest.approx(3600)
    assert list(samples(relay, "pushrelay_group_stale{").values()) == ["0"]
    relay.post(JOB, "x 1\n", {"X-Pushrelay-Stale-After": "2h"})
    [later] = samples(relay, "pushrelay_group_stale_timestamp").values()
    assert float(later) > float(stale_at)
    relay.post(JOB, "y 1\n")
    assert samples(relay, "pushrelay_group_stale") == {}


def test_a_refused_push_leaves_the_policy(relay: HTTPClient) -> None:
    relay.put(f"{JOB}?stale_after=1h", "x 1\n")
    before = samples(relay, "pushrelay_group_stale")
    assert relay.put(f"{JOB}?stale_after=5h", "x 1 1\n").status == 400
    assert samples(relay, "pushrelay_group_stale") == before


def test_who_asks_for_nothing_sees_nothing_new(relay: HTTPClient) -> None:
    relay.put(JOB, "x 1\n")
    series = [line for line in relay.page().splitlines() if '"",job="asked"' in line]
    assert [line.partition("{")[0] for line in series] == [
        "push_failure_time_seconds",
        "push_time_seconds",
        "x",
    ]


def test_what_goes_stale_is_withheld_and_its_absence_can_be_seen(
    relay: HTTPClient,
) -> None:
    body = "x 1\n# TYPE y_timestamp_seconds gauge\ny_timestamp_seconds 5\n"
    assert relay.put(f"{JOB}?stale_after=1ms", body).status == 200
    time.sleep(0.01)
    assert samples(relay) == {'y_timestamp_seconds{instance="",job="asked"}': "5"}
    assert list(samples(relay, "pushrelay_group_stale{").values()) == ["1"]
    # Another group must not take its series or its type all the same.
    assert relay.put("/metrics/job/other", "# TYPE x gauge\nx 1\n").status == 400
    relay.put(JOB, "x 2\n")
    assert samples(relay) == {'x{instance="",job="asked"}': "2"}


def test_what_a_mode_refuses_is_told_with_its_place(relay: HTTPClient) -> None:
    held = '# TYPE c_total counter\nc_total{l="1"} 1\n# TYPE g gauge\ng 1\n'
    held += '# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'
    relay.put(JOB, held)
    body = '# TYPE c_total counter\nc_total{l="1"} -1\n# TYPE g counter\ng 1\n'
    body += '# TYPE h histogram\nh_bucket{le="2"} 1\nh_sum 1\nh_count 1\n'
    response = relay.post(f"{JOB}?mode=add", body, {"Accept": "application/json"})
    problems = json.loads(response.body)["problems"]
    told = [{**problem, "detail": ""} for problem in problems]
    of_all = {"reason": "mode", "detail": "", "group": '{job="asked"}'}
    labels = '{instance="",job="asked"}'
    assert told == [
        {
            **of_all,
            "family": "c_total",
            "series": 'c_total{instance="",job="asked",l="1"}',
            "line": 2,
        },
        {
            **of_all,
            "family": "g",
            "line": 3,
            "type": "COUNTER",
            "other_type": "GAUGE",
        },
        {**of_all, "family": "h", "series": f"h{labels}", "line": 6},
    ]


# --- idempotency ---


def test_a_push_with_an_idempotency_key_counts_once(relay: HTTPClient) -> None:
    headers = {"Idempotency-Key": "run-1"}
    first = relay.post(f"{JOB}?mode=add", COUNTER, headers)
    assert (first.status, first.header("Idempotency-Replayed")) == (200, None)
    for _ in range(3):
        again = relay.post(f"{JOB}?mode=add", COUNTER, headers)
        assert (again.status, again.header("Idempotency-Replayed")) == (200, "true")
    assert list(samples(relay).values()) == ["2"]
    relay.post(f"{JOB}?mode=add", COUNTER, {"Idempotency-Key": "run-2"})
    assert list(samples(relay).values()) == ["4"]


def test_a_key_with_another_body_is_a_conflict(relay: HTTPClient) -> None:
    headers = {"Idempotency-Key": "conflict-1"}
    relay.post(f"{JOB}?mode=add", COUNTER, headers)
    response = relay.post(f"{JOB}?mode=add", COUNTER.replace("2", "3"), headers)
    assert response.status == 409
    assert 'another body was pushed to {job="asked"}' in response.text
    assert list(samples(relay).values()) == ["2"]
    group = relay.group(job="asked")
    assert group is not None
    assert group["last_push_successful"] is True


def test_keys_belong_to_their_group(relay: HTTPClient) -> None:
    headers = {"Idempotency-Key": "shared-1"}
    relay.post(f"{JOB}?mode=add", COUNTER, headers)
    assert relay.post("/metrics/job/two?mode=add", COUNTER, headers).status == 200
    assert list(samples(relay).values()) == ["2", "2"]


def test_refusals_are_not_remembered(relay: HTTPClient) -> None:
    headers = {"Idempotency-Key": "refused-1"}
    assert relay.post(JOB, "x 1 1\n", headers).status == 400
    assert relay.post(JOB, "x 1\n", headers).status == 200


def test_receipts_outlive_the_relay(start_relay: StartRelay) -> None:
    relay: RelayProcess = start_relay()
    headers = {"Idempotency-Key": "k"}
    relay.post(f"{JOB}?mode=add", COUNTER, headers)
    relay.kill()
    relay.start()
    again = relay.post(f"{JOB}?mode=add", COUNTER, headers)
    assert again.header("Idempotency-Replayed") == "true"
    assert list(samples(relay).values()) == ["2"]


# --- dry runs ---


def test_a_dry_run_says_what_would_be_and_changes_nothing(relay: HTTPClient) -> None:
    accepted = relay.put(f"{JOB}?dry_run=1", COUNTER)
    assert (accepted.status, accepted.header("X-Pushrelay-Dry-Run")) == (200, "true")
    for body in ("x 1 1\n", "x 1\nx 2\n", "x\n"):
        refused = relay.put(f"{JOB}?dry_run=1", body)
        assert refused.status == 400
        real = relay.put("/metrics/job/real", body)
        assert refused.text == real.text.replace("real", "asked")
    assert relay.group(job="asked") is None
    relay.put(JOB, COUNTER)
    before = relay.group(job="asked")
    relay.post(f"{JOB}?dry_run=1&mode=add", COUNTER)
    relay.put(f"{JOB}?dry_run=1", "x 1 1\n")
    assert relay.group(job="asked") == before


def test_a_dry_run_leaves_no_receipt(relay: HTTPClient) -> None:
    headers = {"Idempotency-Key": "dry-1"}
    relay.post(f"{JOB}?dry_run=1", "x 1\n", headers)
    assert relay.post(JOB, "x 2\n", headers).status == 200


# --- many groups in one body ---

MANY = (
    "# TYPE c_total counter\n"
    'c_total{job="a",instance="1"} 1\nc_total{job="a",instance="2"} 2\n'
    'c_total{job="b"} 3\nx{job="a",instance="1",l="v"} 4\n'
)
GROUPS = "/api/v1/groups"


def test_one_body_is_split_into_groups(relay: HTTPClient) -> None:
    relay.put("/metrics/job/b", "y 1\n")
    response = relay.put(f"{GROUPS}?by=job,instance", MANY)
    assert response.status == 200
    assert json.loads(response.body) == {"status": "success", "data": {"groups": 3}}
    assert relay.grouping_keys() == [
        {"job": "a", "instance": "1"},
        {"job": "a", "instance": "2"},
        {"job": "b"},
    ]
    assert samples(relay) == {
        'c_total{instance="1",job="a"}': "1",
        'c_total{instance="2",job="a"}': "2",
        'c_total{instance="",job="b"}': "3",
        'x{instance="1",job="a",l="v"}': "4",
    }


def test_modes_and_keys_hold_for_all_groups_of_a_body(relay: HTTPClient) -> None:
    body = 'c_total{job="a"} 1\nc_total{job="b"} 2\n'
    body = "# TYPE c_total counter\n" + body
    headers = {"Idempotency-Key": "many-1"}
    for replayed in (None, "true"):
        response = relay.post(f"{GROUPS}?by=job&mode=add", body, headers)
        assert response.status == 200
        assert response.header("Idempotency-Replayed") == replayed
    relay.post(f"{GROUPS}?by=job&mode=add", body)
    assert list(samples(relay).values()) == ["2", "4"]


def test_a_body_without_groups_is_no_replay(relay: HTTPClient) -> None:
    response = relay.put(f"{GROUPS}?by=job", "")
    assert (response.status, response.header("Idempotency-Replayed")) == (200, None)
    assert json.loads(response.body)["data"] == {"groups": 0}


def test_a_refusal_of_very_many_groups_is_short(relay: HTTPClient) -> None:
    relay.put("/metrics/job/holder", "# TYPE x counter\nx 1\n")
    body = "".join(f'x{{job="{number}"}} 1\n' for number in range(100))
    response = relay.put(
        f"{GROUPS}?by=job", body, {"Accept": "application/problem+json"}
    )
    assert response.status == 400
    problems = json.loads(response.body)["problems"]
    assert len(problems) == 21
    assert problems[-1]["detail"] == "further problems are not listed"
    assert len(relay.grouping_keys()) == 101


def test_all_groups_of_a_body_are_taken_or_none(relay: HTTPClient) -> None:
    relay.put("/metrics/job/holder", "# TYPE x counter\nx 1\n")
    relay.put("/metrics/job/a/instance/1", "y 5\n")
    before = samples(relay)
    response = relay.put(f"{GROUPS}?by=job,instance", MANY)
    assert response.status == 400
    assert 'group {job="holder"} holds the family as COUNTER' in response.text
    assert samples(relay) == before
    # Booked is the failure of the group at fault alone.
    assert relay.grouping_keys() == [
        {"job": "a", "instance": "1"},
        {"job": "holder"},
    ]
    at_fault = relay.group(job="a", instance="1")
    assert at_fault is not None
    assert at_fault["last_push_successful"] is False


def test_a_dry_run_of_many_changes_nothing(relay: HTTPClient) -> None:
    assert relay.put(f"{GROUPS}?by=job,instance&dry_run=1", MANY).status == 200
    assert relay.put(f"{GROUPS}?by=job&dry_run=1", 'x{job="a"} 1 1\n').status == 400
    assert relay.groups() == []


@pytest.mark.parametrize(
    ("query", "body", "problem"),
    [
        ("", MANY, "?by=job,instance"),
        ("?by=instance", MANY, "?by=job,instance"),
        ("?by=job", "x 1\n", "the series x{"),
        ("?by=job", "x\n", "text format parsing error in line 1"),
        ("?by=job&by=job", MANY, "by is given more than once"),
        ("?by=job&dryrun=1", MANY, 'unknown parameter "dryrun"'),
    ],
)
def test_a_body_that_cannot_be_split_leaves_no_trace(
    relay: HTTPClient, query: str, body: str, problem: str
) -> None:
    response = relay.put(GROUPS + query, body)
    assert response.status == 400
    assert problem in response.text
    assert relay.groups() == []


def test_groups_of_a_body_may_not_be_twins_of_others(relay: HTTPClient) -> None:
    relay.put("/metrics/job/b/instance@base64/=", "y 1\n")
    before = samples(relay)
    response = relay.put(f"{GROUPS}?by=job,instance", MANY)
    assert response.status == 400
    assert "cannot exist beside" in response.text
    assert samples(relay) == before
    assert len(relay.groups()) == 1


def test_a_body_has_a_most_of_groups(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.groups=2")
    response = relay.put(f"{GROUPS}?by=job,instance", MANY)
    assert response.status == 413
    assert "limit of 2 groups" in response.text
    assert relay.groups() == []


# --- job rules ---


def test_rules_say_what_post_means_and_what_a_push_may_hold(
    start_relay: StartRelay, tmp_path: object
) -> None:
    rules = f"{tmp_path}/rules.toml"
    with open(rules, "w") as file:
        file.write(
            '[[jobs]]\nmatch = \'{job=~"adding-.*"}\'\nmode = "add"\n'
            'stale_after = "1h"\n[jobs.limits]\nseries = 2\nbody_bytes = 100\n'
        )
    relay = start_relay(f"--config.file={rules}")
    for _ in range(2):
        assert relay.post("/metrics/job/adding-1", COUNTER).status == 200
        assert relay.post("/metrics/job/other", COUNTER).status == 200
    assert list(samples(relay).values()) == ["4", "2"]
    assert list(samples(relay, "pushrelay_group_stale{")) == [
        'pushrelay_group_stale{instance="",job="adding-1"}'
    ]
    assert relay.post("/metrics/job/adding-1?mode=update", COUNTER).status == 200
    assert list(samples(relay).values()) == ["2", "2"]
    for body in ("a 1\nb 1\nd 1\n", f"# {'x' * 100}\n"):
        for _ in range(3):  # a template must not know better
            assert relay.post("/metrics/job/adding-1", body).status == 413
            assert relay.post("/metrics/job/other", body).status == 200
    by = f"{GROUPS}?by=job"
    assert (
        relay.post(by, '# TYPE c_total counter\nc_total{job="adding-1"} 5\n').status
        == 200
    )
    assert list(samples(relay, "c_total").values()) == ["7", "2"]


@pytest.mark.parametrize(
    ("limit", "body", "told"),
    [
        ("series = 2", 'a{job="x"} 1\nb{job="x"} 1\nd{job="x"} 1\n', "3 series"),
        ("labels = 1", 'a{job="x",l="",m=""} 1\n', "there are 2 labels"),
        ("label_value_bytes = 2", 'a{job="x",l="xyz"} 1\n', 'label "l" is longer'),
    ],
)
def test_rules_limit_each_group_of_a_body(
    start_relay: StartRelay, tmp_path: Path, limit: str, body: str, told: str
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(f"[[jobs]]\nmatch = 'job=\"x\"'\n[jobs.limits]\n{limit}\n")
    relay = start_relay(f"--config.file={rules}")
    response = relay.put(f"{GROUPS}?by=job", f'a{{job="fits"}} 1\n{body}')
    assert response.status in (400, 413)
    assert told in response.text
    assert '{job="x"}' in response.text
    assert relay.groups() == []
    assert relay.put(f"{GROUPS}?by=job", body.replace('"x"', '"other"')).status == 200
    assert relay.put(f"{GROUPS}?by=job", 'a{job="x",l=""} 1\n').status == 200


def test_what_is_added_piles_up_to_the_limit_of_a_push(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.series=3")
    for mode in ("update", "merge", "add"):
        relay.put(JOB, "x 1\n")
        for number in range(4):
            body = f"y{number} 1\n" if mode == "update" else f'x{{l="{number}"}} 1\n'
            response = relay.post(f"{JOB}?mode={mode}", body)
            assert response.status == (200 if number < 2 else 413)
        assert "would have 4 series; the limit is 3" in response.text
        assert len(samples(relay)) == 3
        group = relay.group(job="asked")
        assert group is not None
        assert group["last_push_successful"] is True


@pytest.mark.parametrize("mode", ["update", "merge", "add"])
def test_a_group_does_not_grow_beyond_what_a_push_may_grow_to(
    start_relay: StartRelay, mode: str
) -> None:
    relay = start_relay("--limit.body-bytes=1000")
    long = "v" * 700
    statuses = []
    for number in range(8):
        name = f"y{number}" if mode == "update" else "x"
        body = f'{name}{{l="{number}",v="{long}"}} 1\n'
        response = relay.post(f"{JOB}?mode={mode}", body)
        statuses.append(response.status)
    assert statuses == [200] * 5 + [413] * 3
    assert "bytes; the limit is 4000: replace it with PUT" in response.text
    assert len(samples(relay)) == 5


# --- deleting series ---

SERIES = (
    'x{l="1"} 1\nx{l="2"} 2\ny{l="1"} 3\n# TYPE xs summary\n'
    'xs{l="1",quantile="0.5"} 4\nxs_sum{l="1"} 5\nxs_count{l="1"} 6\n'
)


@pytest.mark.parametrize(
    ("selectors", "left"),
    [
        ('x{l="1"}', ["2", "4", "5", "6", "3"]),
        ("x", ["4", "5", "6", "3"]),
        ('{l="1"}', ["2"]),
        ('{__name__=~"x.*",l!="2"}', ["2", "3"]),
        ("xs&match[]=y", ["1", "2"]),
        ('{job="asked",instance="",l="2"}', ["1", "4", "5", "6", "3"]),
        ("absent", ["1", "2", "4", "5", "6", "3"]),
        ("xs_sum", ["1", "2", "4", "5", "6", "3"]),
    ],
)
def test_series_of_a_group_can_be_deleted(
    relay: HTTPClient, selectors: str, left: list[str]
) -> None:
    relay.put(JOB, SERIES)
    relay.put("/metrics/job/other", SERIES)
    before = samples(relay, "push_time_seconds")
    encoded = selectors.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
    response = relay.delete(f"{JOB}?match[]={encoded}")
    assert (response.status, response.text) == (202, "")
    found = [v for s, v in samples(relay).items() if 'job="asked"' in s]
    assert sorted(found) == sorted(left)
    assert len(samples(relay)) == len(left) + 6
    assert samples(relay, "push_time_seconds") == before


def test_deleting_series_of_no_group_makes_none(relay: HTTPClient) -> None:
    assert relay.delete(f"{JOB}?match[]=x").status == 202
    assert relay.groups() == []


@pytest.mark.parametrize(
    "selector", ["%7B%7D", "x%7B", "", "%7Bl!=%221%22%7D", "l!=%221%22"]
)
def test_a_deletion_of_series_needs_a_selector_that_chooses(
    relay: HTTPClient, selector: str
) -> None:
    relay.put(JOB, SERIES)
    assert relay.delete(f"{JOB}?match[]={selector}").status == 400
    assert len(samples(relay)) == 6
