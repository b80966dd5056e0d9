"""What an identity may do: the rights of routes, and the groups that a grant covers.

Each function raises NotAllowed, or NotAuthenticated for who did not say who they are.
"""

from __future__ import annotations

from pushrelay.errors import NotAllowed, NotAuthenticated
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.rights import Identity, Right


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
