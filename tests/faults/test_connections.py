"""How many connections a relay has, which processes have them, and who ends them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from postgres_server import plain, run_sql
from postgres_use import cut_all
from replica_process import Replica
from run_http import finish, runs_of, send
from sqlalchemy import URL
from waiting import wait_until
from worker_process import connections_of, master_of, worker_of

pytestmark = [pytest.mark.postgres, pytest.mark.system]

MOST_AT_REST = 7
MOST_LISTS = 4
MOST = 11
"""See operations.md."""

ROLE = "relay_role"


@pytest.fixture(scope="module")
def role_url(store_url: URL) -> URL:
    """The URL of the store for a role that has no more rights than it needs."""
    run_sql(
        store_url,
        f"CREATE ROLE {ROLE} LOGIN PASSWORD 'first'; "
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}",
    )
    return store_url.set(username=ROLE, password="first")


@pytest.fixture(scope="module")
def relay(role_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    url = role_url.render_as_string(hide_password=False)
    with Replica(tmp_path_factory.mktemp("relay"), url) as relay:
        assert push(relay) == 200
        yield relay


def push(relay: Replica) -> int:
    return relay.put("/metrics/job/a", "x 1\n").status


def is_ready(relay: Replica) -> bool:
    return relay.get("/-/ready").status == 200


def count(url: URL, condition: str = "true") -> int:
    """Return how many connections of relays the server sees."""
    query = (
        "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = "  # noqa: S608  # the tests' own
        f"'pushrelay' AND datname = current_database() AND {condition}"
    )
    [(number,)] = run_sql(url, query)
    return int(number)


@contextmanager
def locked_runs(url: URL) -> Iterator[None]:
    """Have all who want to read runs wait."""
    with psycopg.connect(plain(url)) as connection:
        connection.execute("LOCK TABLE runs")
        yield
        connection.rollback()


# --- whose they are ---


def test_only_the_worker_has_connections_and_all_are_its_own(
    relay: Replica, store_url: URL
) -> None:
    port = store_url.port or 0

    def require_its_own() -> None:
        wait_until(lambda: is_ready(relay), "being ready")
        assert relay.get("/metrics").status == 200
        assert connections_of(master_of(relay), port) == 0
        worker = worker_of(relay)
        assert connections_of(worker, port) > 0
        # The server takes a moment to notice the end of others.
        wait_until(lambda: connections_of(worker, port) == count(store_url))

    require_its_own()
    before = worker_of(relay)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: worker_of(relay) != before)
    relay.wait_until_ready("/-/ready")
    assert push(relay) == 200
    require_its_own()


# --- how many they are ---


def test_lists_of_runs_that_take_long_take_few_connections(
    relay: Replica, store_url: URL
) -> None:
    for number in range(20):
        assert send(relay, finish(ago=100 - number)).status == 200
    waits_for_runs = "wait_event_type = 'Lock' AND query LIKE '%%FROM runs%%'"
    with ThreadPoolExecutor(30) as clients:
        with locked_runs(store_url):
            lists = [clients.submit(relay.get, "/api/v1/runs") for _ in range(30)]
            wait_until(lambda: count(store_url, waits_for_runs) >= MOST_LISTS)
            for _ in range(20):
                # Others need not wait for them, nor have to do without.
                assert push(relay) == relay.get("/metrics").status == 200
                assert count(store_url) <= MOST
            # One may be of the janitor.
            assert count(store_url, waits_for_runs) <= MOST_LISTS + 1
        assert {each.result().status for each in lists} == {200}


def test_connections_that_are_not_needed_any_more_are_closed(
    relay: Replica, store_url: URL
) -> None:
    def ask(number: int) -> int:
        if number % 3 == 0:
            return push(relay)
        return relay.get(("/metrics", "/api/v1/runs")[number % 3 - 1]).status

    most = 0
    with ThreadPoolExecutor(12) as clients:
        asked = [clients.submit(ask, number) for number in range(600)]
        while not all(each.done() for each in asked):
            most = max(most, count(store_url))
    assert {each.result() for each in asked} == {200}
    assert most <= MOST
    wait_until(lambda: count(store_url) <= MOST_AT_REST, "a rest")


# --- who ends them, or does not let them in ---


REFUSALS = [
    (f"ALTER ROLE {ROLE} CONNECTION LIMIT 0", f"ALTER ROLE {ROLE} CONNECTION LIMIT -1"),
    (f"ALTER ROLE {ROLE} PASSWORD 'new'", f"ALTER ROLE {ROLE} PASSWORD 'first'"),
    (f"ALTER ROLE {ROLE} NOLOGIN", f"ALTER ROLE {ROLE} LOGIN"),
    (
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}",
    ),
]
TOLD = ["too many connections", "password authentication", "not permitted", "denied"]


@pytest.mark.parametrize(
    ("how", "undo", "told"),
    [(how, undo, told) for (how, undo), told in zip(REFUSALS, TOLD, strict=True)],
    ids=TOLD,
)
def test_a_server_that_refuses_is_away_until_it_does_not(
    relay: Replica, store_url: URL, how: str, undo: str, told: str
) -> None:
    run_sql(store_url, how)
    cut_all(store_url)
    try:
        refused = relay.put("/metrics/job/a", "x 1\n")
        assert refused.status == 503
        assert told in refused.text
        assert refused.header("Retry-After")
        assert relay.get("/-/ready").status == 503
        assert "\nx{" in relay.page()
    finally:
        run_sql(store_url, undo)
    assert push(relay) == 200
    wait_until(lambda: is_ready(relay), "being ready")


def test_who_ends_connections_is_not_noticed(relay: Replica, store_url: URL) -> None:
    for _ in range(5):
        cut_all(store_url)
        assert push(relay) == 200
        cut_all(store_url)
        wait_until(lambda: is_ready(relay), "being ready")
        cut_all(store_url)
        assert relay.get("/api/v1/runs").status == 200
        assert "\nx{" in relay.page()


def test_settings_of_a_database_are_not_those_of_a_relay(
    relay: Replica, store_url: URL, tmp_path: Path
) -> None:
    """Of connections to come; a relay has them all made anew."""
    settings = {
        "default_transaction_isolation": "'serializable'",
        "default_transaction_read_only": "on",
        "default_transaction_deferrable": "on",
        "lock_timeout": "'1ms'",
        "client_encoding": "'SQL_ASCII'",
        "bytea_output": "'escape'",
        "standard_conforming_strings": "off",
        "DateStyle": "'German'",
        "extra_float_digits": "-15",
        "synchronous_commit": "off",
        "TimeZone": "'Asia/Kathmandu'",
    }
    name, elsewhere = store_url.database, store_url.set(database="postgres")
    try:
        for setting, value in settings.items():
            run_sql(elsewhere, f"ALTER DATABASE {name} SET {setting} = {value}")
        cut_all(store_url)
        body = '# HELP text ü\n# TYPE text gauge\ntext{of="ü"} 0.1234567890123456\n'
        for number in range(3):
            put = relay.put(f"/metrics/job/set/instance/%C3%BC{number}", body)
            assert put.status == 200, put.text
            assert send(relay, finish("ü", ago=50 - number)).status == 200
        runs = runs_of(relay, "?job=%C3%BC")["runs"]
        assert [run["job"] for run in runs] == ["ü"] * 3
        with Replica(tmp_path, relay.url) as other:
            wait_until(lambda: other.page() == relay.page(), "the same page")
    finally:
        run_sql(elsewhere, f"ALTER DATABASE {name} RESET ALL")
    cut_all(store_url)
    assert push(relay) == 200
