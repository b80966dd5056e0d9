"""Mode accumulate over HTTP, and whoever asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import call
from exposition_page import value
from metric_messages import COUNTER, HEADERS, delimited, family, labels
from relay_process import HTTPClient, RelayProcess, StartRelay

JOB = "/metrics/job/a"
ACCUMULATE = f"{JOB}?mode=accumulate"


def body_of(total: float, name: str = "c_total") -> str:
    return f"# TYPE {name} counter\n{name} {total}\n"


def total_of(relay: HTTPClient, job: str = "a") -> float:
    return value(relay.page(), "c_total", job=job)


@pytest.mark.parametrize("asked", ["parameter", "header"])
def test_a_process_pushes_its_running_totals(relay: HTTPClient, asked: str) -> None:
    for pushed, total in [(2, 2), (5, 5), (5, 5), (1, 6), (4.5, 9.5)]:
        if asked == "parameter":
            answer = relay.post(ACCUMULATE, body_of(pushed))
        else:
            header = {"X-Pushrelay-Mode": "accumulate"}
            answer = relay.post(JOB, body_of(pushed), header)
        assert answer.status == 200, answer.text
        assert total_of(relay) == total


def test_a_put_does_not_accumulate(relay: HTTPClient) -> None:
    answer = relay.put(ACCUMULATE, body_of(1))
    assert answer.status == 400
    assert 'for the mode "accumulate" use POST' in answer.text


def test_a_later_created_timestamp_is_a_restart(relay: HTTPClient) -> None:
    for began, pushed, total in [(1, 5, 5), (1, 6, 6), (2, 6, 12), (2, 8, 14)]:
        counter = {"value": pushed, "created_timestamp": {"seconds": began}}
        message = family("c_total", COUNTER, {"label": labels(), "counter": counter})
        assert relay.post(ACCUMULATE, delimited(message), HEADERS).status == 200
        assert total_of(relay) == total


def test_a_rule_accumulates_for_clients_that_know_nothing_of_it(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[jobs]]\nmatch = \'job="a"\'\nmode = "accumulate"\n')
    relay = start_relay(f"--config.file={rules}")
    for pushed in (5, 6, 2):
        relay.post(JOB, body_of(pushed))
        relay.post("/metrics/job/b", body_of(pushed))
    assert (total_of(relay), total_of(relay, "b")) == (8, 2)


def test_the_command_line_accumulates(relay: HTTPClient) -> None:
    options = ["--job=a", "--mode=accumulate", f"--url=http://{relay.address}"]
    for pushed in (5, 6, 2):
        done = call("push", *options, stdin=body_of(pushed).encode())
        assert done.returncode == 0, done.stderr
    assert total_of(relay) == 8


def test_a_body_for_many_groups_accumulates(relay: HTTPClient) -> None:
    for pushed in (5, 6, 2):
        body = "# TYPE c_total counter\n" + "".join(
            f'c_total{{job="{job}"}} {pushed}\n' for job in "ab"
        )
        answer = relay.post("/api/v1/groups?by=job&mode=accumulate", body)
        assert answer.status == 200, answer.text
    assert (total_of(relay), total_of(relay, "b")) == (8, 8)


def test_what_cannot_be_accumulated_is_refused_and_booked(relay: HTTPClient) -> None:
    relay.post(ACCUMULATE, body_of(5))
    for body, problem in [
        ("c_total 5\n", "is pushed as UNTYPED"),
        ("x_total 5\n", '"x_total" has no type'),
        (body_of(1, "x_timestamp_seconds"), "is a point in time by its name"),
        (body_of(float("nan")), "the pushed value NaN is not finite"),
    ]:
        answer = relay.post(ACCUMULATE, body)
        assert answer.status == 400
        assert problem in answer.text
    group = relay.group(job="a")
    assert group is not None
    assert group["last_push_successful"] is False
    assert total_of(relay) == 5


@pytest.mark.system
def test_running_totals_survive_kill_9(tmp_path: Path) -> None:
    """And so a push that is tried again until it is answered counts once."""
    total = 0
    with RelayProcess(tmp_path, "--log.level=error") as relay:
        for process in range(3):
            for pushed in range(1, 6):
                for _ in range(2):
                    assert relay.post(ACCUMULATE, body_of(pushed)).status == 200
                if pushed == process + 2:
                    relay.kill()
                    relay.start()
                assert total_of(relay) == total + pushed
            total += 5
