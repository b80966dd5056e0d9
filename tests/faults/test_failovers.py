"""Relays of a cluster whose primary is lost, and with it what no standby had."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from desks import Desk, x
from postgres_cluster import PostgresCluster
from postgres_use import opened
from replica_process import Replica, running
from sqlalchemy import URL
from waiting import wait_until
from worker_process import worker_of

from pushrelay.errors import StoreUnavailable
from pushrelay.store.reader import read_snapshot

pytestmark = [pytest.mark.postgres, pytest.mark.system]


@pytest.fixture(scope="module")
def replicas(
    cluster: PostgresCluster,
    store_url: URL,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Replica]]:
    """Three relays that know both servers: one finds the primary by itself, others are
    told to."""
    url = cluster.url(store_url.database or "")
    by_itself = url.difference_update_query(["target_session_attrs"])
    replicas = [
        Replica(
            tmp_path_factory.mktemp("relay"),
            each.render_as_string(hide_password=False),
            "--limit.write-seconds=2",
        )
        for each in (by_itself, url, url)
    ]
    with running(*replicas):
        yield replicas


def push(relay: Replica, job: str) -> int:
    return relay.put(f"/metrics/job/{job}", "x 1\n").status


def jobs(relay: Replica) -> set[str]:
    """Return the jobs whose groups a scrape shows."""
    lines = [line for line in relay.page().splitlines() if line.startswith("x{")]
    return {line.split('job="')[1].split('"')[0] for line in lines}


def store_up(relay: Replica) -> bool:
    """Whether the relay has reached its database at the last scrape."""
    return "\npushrelay_store_up 1\n" in relay.get("/-/metrics").text


def test_relays_show_what_the_new_primary_has_and_nothing_else(
    cluster: PostgresCluster, replicas: list[Replica]
) -> None:
    one, other, frozen = replicas
    assert push(one, "kept") == 200
    cluster.wait_for_replay()
    cluster.cut_replication()
    assert {push(relay, "lost") for relay in replicas} == {200}
    wait_until(lambda: [jobs(each) for each in replicas] == [{"kept", "lost"}] * 3)
    workers = [worker_of(relay) for relay in replicas]

    os.kill(workers[2], signal.SIGSTOP)
    cluster.stop_primary(signal.SIGQUIT)
    # The standby takes nothing yet, and what it shows is not asked for.
    for relay in (one, other):
        assert push(relay, "later") == 503
        assert jobs(relay) == {"kept", "lost"}
        assert not store_up(relay)
        assert relay.get("/-/ready").status == 503

    cluster.promote()
    wait_until(lambda: jobs(other) == {"kept"}, "that another one shows what is left")
    assert push(one, "new") == 200
    wait_until(lambda: other.get("/-/ready").status == 200, "being ready")
    # The store clock is where it was, but its nonce is another.
    for number in range(3):
        assert push(other, f"new{number}") == 200
    after = {"kept", "new", "new0", "new1", "new2"}
    os.kill(workers[2], signal.SIGCONT)
    wait_until(lambda: jobs(frozen) == after, "that one who was frozen sees it")
    wait_until(lambda: [jobs(relay) for relay in replicas] == [after] * 3)
    assert push(frozen, "last") == 200
    wait_until(lambda: [jobs(relay) for relay in replicas] == [{*after, "last"}] * 3)
    assert [worker_of(relay) for relay in replicas] == workers
    # Its group is the new one, not that which was lost.
    assert {push(relay, "lost") for relay in replicas} == {200}
    cluster.add_standby()


def test_a_push_that_the_standby_does_not_confirm_is_not_confirmed(
    cluster: PostgresCluster, replicas: list[Replica]
) -> None:
    relay = replicas[0]
    assert push(relay, "before") == 200
    cluster.make_synchronous()
    cluster.cut_replication()
    try:
        assert push(relay, "waits") == 503
        assert "waits" not in jobs(relay)
        assert push(relay, "too") == 503
    finally:
        cluster.resume_replication()
    try:
        wait_until(lambda: push(relay, "after") == 200, "a push")
        # It was on its way all the time.
        wait_until(lambda: jobs(relay) >= {"waits", "after"})
        wait_until(lambda: jobs(replicas[1]) == jobs(relay))
    finally:
        cluster.make_synchronous(False)


def test_a_standby_that_was_reached_is_left_for_the_primary(
    cluster: PostgresCluster, store_url: URL
) -> None:
    """Who is told to take any server may come upon a standby."""
    url = cluster.standby.url(store_url.database or "")
    database = opened(url.update_query_dict({"target_session_attrs": "any"}))
    desk = Desk(database)
    [answer] = desk.write(x("a"))
    assert isinstance(answer, StoreUnavailable)
    assert "recovery" in str(answer)
    cluster.fail_over()
    assert desk.write(x("a")) == [None]
    desk.writer.stop()
    database.close()
    cluster.add_standby()


def test_a_standby_is_not_read(cluster: PostgresCluster, store_url: URL) -> None:
    url = cluster.standby.url(store_url.database or "")
    database = opened(url)
    with pytest.raises(StoreUnavailable, match="hot standby"):
        read_snapshot(database, None)
    database.close()
