"""Rows that say what cannot be are found."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import change, key_of
from databases import database_in
from full_store import fill_in
from relay_use import Clock
from run_builders import run_id
from sound import fault_of, faults_of
from sqlalchemy import delete, update

from pushrelay.runs import REMEMBERED
from pushrelay.store.engine import Database
from pushrelay.store.fault import ROW_REMEDY
from pushrelay.store.schema import (
    expectations,
    groups,
    jobs,
    receipts,
    run_evidence,
    runs,
    tokens,
)

pytestmark = [pytest.mark.sqlite, pytest.mark.usefixtures("rarely")]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of such a database."""
    directory = tmp_path_factory.mktemp("filled")
    fill_in(directory, Clock(time.time_ns()))
    return directory / "relay.db"


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of it."""
    shutil.copy(filled, tmp_path)
    database = database_in(tmp_path)
    yield database
    database.close()


A = key_of("a", instance="i")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"families": b"["}, "cannot be read: ValueError"),
        ({"families": b"x"}, "cannot be read: "),
        ({"families": b"[]\n[0,[0,1],[]]\n"}, "has families whose lengths do not add"),
        (
            {"families": b'[["x",1,"",2,null,false,[]]]\n[0,[0,4],[]]\nx 1\n'},
            'has 1 metrics in the family "x", which says it has 2',
        ),
        (
            {"families": b'[["x",1,"",1,null,false,[]]]\n[0,[0,4],[]]\nx y\n'},
            "cannot be read: ParseError",
        ),
        (
            {"running_totals": b"[]\n[0,[0,1],[]]\n"},
            "has running totals of families whose lengths do not add up",
        ),
        ({"grouping_key": None}, "has only one of grouping key and families"),
        ({"families": None}, "has only one of grouping key and families"),
        ({"created_at": -1}, "has a time before 1970"),
        ({"pushed_at": "today"}, "cannot be read: TypeError"),
    ],
)
def test_groups_that_cannot_be_shown_are_found(
    values: dict[str, Any], what: str, copy: Database
) -> None:
    change(copy, update(groups).where(groups.c.id == A.id).values(**values))
    shown = f"id {A.id.hex()}" if "grouping_key" in values else str(A)
    fault = fault_of(copy)
    assert fault.startswith(f"groups {shown}: {what}")
    assert fault.endswith(f"; {ROW_REMEDY}")


@pytest.mark.parametrize(
    ("canonical", "what"),
    [
        (b"job\xffb\xfe", 'groups {job="b"}: has the id of another grouping key'),
        (b"a\xffi\xfejob\xffa\xfe", "has a grouping key that is not in order"),
        (b"a\xffi\xfe", "cannot be read: KeyError"),
        (b"job\xff\x80\xfe", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_rows_of_other_keys_are_found(
    canonical: bytes, what: str, copy: Database
) -> None:
    where = groups.c.id == A.id
    change(copy, update(groups).where(where).values(grouping_key=canonical))
    assert what in fault_of(copy)


OF_JOB = update(jobs).where(jobs.c.pushed_at.is_not(None))
OF_A = update(run_evidence).where(run_evidence.c.id == key_of("a").id)
EXPECTED = update(expectations).where(expectations.c.expectation.is_not(None))
DONE = update(runs).where(runs.c.id == run_id(100))
TOKEN = update(tokens).where(tokens.c.parent.is_(None))
SESSION = update(tokens).where(tokens.c.parent.is_not(None))
OPEN = runs.c.id == run_id(101)
RUN, OPEN_RUN = [f"00000000-0000-0000-0000-0000000000{n}" for n in (64, 65)]
ANOTHER = "has the id of another job"


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (OF_JOB.values(name=b"b"), f'jobs "b": {ANOTHER}'),
        (OF_JOB.values(name=b"\xff"), ": cannot be read: UnicodeDecodeError"),
        (EXPECTED.values(name=b"c"), f'expectations "c": {ANOTHER}'),
        (EXPECTED.values(expectation=b"{"), "cannot be read: JSONDecodeError"),
        (OF_A.values(evidence=b"{}"), 'run_evidence {job="a"}: cannot be read: KeyE'),
        (OF_A.values(evidence=None), "has only one of grouping key and evidence"),
        (update(receipts).values(body=b"x"), "has an id or a body that is no SHA-256"),
        (
            update(receipts).values(at=2**62),
            " s in the future",
        ),
        (TOKEN.values(scopes="push,fly"), "tokens backup: cannot be read: ValueError"),
        (TOKEN.values(selectors='["{"]'), "cannot be read: InvalidSelector"),
        (TOKEN.values(limits='{"wings":2}'), "cannot be read: TypeError"),
        (TOKEN.values(digest=b"x"), "has a digest that is no SHA-256"),
        (TOKEN.values(former=None), "has only one of a former digest and its end"),
        (SESSION.values(digest=b""), "tokens id 'ff00ff00ff00ff00': has a digest that"),
        (DONE.values(outcome="lost"), f"runs {RUN}: cannot be read: ValueError"),
        (DONE.values(started_at=1), "has another started_at than its document says"),
        (DONE.values(document=b"\x00"), f"runs {RUN}: cannot be read: JSONDecodeError"),
        (DONE.values(document=None, outcome=None), "has only one of outcome and end"),
        (DONE.values(document=None, job=bytes(32)), "has the job of another grouping"),
        (
            DONE.values(document=None, key=bytes(32)),
            'is of another grouping key than {job="a"} says',
        ),
        (
            DONE.values(document=None, finished_at=1),
            'has another end than {job="a"} says',
        ),
        (
            update(runs)
            .where(OPEN)
            .values(document=None, finished_at=2, outcome="success"),
            f'runs {OPEN_RUN}: has ended, and {{job="a"}} waits for its end',
        ),
        (
            delete(runs).where(OPEN),
            f'run_evidence {{job="a"}}: waits for the end of the run {OPEN_RUN}, which '
            "is not there; report the end of the run, or retire its job",
        ),
        (
            delete(runs).where(runs.c.id == run_id(100)),
            f'run_evidence {{job="a"}}: ends with the run {RUN}, which is not there',
        ),
    ],
)
def test_rows_that_say_what_cannot_be_are_found(
    statement: Any, wanted: str, copy: Database
) -> None:
    change(copy, statement)
    found = faults_of(copy)
    assert found
    assert all(wanted in fault for fault in found), found


def test_runs_that_may_be_forgotten_are_missed_by_nobody(copy: Database) -> None:
    change(copy, delete(runs), delete(receipts))
    assert len(faults_of(copy)) > 0
    assert faults_of(copy, time.time_ns() + REMEMBERED) == []
