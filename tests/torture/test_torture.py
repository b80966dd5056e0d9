"""Relays under load and under faults: nothing that was acknowledged is lost, and all
that is shown is true.

Every fault happens at least once; `make torture` does the same for longer, as does
PUSHRELAY_TEST_TORTURE_SECONDS for each of the tests. PUSHRELAY_TEST_TORTURE_SEED names
the seed of the faults; where threads and processes are at that moment, no seed says.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from haproxy_process import require_haproxy
from postgres_cluster import PostgresCluster, running_cluster
from torture.checker import check
from torture.history import History
from torture.play import Plan, play, require_telling
from torture.stage import PostgresStage, Stage, playing, sqlite_stage

pytestmark = pytest.mark.system

SECONDS = 20


@pytest.fixture(scope="module", autouse=True)
def balancer() -> None:
    """What stands before the relays must be installed."""
    require_haproxy()


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresCluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.mark.postgres
def test_replicas_on_postgresql(tmp_path: Path, cluster: PostgresCluster) -> None:
    torture(PostgresStage(tmp_path, cluster, "torture_0", pooled=False), tmp_path)


@pytest.mark.postgres
def test_replicas_behind_pgbouncer(tmp_path: Path, cluster: PostgresCluster) -> None:
    torture(PostgresStage(tmp_path, cluster, "torture_1", pooled=True), tmp_path)


def test_relays_on_one_file(tmp_path: Path) -> None:
    torture(sqlite_stage(tmp_path), tmp_path)


def torture(stage: Stage, directory: Path) -> None:
    seed = int(os.environ.get("PUSHRELAY_TEST_TORTURE_SEED", random.randrange(10**6)))
    seconds = float(os.environ.get("PUSHRELAY_TEST_TORTURE_SECONDS", SECONDS))
    print(f"PUSHRELAY_TEST_TORTURE_SEED={seed}")
    plan = Plan(seconds, seed, fault_seconds=0.6, calm_seconds=0.2, say=print)
    history = History()
    with history.kept_at(directory / "history.jsonl"):
        with playing(stage):
            play(stage, plan, history)
        verdict = check(history)
        told = "\n".join(map(str, verdict.violations[:10]))
        assert not verdict.violations, f"{len(verdict.violations)} violations\n{told}"
        require_telling(history, verdict)
