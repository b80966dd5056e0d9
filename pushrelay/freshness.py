"""Fresh, stale, forgotten: what the times of a group come to at some moment.

Nothing here is stored and nothing has to sweep: a state follows from the times of the
pushes, the policy and `now`. What goes stale is withheld from scrapes; what tells that
it is missing stays, so that alerts on absence go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pushrelay.model import MetricType

IsTimestamp = Callable[[str], bool]
"""Whether a family of this name is a point in time, which must outlive its push."""

_POINTS_IN_TIME = (MetricType.GAUGE, MetricType.UNTYPED)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a group goes stale and is forgotten; durations in nanoseconds, None: never.

    stale_after: counts from the push of each family.
    forget_after: counts from the last sign of life of the group.
    forgets_when_stale: whether it is forgotten once no family is fresh and the last
        refused push is as old, too.
    """

    stale_after: int | None = None
    forget_after: int | None = None
    forgets_when_stale: bool = False

    @property
    def forgets_runs_after(self) -> int | None:
        """How long after their last sign of life the evidence of runs is forgotten."""
        ends = [self.forget_after]
        if self.forgets_when_stale:
            ends.append(self.stale_after)
        return min([end for end in ends if end is not None], default=None)


@dataclass(frozen=True, slots=True)
class Times:
    """What a group's state follows from; Unix nanoseconds, 0 for never.

    families: (name, type, time of the push that wrote it) of each.
    """

    created_at: int
    pushed_at: int
    failed_at: int
    families: tuple[tuple[str, MetricType, int], ...]

    @property
    def last_sign_of_life(self) -> int:
        """Time of the last push, accepted or refused, or else of the beginning."""
        return max(self.created_at, self.pushed_at, self.failed_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a group under its policy; Unix nanoseconds, None: never.

    stale_at: from when on no family is fresh. forget_at: from when on the group is
    forgotten. withheld: names of the families that scrapes do not show. due: when the
    next of all this changes.
    """

    policy: Policy
    stale_at: int | None
    forget_at: int | None
    is_stale: bool
    is_forgotten: bool
    withheld: frozenset[str]
    due: int | None


def standing_of(
    policy: Policy, times: Times, is_timestamp: IsTimestamp, now: int
) -> Standing:
    """Return the state at `now`. At the very moment that something is due, it is so."""
    stale_at = _stale_at(policy, times)
    forget_at = _forget_at(policy, times, stale_at)
    stale_after = policy.stale_after
    ends = (
        []
        if stale_after is None
        else [(name, type_, at + stale_after) for name, type_, at in times.families]
    )
    withheld = frozenset(
        [
            name
            for name, type_, end in ends
            if end <= now and not (type_ in _POINTS_IN_TIME and is_timestamp(name))
        ]
    )
    return Standing(
        policy,
        stale_at,
        forget_at,
        is_stale=stale_at is not None and stale_at <= now,
        is_forgotten=forget_at is not None and forget_at <= now,
        withheld=withheld,
        due=_next((stale_at, forget_at, *[end for _, _, end in ends]), now),
    )


def _stale_at(policy: Policy, times: Times) -> int | None:
    if policy.stale_after is None:
        return None
    if not times.pushed_at:
        # There was nothing that could have been fresh.
        return times.created_at
    written = [at for _, _, at in times.families]
    return max(written, default=times.pushed_at) + policy.stale_after


def _forget_at(policy: Policy, times: Times, stale_at: int | None) -> int | None:
    ends = []
    if policy.forgets_when_stale and policy.stale_after is not None:
        # For as long, failures are shown too.
        ends.append(max(stale_at or 0, times.failed_at + policy.stale_after))
    if policy.forget_after is not None:
        # What is fresh is not forgotten, whatever the durations are.
        end = times.last_sign_of_life + policy.forget_after
        ends.append(max(end, stale_at or 0))
    return min(ends, default=None)


def _next(moments: Iterable[int | None], now: int) -> int | None:
    ahead = [moment for moment in moments if moment is not None and moment > now]
    return min(ahead, default=None)
