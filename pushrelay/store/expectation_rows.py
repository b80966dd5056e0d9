"""What is expected of jobs as rows of the database, in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pushrelay.changes import ExpectationRecord
from pushrelay.expectations import JobExpectation, Source
from pushrelay.schedule import Expectation
from pushrelay.store.documents import fields_of, pack, unpack
from pushrelay.store.job_rows import job_id
from pushrelay.store.revised_rows import RevisedRows
from pushrelay.store.schema import expectations
from pushrelay.store.session import Session

_COLUMNS = (expectations.c.name, expectations.c.revision, expectations.c.expectation)
EXPECTATIONS = RevisedRows(expectations, _COLUMNS, expectations.c.expectation)


def write_expectations(session: Session, records: Iterable[ExpectationRecord]) -> None:
    """Store `records`; a later one of a job replaces an earlier one."""
    EXPECTATIONS.write(session, map(_row, records))


def expectation_of(row: tuple[Any, ...]) -> ExpectationRecord:
    """Return what a row that was read of `EXPECTATIONS` stores."""
    name, revision, packed = row
    return ExpectationRecord(
        name.decode(), revision, packed and unpack_expected(packed)
    )


def _row(record: ExpectationRecord) -> dict[str, Any]:
    expected = record.expected
    return {
        "id": job_id(record.job),
        "revision": record.revision,
        "name": record.job.encode(),
        "expectation": None if expected is None else pack_expected(expected),
    }


def pack_expected(expected: JobExpectation) -> bytes:
    """Return what is expected as JSON."""
    document = fields_of(expected)
    for source in Source:
        if source.value in document:
            document[source.value] = fields_of(document[source.value])
    return pack(document)


def unpack_expected(packed: bytes) -> JobExpectation:
    """Return what is expected that was packed."""
    document = unpack(packed)
    for source in Source:
        if source.value in document:
            document[source.value] = Expectation(**document[source.value])
    instances = tuple(document.pop("instances", ()))
    return JobExpectation(**document, instances=instances)
