"""Puts the labels of the grouping key in place on a pushed series."""

from __future__ import annotations

from collections.abc import Sequence

from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Labels
from pushrelay.quoting import quote


def check_label_limits(labels: Sequence[tuple[str, str]], limits: Limits) -> None:
    """Raise LimitExceeded if these are too many labels, or a value is too long."""
    if len(labels) > limits.labels:
        raise LimitExceeded(
            "labels", f"there are {len(labels)} labels; the limit is {limits.labels}"
        )
    for name, value in labels:
        # A character takes at most four bytes, so short values need no encoding.
        if (
            len(value) * 4 > limits.label_value_bytes
            and len(value.encode(errors="surrogateescape")) > limits.label_value_bytes
        ):
            raise LimitExceeded(
                "label_value_bytes",
                f"the value of label {quote(name)} is longer than the limit of "
                f"{limits.label_value_bytes} bytes",
            )


def place_labels(
    pushed: list[tuple[str, str]], key: GroupingKey, limits: Limits
) -> Labels:
    """Return the labels of a series once it belongs to the group `key`.

    The grouping labels override those of the body, an absent `instance` becomes
    `instance=""`, and the pairs are sorted by name. A name that the body repeated
    stays repeated (only protobuf bodies can), for the consistency check to refuse.

    Raises LimitExceeded for too many pushed labels or too long a value.
    """
    check_label_limits(pushed, limits)
    implied = {"instance": ""}
    names = {name for name, _ in pushed}
    if len(names) < len(pushed):
        missing = {**implied, **dict(key.labels)}
        placed = [pair for pair in missing.items() if pair[0] not in names]
        return tuple(sorted([*pushed, *placed]))
    return tuple(sorted({**implied, **dict(pushed), **dict(key.labels)}.items()))
