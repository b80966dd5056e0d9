"""What two relays of one database show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from databases import database_url
from metric_messages import HEADERS
from relay_process import RelayProcess, Response
from replica_process import Replica
from run_http import FORM, finish, send
from sqlalchemy import make_url

from pushrelay.telemetry import OWN_FAMILIES

pytestmark = [pytest.mark.postgres, pytest.mark.system]

OWN = {own.name for own in OWN_FAMILIES}
RULES = """
[[jobs]]
match = '{job="gone"}'
stale_after = "1s"
[[jobs]]
match = '{job="late"}'
every = "1s"
grace = "0s"
"""


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Replica, Replica]]:
    """Two relays of one database, to which all kinds of things were pushed."""
    rules = tmp_path_factory.mktemp("rules") / "rules.toml"
    rules.write_text(RULES)
    url = database_url(rules.parent)
    with ExitStack() as end:
        one, other = (
            end.enter_context(
                Replica(tmp_path_factory.mktemp("relay"), url, f"--config.file={rules}")
            )
            for _ in range(2)
        )
        fill(one, other)
        yield one, other


def fill(one: RelayProcess, other: RelayProcess) -> None:
    """Push to both in turn, and report runs."""
    answers: list[Response] = []
    for number in range(40):
        relay, word = ((one, "Even"), (other, "Odd"))[number % 2]
        body = f"# HELP rows {word}.\n# TYPE rows gauge\nrows {number}\n"
        answers.append(relay.put(f"/metrics/job/many/instance/{number % 30}", body))
        counted = "# TYPE done_total counter\ndone_total 1\n"
        answers.append(relay.post("/metrics/job/sum?mode=add", counted))
        answers.append(send(relay, finish("nightly", ago=100 - number)))
    answers += [one.put("/metrics/job/gone", "a 1\nlast_success_unixtime 2\n")]
    answers += [other.put("/metrics/job/gone/instance/x", "a 1\n")]
    answers += [other.post("/api/v1/ping", "job=late&status=success", FORM)]
    assert {answer.status for answer in answers} == {200}
    assert other.put("/metrics/job/many", "rows 1 1\n").status == 400
    assert one.delete("/metrics/job/many/instance/7").status == 202
    time.sleep(1.2)  # until what goes stale is stale, and what is late overdue


def test_both_show_the_same_bytes(replicas: tuple[RelayProcess, RelayProcess]) -> None:
    for accept in ("text/plain", HEADERS["Content-Type"]):
        # What is exposed changes with time, when another slot is missed.
        for _ in range(10):
            one, other, again = (
                relay.get("/metrics", {"Accept": accept}).body
                for relay in (*replicas, replicas[0])
            )
            if one == again:
                break
        assert one == other
        assert b"pushrelay_job_overdue" in one
        assert b"pushrelay_group_stale" in one


def test_what_they_show_of_the_store_is_all_they_show_there(
    replicas: tuple[RelayProcess, RelayProcess],
) -> None:
    for relay in replicas:
        page = relay.page()
        types = [line.split() for line in page.splitlines() if line[:7] == "# TYPE "]
        assert not OWN & {name for _, _, name, _ in types}
        assert 'done_total{instance="",job="sum"} 40\n' in page
        assert 'pushrelay_group_stale{instance="",job="gone"} 1\n' in page


def test_each_shows_its_own_metrics_beside(
    replicas: tuple[RelayProcess, RelayProcess],
) -> None:
    one, other = (relay.get("/-/metrics").text for relay in replicas)
    for page in (one, other):
        assert "\npushrelay_store_up 1\n" in page
        assert 'job="sum"' not in page
    assert "pushrelay_pushes_rejected_total" not in one
    assert "pushrelay_pushes_rejected_total" in other


def test_own_metrics_may_be_wanted_on_the_page_all_the_same(
    replicas: tuple[RelayProcess, RelayProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    url = replicas[0].url
    flag = "--web.own-metrics=on"
    with Replica(tmp_path_factory.mktemp("relay"), url, flag) as relay:
        page = relay.page()
    assert "\npushrelay_store_up 1\n" in page
    assert 'done_total{instance="",job="sum"} 40\n' in page


def test_the_password_of_the_database_is_not_shown(
    replicas: tuple[Replica, Replica],
) -> None:
    relay, _ = replicas
    url = make_url(relay.url)
    page = relay.get("/status").text
    assert url.password
    assert url.password not in page
    assert f"//{url.username}:***@" in page
