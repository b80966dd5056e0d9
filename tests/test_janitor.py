"""What nobody sees any more is removed, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders import commit, group_of, key_of, new_database
from relay_use import Clock, on_loop, open_relay, put
from run_builders import run_of

from pushrelay import janitor
from pushrelay.errors import StoreUnavailable
from pushrelay.janitor import RunJanitor, keep_tidy
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import Run
from pushrelay.store import books, run_pruning
from pushrelay.store.engine import Database
from pushrelay.store.evidence_rows import write_evidence
from pushrelay.store.receipts import Receipt
from pushrelay.store.run_list import RunFilter, list_runs
from pushrelay.store.run_rows import RunRows

YEAR = 365 * 24 * 3600 * 10**9
NOW = 2 * YEAR


def store(database: Database, *runs: Run) -> None:
    """Store `runs` and evidence of them at the next revision."""
    revision = commit(database).revision
    with closing(database.open_writer()) as session, session.transaction():
        for run in runs:
            RunRows(session).put(run)
            write_evidence(session, [RunEvidence(run.key, revision)])


def listed(database: Database) -> list[int]:
    runs = list_runs(database, RunFilter())
    return [int.from_bytes(run.id, "big") for run in runs]


async def wait_for(database: Database, numbers: list[int]) -> None:
    async with asyncio.timeout(10):
        while listed(database) != numbers:
            await asyncio.sleep(0.01)


@on_loop
async def test_all_chores_are_done_whatever_one_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 0.001)
    done = asyncio.Event()

    async def unavailable() -> None:
        raise StoreUnavailable("not now")

    async def broken() -> None:
        raise ZeroDivisionError

    async def works() -> None:
        done.set()

    chores = {"dust": unavailable, "rust": broken, "dirt": works}
    with caplog.at_level("INFO"):
        task = asyncio.create_task(keep_tidy({}, chores))
        for _ in range(2):
            done.clear()
            await asyncio.wait_for(done.wait(), 10)
        task.cancel()
    assert "dust: this is done later: not now" in caplog.text
    assert "rust: this could not be done" in caplog.text


@on_loop
async def test_a_relay_prunes_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 0.01)
    monkeypatch.setattr(janitor, "PRUNE_SECONDS", 0)
    now = time.time_ns()
    async with open_relay(tmp_path):
        database = new_database(tmp_path)
        store(database, run_of(1, now - YEAR, now - YEAR), run_of(2, now, now))
        await wait_for(database, [2])
        database.close()


@on_loop
async def test_jobs_with_new_reports_are_pruned_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "PRUNE_SECONDS", 0)
    database = new_database(tmp_path)
    tidy = RunJanitor(database, 1, YEAR, lambda: NOW)
    store(database, run_of(1, NOW), run_of(2, NOW))
    await tidy.prune(1)
    assert listed(database) == [2]
    store(database, run_of(3, NOW), run_of(11, NOW, key=key_of("b")))
    await tidy.prune(2)
    assert listed(database) == [11, 3]
    # A backup that was restored is at an earlier revision.
    store(database, run_of(4, NOW))
    await tidy.prune(1)
    assert listed(database) == [11, 4]
    database.close()


@on_loop
async def test_a_job_is_looked_at_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    read = run_pruning._read

    def look(database: Database, query: object, values: dict[str, Any]) -> list[bytes]:
        if query == run_pruning._SURPLUS:
            looks.append(values["job"])
        return read(database, query, values)  # type: ignore[arg-type]  # its own

    monkeypatch.setattr(run_pruning, "_read", look)
    database, clock = new_database(tmp_path), Clock()
    tidy = RunJanitor(database, 1, YEAR, clock)
    for round_ in range(36):
        revision = round_ + 1
        store(database, run_of(round_, clock()), run_of(50 + round_, key=key_of("b")))
        await tidy.prune(revision)
        clock.go(5)
    # In the rounds at 0, 60 and 120 seconds.
    assert len(looks) == 3 * 2
    assert len(set(looks)) == 2
    clock.go(-3600)
    await tidy.prune(36)
    assert len(looks) == 4 * 2
    database.close()


@pytest.mark.parametrize("error", [StoreUnavailable("no"), ZeroDivisionError()])
def test_pruning_that_fails_is_done_a_minute_later(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @on_loop
    async def test() -> None:
        database, clock = new_database(tmp_path), Clock()
        tidy = RunJanitor(database, 1, YEAR, clock)
        store(database, run_of(1, clock()), run_of(2, clock()))

        def fail(*_: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(janitor, "prune_in_portions", fail)
            with pytest.raises(type(error)):
                await tidy.prune(1)
        clock.go(59)
        await tidy.prune(1)
        assert listed(database) == [2, 1]
        clock.go(1)
        await tidy.prune(1)
        assert listed(database) == [2]
        database.close()

    test()


@on_loop
async def test_a_push_is_unavailable_if_it_cannot_be_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    key = group_of().key
    receipt = Receipt(bytes(32), bytes(32), 0)
    async with open_relay(tmp_path) as relay:
        with monkeypatch.context() as patched:
            patched.setattr(books, "find_receipt", fail)
            with pytest.raises(StoreUnavailable, match="disk I/O error"):
                await put(relay, key, "x 1", receipt=receipt)
        assert not await put(relay, key, "x 1", receipt=receipt)
