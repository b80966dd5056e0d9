"""What can be wrong with a row by itself: what it holds, and how that fits together."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pushrelay.exposition.stored import from_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, Payload
from pushrelay.quoting import quote
from pushrelay.runs import Outcome
from pushrelay.store.evidence_rows import evidence_of
from pushrelay.store.expectation_rows import unpack_expected
from pushrelay.store.group_rows import from_row
from pushrelay.store.job_rows import job_id
from pushrelay.store.run_documents import unpack_run
from pushrelay.store.run_rows import told_of
from pushrelay.store.token_rows import token_of

Row = Mapping[str, Any]
Check = Callable[[Row], Iterator[str]]
"""Says what is wrong with a row, in sentences without a subject; raises anything where
that cannot be found out."""


def broken(check: Check, row: Row) -> Iterator[str]:
    """Do `check`, and say so where something cannot even be read."""
    try:
        yield from check(row)
    except Exception as error:  # noqa: BLE001  # a row may hold anything
        yield f"cannot be read: {type(error).__name__}: {error}"


def key_of(row: Row) -> str:
    """Return the grouping key of `row` as people write it, or else its id."""
    return _shown(row, lambda: str(GroupingKey(row["grouping_key"], row["id"])))


def job_of(row: Row) -> str:
    """Return the name of the job of `row`, or else its id."""
    return _shown(row, lambda: quote(row["name"].decode()))


def run_of(row: Row) -> str:
    """Return the id of the run of `row` as people write it."""
    return _shown(row, lambda: str(uuid.UUID(bytes=row["id"])))


def token_named(row: Row) -> str:
    """Return the name of the token of `row`; sessions have none."""
    return _shown(row, lambda: str(row["name"]))


def id_of(row: Row) -> str:
    """Return the id of `row`, which says nothing to people."""
    return _shown(row, lambda: "")


def _shown(row: Row, show: Callable[[], str]) -> str:
    try:
        shown = show()
    except Exception:  # noqa: BLE001  # a row may hold anything
        shown = ""
    id_ = row["id"]
    return shown or f"id {id_.hex() if isinstance(id_, bytes) else repr(id_)}"


def group_faults(row: Row) -> Iterator[str]:
    """Check a row of `groups`."""
    if (row["grouping_key"] is None) is not (row["families"] is None):
        yield "has only one of grouping key and families"
        return
    group = from_row(row)
    if not isinstance(group, Group):
        return
    yield from _key_faults(row)
    if min(group.pushed_at, group.failed_at, group.created_at) < 0:
        yield "has a time before 1970"
    yield from _payload_faults(group.payload, "")
    if group.running_totals is not None:
        yield from _payload_faults(group.running_totals, "running totals of ")


def _key_faults(row: Row) -> Iterator[str]:
    canonical = row["grouping_key"]
    labels = GroupingKey(canonical, row["id"]).labels
    if GroupingKey.of(dict(labels)).canonical != canonical:
        yield "has a grouping key that is not in order"
    elif hashlib.sha256(canonical).digest() != row["id"]:
        yield "has the id of another grouping key"


def _payload_faults(payload: Payload, of: str) -> Iterator[str]:
    families, bounds = payload.layout.families, payload.bounds.tolist()
    is_whole = (
        len(bounds) == len(families) + 1
        and bounds == sorted(bounds)
        and (bounds[0], bounds[-1]) == (0, len(payload.text))
        and len(payload.messages or families) == len(families)
    )
    if not is_whole:
        yield f"has {of}families whose lengths do not add up"
        return
    for family in payload.families():
        number = len(from_stored(family).metrics)
        if number != family.size:
            yield (
                f"has {number} metrics in {of}the family {quote(family.name)}, which "
                f"says it has {family.size}"
            )


def job_faults(row: Row) -> Iterator[str]:
    """Check a row of `jobs`."""
    if job_id(row["name"].decode()) != row["id"]:
        yield "has the id of another job"


def expectation_faults(row: Row) -> Iterator[str]:
    """Check a row of `expectations`."""
    yield from job_faults(row)
    if row["expectation"] is not None:
        unpack_expected(row["expectation"])


def evidence_faults(row: Row) -> Iterator[str]:
    """Check a row of `run_evidence`."""
    if (row["grouping_key"] is None) is not (row["evidence"] is None):
        yield "has only one of grouping key and evidence"
    elif row["evidence"] is not None:
        yield from _key_faults(row)
        evidence_of(tuple(row.values()))


def receipt_faults(row: Row) -> Iterator[str]:
    """Check a row of `receipts`."""
    if (len(row["id"]), len(row["body"])) != (32, 32):
        yield "has an id or a body that is no SHA-256"


def token_faults(row: Row) -> Iterator[str]:
    """Check a row of `tokens`."""
    token = token_of(row)
    if any(len(digest) != 32 for digest in (token.digest, token.former or bytes(32))):
        yield "has a digest that is no SHA-256"
    if (token.former is None) is not (token.former_until is None):
        yield "has only one of a former digest and its end"


def run_faults(row: Row) -> Iterator[str]:
    """Check a row of `runs`."""
    if row["outcome"] is not None:
        Outcome(row["outcome"])
    if (row["outcome"] is None) is not (row["finished_at"] is None):
        yield "has only one of outcome and end"
    if row["document"] is None:
        return
    run = unpack_run(row["document"])
    said = {"id": run.id, **told_of(run)}
    for name, value in said.items():
        if row[name] != value:
            yield f"has another {name} than its document says"
