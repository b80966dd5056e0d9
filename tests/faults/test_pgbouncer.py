"""Relays that reach their database by a pgbouncer, which lends them another connection
for each transaction."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pgbouncer_process import PgbouncerProcess
from postgres_cluster import PostgresCluster
from postgres_server import run_sql
from replica_process import Replica, running
from run_http import finish, run_of, runs_of, send
from sqlalchemy import URL
from waiting import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.system]

POOL_SIZE = 3
"""Less than the relays have connections."""

CLIENTS = 8
ADDITIONS = 12
GROUPS = 700
"""More than come with one fetch of a cursor."""


@pytest.fixture(scope="module")
def bouncer(cluster: PostgresCluster) -> Iterator[PgbouncerProcess]:
    bouncer = PgbouncerProcess(cluster.primary, POOL_SIZE)
    try:
        bouncer.start()
        yield bouncer
    finally:
        bouncer.remove()


@pytest.fixture(scope="module")
def relays(
    bouncer: PgbouncerProcess,
    store_url: URL,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Replica]]:
    """Two relays, which began with many groups."""
    url = store_url.set(port=bouncer.port).render_as_string(hide_password=False)
    one, other = (Replica(tmp_path_factory.mktemp("relay"), url) for _ in range(2))
    lines = [f'many{{job="many",instance="{n:04}"}} {n}\n' for n in range(GROUPS)]
    one.start()
    many = one.put("/api/v1/groups?by=job,instance", "".join(lines))
    assert many.status == 200, many.text
    one.kill()
    with running(one, other):
        yield [one, other]


def work(relays: list[Replica], number: int) -> None:
    """Do all that clients do, now with this relay and then with that."""
    for step in range(ADDITIONS):
        one, other = relays[step % 2], relays[1 - step % 2]
        body = "# TYPE sum_total counter\nsum_total 1\n"
        key = {"Idempotency-Key": f"{number}-{step}"}
        # Tried again by way of the other, as by a client that had no answer.
        for relay in (one, other):
            added = relay.post("/metrics/job/sum?mode=add", body, key)
            assert added.status == 200, added.text
        put = one.put(f"/metrics/job/own/instance/{number}", f"own {step}\n")
        assert put.status == 200, put.text
        own = f'own{{instance="{number}",job="own"}} {step}\n'
        wait_until(lambda own=own, other=other: own in other.page(), "that it shows")
        id_ = f"00000000-0000-4000-8000-{number:06}{step:06}"
        assert send(one, finish(f"job{number}", ago=100 - step), id_).status == 200
        assert run_of(other, id_)["job"] == f"job{number}"
        assert len(runs_of(other, f"?job=job{number}")["runs"]) == step + 1
        wait_until(lambda other=other: is_ready(other), "being ready")


def is_ready(relay: Replica) -> bool:
    return relay.get("/-/ready").status == 200


def test_relays_behind_a_pgbouncer_do_all_that_others_do(
    cluster: PostgresCluster, relays: list[Replica], store_url: URL
) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        done = [clients.submit(work, relays, number) for number in range(CLIENTS)]
    for each in done:
        each.result()
    wait_until(lambda: relays[0].page() == relays[1].page(), "that both agree")
    page = relays[0].page()
    assert f'sum_total{{instance="",job="sum"}} {CLIENTS * ADDITIONS}\n' in page
    assert page.count("\nmany{") == GROUPS
    query = (
        "SELECT count(*) <= {} FROM pg_stat_activity WHERE application_name = "
        "'pushrelay' AND datname = '{}'"
    )
    sized = query.format(POOL_SIZE, store_url.database)
    assert run_sql(cluster.primary.url(), sized) == [(True,)]
    for relay in relays:
        assert relay.delete("/metrics/job/sum").status == 202
        assert "level=error" not in relay.log


def test_a_pgbouncer_that_restarts_is_used_again(
    bouncer: PgbouncerProcess, relays: list[Replica]
) -> None:
    bouncer.stop()
    for relay in relays:
        assert relay.put("/metrics/job/away", "x 1\n").status == 503
        assert relay.page().count("\nmany{") == GROUPS
    bouncer.start()
    for relay in relays:
        assert relay.put("/metrics/job/back", "x 1\n").status == 200
        wait_until(lambda relay=relay: is_ready(relay), "being ready")
