"""What tests of faults share: servers that may be stopped, frozen and promoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest
from postgres_cluster import PostgresCluster, running_cluster
from postgres_server import run_sql
from postgres_use import opened
from sqlalchemy import URL

from pushrelay.store.migrate import upgrade

_numbers = count()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is closed when the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """A primary and its standby."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def store_url(cluster: PostgresCluster) -> URL:
    """The URL of an empty store on the primary, for the tests of a module."""
    return new_store(cluster)


def new_store(cluster: PostgresCluster) -> URL:
    """Return the URL of an empty store on the primary, which the standby has, too."""
    cluster.start()
    name = f"store_{next(_numbers)}"
    run_sql(cluster.primary.url(), f"CREATE DATABASE {name}")
    url = cluster.primary.url(name)
    database = opened(url)
    upgrade(database)
    database.close()
    cluster.wait_for_replay()
    return url
