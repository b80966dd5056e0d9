"""Receipts are found for a day, and never pile up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import new_database
from sqlalchemy import func, select

from pushrelay.store.receipts import (
    KEPT_SECONDS,
    Receipt,
    find_receipt,
    write_receipts,
)
from pushrelay.store.schema import receipts
from pushrelay.store.session import Session
from pushrelay.store.statements import sql

DAY = KEPT_SECONDS * 10**9
BODY = b"b" * 32


def id_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = new_database(tmp_path)
    with closing(database.open_writer()) as session:
        yield session
    database.close()


def write(session: Session, *numbers: int, now: int) -> None:
    with session.transaction():
        new = [Receipt(id_of(number), BODY, now) for number in numbers]
        write_receipts(session, new, now)


def count(session: Session) -> int:
    [[number]] = session.all(sql(select(func.count()).select_from(receipts)))
    return int(number)


def test_a_receipt_is_found_for_a_day(session: Session) -> None:
    write(session, 1, now=5)
    assert find_receipt(session, id_of(1), 5) == BODY
    assert find_receipt(session, id_of(1), 4 + DAY) == BODY
    assert find_receipt(session, id_of(1), 5 + DAY) is None
    assert find_receipt(session, id_of(2), 5) is None


def test_what_is_too_old_to_be_found_can_be_written_again(session: Session) -> None:
    write(session, 1, now=5)
    write(session, 1, now=5 + DAY)
    assert find_receipt(session, id_of(1), 5 + DAY) == BODY


def test_old_receipts_go_as_new_ones_come(session: Session) -> None:
    write(session, *range(10), now=0)
    write(session, 100, now=DAY - 1)
    assert count(session) == 11
    for number in range(5):
        write(session, 200 + number, now=DAY)
        assert count(session) == 11 - (number + 1)
    write(session, 300, now=DAY)
    assert count(session) == 7
    assert find_receipt(session, id_of(100), DAY) == BODY
