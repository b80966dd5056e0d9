"""Puts the labels of the grouping key in place on a pushed series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pushrelay.config import Limits
from pushrelay.errors import REFUSAL, InvalidLabels, LimitExceeded
from pushrelay.exposition.escaping import Escaping, escape_label_name
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Labels, is_legacy_label_name
from pushrelay.quoting import quote


def check_grouping_labels(key: GroupingKey, limits: Limits) -> None:
    """Raise LimitExceeded or InvalidLabels if no series could bear the labels of
    `key`."""
    _check_limits(key.labels, limits)
    _check_names(key.names)


def place_labels(
    pushed: list[tuple[str, str]], key: GroupingKey, limits: Limits
) -> Labels:
    """Return the labels of a series once it belongs to the group `key`.

    The grouping labels override those of the body, an absent `instance` becomes
    `instance=""`, and the pairs are sorted by name. A name that the body repeated
    stays repeated (only protobuf bodies can), for the consistency check to refuse.

    Raises LimitExceeded for too many pushed labels or too long a value, and
    InvalidLabels for names that escaping would make equal.
    """
    _check_limits(pushed, limits)
    implied = {"instance": ""}
    names = {name for name, _ in pushed}
    if len(names) < len(pushed):
        missing = {**implied, **dict(key.labels)}
        placed = [pair for pair in missing.items() if pair[0] not in names]
        return tuple(sorted([*pushed, *placed]))
    labels = {**implied, **dict(pushed), **dict(key.labels)}
    _check_names(labels)
    return tuple(sorted(labels.items()))


def _check_limits(labels: Sequence[tuple[str, str]], limits: Limits) -> None:
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


def _check_names(names: Iterable[str]) -> None:
    """Raise InvalidLabels if two of `names` are one for a scraper that wants names
    escaped: a series with a label twice makes Prometheus drop the whole scrape."""
    if all(map(is_legacy_label_name, names)):
        return
    for scheme in Escaping:
        # The name of the metric is a label too.
        shown = {"__name__": "__name__"}
        for name in names:
            other = shown.setdefault(escape_label_name(name, scheme), name)
            if other != name:
                raise InvalidLabels(
                    f"{REFUSAL}the labels {quote(other)} and {quote(name)} of one "
                    f"series become the same once they are escaped ({scheme.value})"
                )
