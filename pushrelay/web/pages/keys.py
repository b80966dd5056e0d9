"""Grouping keys as addresses and forms of pages carry them, and their groups."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from pushrelay.errors import InvalidRequest
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.url_base64 import from_base64, to_base64


def written_key(key: GroupingKey) -> str:
    """Return what stands for a grouping key in an address."""
    return to_base64(key.canonical)


def read_key(written: str) -> GroupingKey:
    """Return the key that `written` stands for. Raises InvalidRequest."""
    try:
        key = GroupingKey.from_canonical(from_base64(written))
        labels = dict(key.labels)
        # Only one form of each key is the name of a group.
        if labels.get("job") and GroupingKey.of(labels) == key:
            return key
    except ValueError:
        pass
    raise InvalidRequest(
        "the key in the address is none of a group; follow a link from the list of "
        "groups"
    )


def group_in(groups: Sequence[Group], key: GroupingKey) -> Group | None:
    """Return the one of `groups`, which are sorted by key, that has `key`."""
    canonical = key.canonical
    at = bisect_left(groups, canonical, key=lambda group: group.key.canonical)
    if at < len(groups) and groups[at].key.canonical == canonical:
        return groups[at]
    return None
