"""What is stored of runs and expectations comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from builders import key_of, new_database
from hypothesis import given
from run_builders import (
    ANY_TEXT,
    EVIDENCE,
    JOB_EXPECTATIONS,
    RUNS,
    TIMES,
    contents,
    run_of,
)

from pushrelay.changes import Emptied, EvidenceChange, ExpectationRecord
from pushrelay.expectations import JobExpectation
from pushrelay.run_evidence import DEFAULT_BUCKETS, Durations, RunEvidence
from pushrelay.runs import Run
from pushrelay.schedule import Expectation
from pushrelay.store.documents import pack, unpack
from pushrelay.store.evidence_rows import (
    EVIDENCE as EVIDENCE_ROWS,
)
from pushrelay.store.evidence_rows import (
    evidence_of,
    pack_evidence,
    unpack_evidence,
    write_evidence,
)
from pushrelay.store.expectation_rows import (
    EXPECTATIONS,
    expectation_of,
    pack_expected,
    unpack_expected,
    write_expectations,
)
from pushrelay.store.run_documents import pack_run, unpack_run
from pushrelay.store.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = new_database(tmp_path)
    with closing(database.open_writer()) as session:
        yield session
    database.close()


def read_evidence(session: Session, since: int | None = None) -> list[EvidenceChange]:
    with session.transaction():
        return list(map(evidence_of, EVIDENCE_ROWS.read(session, since)))


def read_expectations(
    session: Session, since: int | None = None
) -> list[ExpectationRecord]:
    with session.transaction():
        return list(map(expectation_of, EXPECTATIONS.read(session, since)))


@given(RUNS)
def test_a_run_is_read_as_it_was_written(run: Run) -> None:
    again = unpack_run(pack_run(run))
    assert again == run
    assert again.key.id == run.key.id


@given(EVIDENCE)
def test_evidence_is_read_as_it_was_written(evidence: RunEvidence) -> None:
    packed = pack_evidence(evidence)
    again = unpack_evidence(evidence.key, evidence.revision, packed)
    assert contents(again) == contents(evidence)
    assert pack_evidence(again) == packed


@given(JOB_EXPECTATIONS)
def test_expectations_are_read_as_they_were_written(expected: JobExpectation) -> None:
    assert unpack_expected(pack_expected(expected)) == expected


@given(ANY_TEXT, TIMES)
def test_any_text_and_number_is_packed(text: str, number: int) -> None:
    assert unpack(pack({text: [text, number, -(number**2)]})) == {
        text: [text, number, -(number**2)]
    }


def test_a_plain_run_takes_few_bytes() -> None:
    assert len(pack_run(run_of(finished_at=10**18))) < 200
    with_end = run_of(finished_at=5, key=key_of(instance="db1"))
    assert json.loads(pack_run(with_end))["key"] == {"job": "a", "instance": "db1"}


def test_defaults_are_written_for_they_may_change() -> None:
    packed = pack_expected(JobExpectation(api=Expectation(every=7)))
    assert json.loads(packed)["api"] == {
        "every": 7,
        "grace": Expectation().grace,
        "tz": "UTC",
        "per_instance": False,
    }


def test_durations_above_all_bounds_are_kept() -> None:
    durations = Durations().with_one(10**15, tuple(DEFAULT_BUCKETS))
    evidence = RunEvidence(key_of(), durations=durations)
    again = unpack_evidence(key_of(), 0, pack_evidence(evidence))
    assert again.durations == durations
    assert list(again.durations.classic) == [float("inf")]


def test_the_last_evidence_of_a_key_counts(session: Session) -> None:
    first = RunEvidence(key_of("a"), 1, overlaps=1)
    last = replace(first, overlaps=2)
    other = RunEvidence(key_of("b"), 1)
    write_evidence(session, [first, other, last, Emptied(other.key.id, 1)])
    found = {id_of(change): change for change in read_evidence(session)}
    assert contents(found[first.key.id]) == contents(last)
    assert found[other.key.id] == Emptied(other.key.id, 1)


def id_of(change: EvidenceChange) -> bytes:
    return change.id if isinstance(change, Emptied) else change.key.id


def test_only_newer_evidence_is_read(session: Session) -> None:
    write_evidence(session, [RunEvidence(key_of(f"{n}"), n) for n in range(4)])
    found = read_evidence(session, 2)
    assert [change.revision for change in found] == [3]


def test_the_last_expectation_of_a_job_counts(session: Session) -> None:
    expected = JobExpectation(report=Expectation(every=5), since=3)
    name = "a\0\xe9"
    first = ExpectationRecord(name, 1, JobExpectation())
    last = ExpectationRecord(name, 1, expected)
    gone = ExpectationRecord("b", 2, None)
    write_expectations(session, [first, last, gone])
    by_name = {record.job: record for record in read_expectations(session)}
    assert by_name == {name: last, "b": gone}
    assert read_expectations(session, 1) == [gone]
