"""Who may do what: rights, and whom they are granted to.

Matchers on the grouping key bound a grant: what is outside them may be neither changed
nor seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pushrelay.config import Limits
from pushrelay.grouping_key import GroupingKey
from pushrelay.job_rules import RuleLimits
from pushrelay.matchers import Selector

JOB = "job"
ANONYMOUS = "anonymous"
TOKEN = "token"  # noqa: S105  # no secret: a kind of identity
USER = "user"


class Right(StrEnum):
    """What an endpoint asks for. ADMIN includes all others; HEALTH comes with any."""

    PUSH = "push"
    SCRAPE = "scrape"
    READ = "read"
    ADMIN = "admin"
    HEALTH = "health"


SCOPES = (Right.PUSH, Right.SCRAPE, Right.READ, Right.ADMIN)
"""What a token may be given."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The `rights`, for groups that any of `selectors` (of grouping labels) matches;
    without selectors, for all groups there are."""

    rights: frozenset[Right]
    selectors: tuple[Selector, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Whether there are groups that it is not for."""
        return bool(self.selectors)

    def __str__(self) -> str:
        """The groups, in words."""
        if not self.selectors:
            return "all groups"
        return "groups that match " + " or ".join(map(str, self.selectors))

    def allows(self, right: Right) -> bool:
        """Whether it has `right`, for some groups at least."""
        rights = self.rights
        if right is Right.HEALTH:
            return bool(rights)
        return right in rights or Right.ADMIN in rights

    def covers(self, key: GroupingKey) -> bool:
        """Whether it is for the group `key`."""
        return not self.selectors or self.covers_labels(dict(key.labels))

    def covers_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether it is for what has these labels, if it is bounded."""
        return any(selector.matches(labels) for selector in self.selectors)

    def covers_all_series(self, key: GroupingKey) -> bool:
        """Whether it is for whatever series the group `key` may have, in which labels
        that are not in the key may be anything."""
        if not self.selectors:
            return True
        labels = dict(key.labels)
        return any(selector.matches_all_with(labels) for selector in self.selectors)

    def covers_job(self, job: str) -> bool:
        """Whether it is for every group that `job` could have."""
        return not self.selectors or any(
            selector.matches_all_with({JOB: job}) for selector in self.selectors
        )

    def may_cover_some_of(self, job: str) -> bool:
        """Whether it may be for some group that `job` could have."""
        return not self.selectors or any(
            selector.may_match_with({JOB: job}) for selector in self.selectors
        )


@dataclass(frozen=True)
class Identity:
    """Who asks, with what they may do.

    name: of the token or the user, for people. kind: `token`, `user` or `anonymous`.
    limits: of what they push, tighter than those of the relay; None if none are. id: of
        the token, for its name may be given again.
    """

    name: str
    kind: str
    grant: Grant
    limits: RuleLimits | None = None
    id: str = ""

    def __str__(self) -> str:
        return f'the {self.kind} "{self.name}"' if self.name else "anonymous"

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said who they are."""
        return self.kind == ANONYMOUS

    @property
    def is_anybody(self) -> bool:
        """Whether nobody is asked who they are."""
        return self is ANYBODY

    def limits_within(self, limits: Limits) -> Limits:
        """Return `limits`, tighter where they are for this one."""
        return self.limits.within(limits) if self.limits else limits


ALL_RIGHTS = Grant(frozenset(SCOPES))
NO_RIGHTS = Grant(frozenset())

ANYBODY = Identity("", ANONYMOUS, ALL_RIGHTS)
"""Whoever asks a relay that asks nobody who they are."""


def anonymous(doors: frozenset[Right]) -> Identity:
    """Return who asks without saying who they are, where `doors` are open to them."""
    return Identity("", ANONYMOUS, Grant(doors))
