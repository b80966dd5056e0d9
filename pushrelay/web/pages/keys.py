"""Grouping keys as addresses and forms of pages carry them, and their groups."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Sequence

from pushrelay.errors import InvalidRequest
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group


def read_key(written: str) -> GroupingKey:
    """Return the key that `written` stands for. Raises InvalidRequest."""
    try:
        padded = written + "=" * (-len(written) % 4)
        canonical = base64.b64decode(padded, b"-_", validate=True)
        key = GroupingKey.from_canonical(canonical)
        labels = dict(key.labels)
        # Only one form of each key is the name of a group.
        if labels.get("job") and GroupingKey.of(labels) == key:
            return key
    except (binascii.Error, ValueError):
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
