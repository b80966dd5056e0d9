"""Whether runs and what they left behind agree on which of them have ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from pushrelay.grouping_key import GroupingKey
from pushrelay.runs import REMEMBERED
from pushrelay.store.evidence_rows import unpack_evidence
from pushrelay.store.job_rows import job_id
from pushrelay.store.row_checks import Row


@dataclass(frozen=True, slots=True)
class _Expected:
    """What evidence says of a run. finished_at: None if it has not finished."""

    key: GroupingKey
    finished_at: int | None


class RunEnds:
    """Compares runs with all evidence, which must come first.

    now: Unix nanoseconds. The rows of runs go a while later than this is.
    """

    def __init__(self, now: int) -> None:
        self._known_since = now - REMEMBERED
        self._expected: dict[bytes, list[_Expected]] = defaultdict(list)
        self._jobs: dict[bytes, bytes] = {}

    def expect(self, row: Row) -> None:
        """Take in a row of evidence, which can be read."""
        if row["evidence"] is None:
            return
        key = GroupingKey(row["grouping_key"], row["id"])
        self._jobs[key.id] = job_id(key.job)
        evidence = unpack_evidence(key, row["revision"], row["evidence"])
        for run in evidence.open:
            if run.started_at > self._known_since:
                self._expected[run.id].append(_Expected(key, None))
        last = evidence.last_run
        if last is not None and last.finished_at > self._known_since:
            self._expected[last.id].append(_Expected(key, last.finished_at))

    def compare(self, row: Row) -> Iterator[str]:
        """Say in which a run contradicts the evidence."""
        if self._jobs.get(row["key"], row["job"]) != row["job"]:
            yield "has the job of another grouping key"
        for expected in self._expected.pop(row["id"], ()):
            if expected.key.id != row["key"]:
                yield f"is of another grouping key than {expected.key} says"
            elif expected.finished_at == row["finished_at"]:
                continue
            elif expected.finished_at is None:
                yield f"has ended, and {expected.key} waits for its end"
            else:
                yield f"has another end than {expected.key} says"

    def missing(self) -> Iterator[tuple[str, str]]:
        """Give the keys whose evidence names runs that did not come, and what of it."""
        for id_, expecting in self._expected.items():
            for each in expecting:
                said = (
                    "waits for the end of" if each.finished_at is None else "ends with"
                )
                yield (
                    str(each.key),
                    f"{said} the run {UUID(bytes=id_)}, which is not there",
                )
