"""What an identity may do: the rights of routes, and the groups that a grant covers.

Each function raises NotAllowed, or NotAuthenticated for who did not say who they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from pushrelay.errors import NotAllowed, NotAuthenticated
from pushrelay.exposition.stored import from_stored
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.quoting import quote
from pushrelay.rights import Identity, Right
from pushrelay.writes import Push


def require_right(identity: Identity, right: Right) -> None:
    """Require `right`, for some groups at least."""
    if identity.grant.allows(right):
        return
    if identity.is_anonymous:
        raise NotAuthenticated(f"to {_DOING[right]}, say who you are")
    scopes = ", ".join(sorted(identity.grant.rights))
    raise NotAllowed(
        f"{identity} may not {_DOING[right]}: that needs the scope {right}, and it has "
        f"{scopes}"
    )


def require_known(identity: Identity) -> None:
    """Require somebody who said who they are, where that is asked for."""
    if identity.is_anonymous and not identity.is_anybody:
        raise NotAuthenticated("say who you are")


def require_group(identity: Identity, key: GroupingKey) -> None:
    """Require a grant that covers the group `key`."""
    if not identity.grant.covers(key):
        raise NotAllowed(f"{identity} is for {identity.grant}, and not for {key}")


def require_series(identity: Identity, push: Push) -> None:
    """Require a grant that covers all series of `push`, whose group it covers.

    Matchers about a label that the group does not have match the empty value; a series
    could have another one, and pass for one of a group that is not covered.
    """
    grant = identity.grant
    if grant.covers_all_series(push.key):
        return
    for family in push.payload.families():
        for metric in from_stored(family).metrics:
            if not grant.covers_labels(dict(metric.labels)):
                raise NotAllowed(
                    f"{identity} is for {grant}, and not for series of {family.name} "
                    f"with the labels {_text(metric.labels)}"
                )


def _text(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}={quote(value)}" for name, value in labels) + "}"


def require_job(identity: Identity, job: str) -> None:
    """Require a grant that covers all groups that `job` could have."""
    if not identity.grant.covers_job(job):
        raise NotAllowed(
            f"{identity} is for {identity.grant}, and not for the whole of "
            f"{GroupingKey.of({'job': job})}"
        )


def require_all_groups(identity: Identity) -> None:
    """Require a grant that covers whatever there may be."""
    if identity.grant.is_bounded:
        raise NotAllowed(
            f"{identity} is for {identity.grant}, and this is about all groups"
        )


def covered(identity: Identity, groups: list[Group]) -> list[Group]:
    """Return those of `groups` that the grant covers."""
    grant = identity.grant
    if not grant.is_bounded:
        return groups
    return [group for group in groups if grant.covers(group.key)]


_DOING = {
    Right.PUSH: "push",
    Right.SCRAPE: "scrape",
    Right.READ: "read",
    Right.ADMIN: "manage this relay",
    Right.HEALTH: "probe this relay",
}
