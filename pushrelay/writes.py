"""The writes that the store's writer is given. What they do is said in `batch`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pushrelay.aggregation import Mode
from pushrelay.contents import Contents
from pushrelay.errors import InconsistentPush, PushrelayError
from pushrelay.expectations import JobExpectation
from pushrelay.exposition.stored import stored_metrics
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, Payload
from pushrelay.model import Metric, MetricFamily
from pushrelay.runs import Report, Run
from pushrelay.store.receipts import Receipt


@dataclass(frozen=True, slots=True)
class Merged:
    """What a push makes of a group that has `before`: `after`, or a refusal."""

    before: Contents
    after: Contents | InconsistentPush


@dataclass(frozen=True, slots=True)
class Push:
    """One write to one group. Its answer is whether it had been done before.

    payload: the families it brings. at: Unix nanoseconds. families: the same as they
    were read, None where that was not needed. refusal: set if the push is not
    acceptable whatever else is stored, so that it is only booked as a failure.
    stale_after: nanoseconds, what the group's policy is from now on. receipt: what
    makes a retry of the push count once. dry_run: whether nothing may change. merged:
    what was found out beside the writer, because it takes long.
    """

    key: GroupingKey
    mode: Mode
    at: int
    payload: Payload
    families: list[MetricFamily] | None = None
    refusal: InconsistentPush | None = None
    stale_after: int | None = None
    receipt: Receipt | None = None
    dry_run: bool = False
    merged: Merged | None = None

    def metrics(self, at: int) -> list[Metric]:
        """Return the metrics of the family at a position of the payload."""
        if self.families is not None:
            return self.families[at].metrics
        return stored_metrics(self.payload, at)


@dataclass(frozen=True, slots=True)
class PushAll:
    """Pushes to different groups that are accepted together or not at all."""

    pushes: tuple[Push, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of some groups, as far as they exist. Its answer is the keys of those
    that did.

    wanted: says of a group whether it is meant, when the write has its turn. It is
    asked about forgotten groups too, which are still in the store. ended_jobs: jobs of
    which nothing is kept. ends_runs: whether nothing is kept of any run, and nothing is
    expected any more.
    """

    keys: tuple[GroupingKey, ...]
    wanted: Callable[[Group], bool] = lambda _: True
    ended_jobs: frozenset[str] = frozenset()
    ends_runs: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSeries:
    """The end of some series of the group `key`, which has `held` and shall have
    `left`. Its answer is whether it had that."""

    key: GroupingKey
    held: Contents
    left: Contents


@dataclass(frozen=True, slots=True)
class Import:
    """Groups as they are elsewhere: they replace what is here and older. The answer
    is a list: None for a group that was taken over, NOT_OLDER, or why it is refused.

    The revisions of `groups` mean nothing. dry_run: whether nothing may change.
    """

    groups: tuple[Group, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReportRun:
    """What a client says of a run. Its answer is a `Reported`.

    push: of the metrics that the run left, at the moment of its end; without payload if
    `problem` says why they cannot be read. may_see: of which groups who reports may
    know; None for all.
    """

    report: Report
    push: Push | None = None
    problem: PushrelayError | None = None
    may_see: Callable[[GroupingKey], bool] | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a report.

    run: as it is known now. warnings: for the client. is_replay: whether the report
    said nothing new. refusal: why the metrics that came with it were refused, if they
    were.
    """

    run: Run
    warnings: tuple[str, ...] = ()
    is_replay: bool = False
    refusal: Exception | None = None


@dataclass(frozen=True, slots=True)
class ChangeExpectation:
    """A change of what is expected of `job`. Its answer is what is expected after it.

    makes_known: whether the job may be one of which nothing is known.
    """

    job: str
    change: Callable[[JobExpectation], JobExpectation]
    makes_known: bool = False


@dataclass(frozen=True, slots=True)
class FollowRules:
    """From now on, jobs are expected to run as the job rules say."""


@dataclass(frozen=True, slots=True)
class ForgetRuns:
    """The end of the evidence of the keys with these ids, as far as it is forgotten.
    The answer is of how many that was so."""

    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Changes nothing. The answer is all groups there are in its turn, forgotten ones
    included."""


NOT_OLDER = "the group is here already, and not older"
"""The answer for a group of an import that has nothing new."""

RunWrite = ReportRun | ChangeExpectation | FollowRules | ForgetRuns
Write = Push | PushAll | Delete | DeleteSeries | Import | Look | RunWrite


def size_of(write: Write) -> int:
    """Return how many bytes of series `write` brings."""
    match write:
        case Push():
            return write.payload.bytes
        case PushAll():
            return sum([push.payload.bytes for push in write.pushes])
        case Import():
            return sum([group.payload.bytes for group in write.groups])
        case ReportRun(_, Push() as push):
            return push.payload.bytes
        case _:
            return 0


def receipt_of(key: GroupingKey, idempotency_key: str, body: bytes, at: int) -> Receipt:
    """Return the receipt of a push of the decoded `body` to the group `key`."""
    id_ = hashlib.sha256(key.id + idempotency_key.encode(errors="surrogateescape"))
    return Receipt(id_.digest(), hashlib.sha256(body).digest(), at)
