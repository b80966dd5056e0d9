"""The servers with which others test do what those rely on."""

from __future__ import annotations

import psycopg
import pytest
from pgbouncer_process import PgbouncerProcess
from postgres_cluster import PostgresCluster
from postgres_server import plain, run_sql

pytestmark = [pytest.mark.postgres, pytest.mark.system]


def numbers(cluster: PostgresCluster) -> list[int]:
    return [number for (number,) in run_sql(cluster.url(), "SELECT n FROM x")]


def test_a_promoted_standby_lacks_what_did_not_reach_it(
    cluster: PostgresCluster,
) -> None:
    cluster.start()
    run_sql(cluster.url(), "CREATE TABLE x (n int); INSERT INTO x VALUES (1)")
    cluster.wait_for_replay()
    query = "SELECT n FROM x"
    assert run_sql(cluster.standby.url(), query) == [(1,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run_sql(cluster.standby.url(), "INSERT INTO x VALUES (0)")
    cluster.cut_replication()
    run_sql(cluster.url(), "INSERT INTO x VALUES (2)")
    cluster.resume_replication()
    cluster.wait_for_replay()
    cluster.cut_replication()
    run_sql(cluster.url(), "INSERT INTO x VALUES (3)")
    assert numbers(cluster) == [1, 2, 3]
    before = cluster.url()
    cluster.fail_over()
    assert cluster.url() == before
    assert numbers(cluster) == [1, 2]

    cluster.add_standby()
    cluster.make_synchronous()
    run_sql(cluster.url(), "INSERT INTO x VALUES (4)")
    assert cluster.url() == before
    cluster.fail_over()
    assert numbers(cluster) == [1, 2, 4]


def test_a_frozen_server_goes_on(cluster: PostgresCluster) -> None:
    cluster.start()
    url = plain(cluster.primary.url())
    with psycopg.connect(url) as connection:
        cluster.primary.freeze()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(url, connect_timeout=1)
        cluster.primary.thaw()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_pgbouncer_lends_each_transaction_one_of_few_connections(
    cluster: PostgresCluster,
) -> None:
    cluster.start()
    bouncer = PgbouncerProcess(cluster.primary, pool_size=1)
    bouncer.start()
    try:
        query = "SELECT pg_backend_pid()"
        url = plain(bouncer.url())
        with psycopg.connect(url) as one, psycopg.connect(url) as other:
            pids = []
            for connection in (one, other, one):
                pids += connection.execute(query).fetchall()
                connection.commit()
        assert len(pids) == 3
        assert len(set(pids)) == 1
    finally:
        bouncer.remove()
