"""All that is known of a run as the document of its row, in both directions."""

from __future__ import annotations

from typing import Any

from pushrelay.grouping_key import GroupingKey
from pushrelay.runs import End, Outcome, Run, Usage
from pushrelay.store.documents import fields_of, pack, unpack


def pack_run(run: Run) -> bytes:
    """Return `run` as JSON."""
    document = fields_of(run)
    document["id"] = run.id.hex()
    document["key"] = dict(run.key.labels)
    if run.end is not None:
        document["end"] = _end_document(run.end)
    return pack(document)


def unpack_run(packed: bytes) -> Run:
    """Return the run that was packed."""
    document = unpack(packed)
    document["id"] = bytes.fromhex(document["id"])
    document["key"] = GroupingKey.of(document["key"])
    if "end" in document:
        document["end"] = _end(document["end"])
    return Run(**document)


def _end_document(end: End) -> dict[str, Any]:
    outcome, usage = end.outcome.value, fields_of(end.usage)
    return fields_of(end) | {"outcome": outcome, "usage": usage}


def _end(document: dict[str, Any]) -> End:
    document["outcome"] = Outcome(document["outcome"])
    document["usage"] = Usage(**document["usage"])
    document["problems"] = tuple(document["problems"])
    return End(**document)
