"""The writes that the store's writer is given. What they do is said in `deciding`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pushrelay.aggregation import Mode
from pushrelay.errors import InconsistentPush
from pushrelay.exposition.stored import from_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, Payload
from pushrelay.model import Metric, MetricFamily
from pushrelay.store.receipts import Receipt

DELETED_AT_ONCE = 15_000
"""Families that go in one commit, so that pushes get their turn in between; a group
counts for some more. 1,000 groups of ten families take about 30 ms."""

_GROUP_ITSELF = 5


@dataclass(frozen=True, slots=True)
class Push:
    """One write to one group. Its answer is whether it had been done before.

    payload: the families it brings. at: Unix nanoseconds. families: the same as they
    were read, None where that was not needed. refusal: set if the push is not
    acceptable whatever else is stored, so that it is only booked as a failure.
    stale_after: nanoseconds, what the group's policy is from now on. receipt: what
    makes a retry of the push count once. dry_run: whether nothing may change.
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

    def metrics(self, at: int) -> list[Metric]:
        """Return the metrics of the family at a position of the payload."""
        if self.families is not None:
            return self.families[at].metrics
        return from_stored(self.payload.family(at)).metrics


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
    which nothing is kept.
    """

    keys: tuple[GroupingKey, ...]
    wanted: Callable[[Group], bool] = lambda _: True
    ended_jobs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Import:
    """Groups as they are elsewhere: they replace what is here and not newer. The answer
    says of each whether it was taken over, or why not.

    The revisions of `groups` mean nothing. dry_run: whether nothing may change.
    """

    groups: tuple[Group, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Changes nothing. The answer is all groups there are in its turn, forgotten ones
    included."""


Write = Push | PushAll | Delete | Import | Look


def deletions_of(
    groups: Sequence[Group],
    wanted: Callable[[Group], bool],
    ended_jobs: frozenset[str],
) -> Iterator[Delete]:
    """Yield what deletes those of `groups` that are wanted, in portions; with it
    `ended_jobs` end, also where there are no groups."""
    portion: list[GroupingKey] = []
    size = 0
    for group in groups:
        portion.append(group.key)
        size += _GROUP_ITSELF + len(group.payload.layout.families)
        if size >= DELETED_AT_ONCE:
            yield Delete(tuple(portion), wanted, ended_jobs)
            portion, size = [], 0
    if portion or (ended_jobs and not groups):
        yield Delete(tuple(portion), wanted, ended_jobs)


def receipt_of(key: GroupingKey, idempotency_key: str, body: bytes, at: int) -> Receipt:
    """Return the receipt of a push of the decoded `body` to the group `key`."""
    id_ = hashlib.sha256(key.id + idempotency_key.encode(errors="surrogateescape"))
    return Receipt(id_.digest(), hashlib.sha256(body).digest(), at)
