"""What runs leave behind as rows of the database, in both directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pushrelay.changes import Emptied, EvidenceChange
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import Durations, LastRun, OpenRun, RunEvidence
from pushrelay.runs import Outcome
from pushrelay.store.documents import fields_of, pack, unpack
from pushrelay.store.revised_rows import RevisedRows
from pushrelay.store.schema import run_evidence
from pushrelay.store.session import Session

EVIDENCE = RevisedRows(run_evidence, run_evidence.c, run_evidence.c.evidence)


def write_evidence(session: Session, changes: Iterable[EvidenceChange]) -> None:
    """Store `changes`; a later one of a key replaces an earlier one."""
    EVIDENCE.write(session, map(_row, changes))


def _row(change: EvidenceChange) -> dict[str, Any]:
    row: dict[str, Any] = {"revision": change.revision}
    if isinstance(change, Emptied):
        return row | {"id": change.id, "grouping_key": None, "evidence": None}
    key = change.key
    packed = pack_evidence(change)
    return row | {"id": key.id, "grouping_key": key.canonical, "evidence": packed}


def evidence_of(row: tuple[Any, ...]) -> EvidenceChange:
    """Return what a row that was read of `EVIDENCE` stores."""
    id_, revision, grouping_key, packed = row
    if grouping_key is None or packed is None:
        return Emptied(id_, revision)
    return unpack_evidence(GroupingKey(grouping_key, id_), revision, packed)


def pack_evidence(evidence: RunEvidence) -> bytes:
    """Return what is kept, without its key and its revision, as JSON."""
    document = fields_of(evidence)
    del document["key"], document["revision"]
    started_at, id_ = evidence.last_ended_start
    document["last_ended_start"] = [started_at, id_.hex()]
    document["runs"] = {
        outcome.value: number for outcome, number in evidence.runs.items()
    }
    document["durations"] = _durations_document(evidence.durations)
    document["open"] = [
        [run.id.hex(), run.started_at, run.is_anonymous] for run in evidence.open
    ]
    if evidence.last_run is not None:
        document["last_run"] = _last_run_document(evidence.last_run)
    return pack(document)


def unpack_evidence(key: GroupingKey, revision: int, packed: bytes) -> RunEvidence:
    """Return the evidence of `key` that was packed."""
    document = unpack(packed)
    started_at, id_ = document["last_ended_start"]
    document["last_ended_start"] = (started_at, bytes.fromhex(id_))
    document["runs"] = {
        Outcome(outcome): number for outcome, number in document["runs"].items()
    }
    document["durations"] = _durations(document["durations"])
    document["open"] = tuple(
        [
            OpenRun(bytes.fromhex(id_), started_at, is_anonymous)
            for id_, started_at, is_anonymous in document["open"]
        ]
    )
    if "last_run" in document:
        document["last_run"] = _last_run(document["last_run"])
    return RunEvidence(key, revision, **document)


def _last_run_document(run: LastRun) -> dict[str, Any]:
    return fields_of(run) | {"id": run.id.hex(), "outcome": run.outcome.value}


def _last_run(document: dict[str, Any]) -> LastRun:
    return LastRun(
        document["finished_at"],
        bytes.fromhex(document["id"]),
        Outcome(document["outcome"]),
        document.get("duration"),
        document.get("exit_code"),
        document.get("max_rss_bytes"),
    )


def _durations_document(durations: Durations) -> dict[str, Any]:
    # JSON has neither infinity nor numbers as names.
    classic = [
        [None if bound == float("inf") else bound, number]
        for bound, number in durations.classic.items()
    ]
    native = list(durations.native.items())
    return fields_of(durations) | {"classic": classic, "native": native}


def _durations(document: dict[str, Any]) -> Durations:
    document["classic"] = {
        float("inf") if bound is None else bound: number
        for bound, number in document["classic"]
    }
    document["native"] = dict(document["native"])
    return Durations(**document)
