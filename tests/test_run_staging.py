"""What a batch has changed of runs is looked up by job, however much it is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from builders import key_of, new_database

from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_staging import RunStaging
from pushrelay.store.decisions import Decision
from pushrelay.store.run_rows import RunRows
from pushrelay.view.board import Board


@pytest.mark.parametrize("jobs", [1, 100])
def test_whether_a_job_has_runs_is_asked_of_no_other_job(
    tmp_path: Path, jobs: int
) -> None:
    read: list[GroupingKey] = []

    def job(key: GroupingKey) -> str:
        read.append(key)
        return dict(key.labels)["job"]

    policies, database = Policies(), new_database(tmp_path)
    with closing(database.open_writer()) as session:
        rows, board = RunRows(session), Board(policies)
        staging = RunStaging(board, policies, rows, Decision(), 1, 0)
        for number in range(jobs):
            staging.keep(RunEvidence(key_of(f"job-{number}")))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(GroupingKey, "job", property(job))
            assert staging.is_known("job-0")
            assert not staging.is_known("job")
    database.close()
    assert read == []
