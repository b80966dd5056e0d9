"""Puts the labels of the grouping key in place on pushed series."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter

from pushrelay.config import Limits
from pushrelay.errors import REFUSAL, InvalidLabels, LimitExceeded
from pushrelay.exposition.escaping import Escaping, escape_label_name
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Labels, is_legacy_label_name
from pushrelay.quoting import quote

Pair = tuple[str, str]
Plan = Callable[[Iterable[Pair]], Labels]

_IMPLIED = ("instance", "")
# So many orders of names no usual body has.
_REMEMBERED = 4096


def check_grouping_labels(key: GroupingKey, limits: Limits) -> None:
    """Raise LimitExceeded or InvalidLabels if no series could bear the labels of
    `key`."""
    check_labels(key.labels, limits)
    _check_names(key.names)


def check_labels(labels: Collection[Pair], limits: Limits) -> None:
    """Raise LimitExceeded for too many labels or too long a value."""
    _check_number(len(labels), limits)
    _check_values(labels, limits)


class LabelPlacer:
    """Puts labels in place on one series of the group `key` after the other; without a
    key, the labels of the body are all there are.

    What follows from the names alone is found out once for all series that bear the
    same names in the same order.
    """

    def __init__(self, key: GroupingKey | None, limits: Limits) -> None:
        self._of_group = key.labels if key else ()
        self._limits = limits
        self._plans: dict[tuple[str, ...], Plan] = {}

    def place(self, pushed: Sequence[Pair]) -> Labels:
        """Return the labels of a series that was pushed with the labels `pushed`.

        The grouping labels override those of the body, an absent `instance` becomes
        `instance=""`, and the pairs are sorted by name. A name that the body repeated
        stays repeated (only protobuf bodies can), for the consistency check to refuse.

        Raises LimitExceeded for too many pushed labels or too long a value, and
        InvalidLabels for names that escaping would make equal.
        """
        names = tuple([name for name, _ in pushed])
        plan = self._plans.get(names)
        if plan is None:
            return self._place_unknown(names, pushed)
        _check_values(pushed, self._limits)
        return plan(pushed)

    def plan(self, names: Sequence[str]) -> Plan:
        """Return what puts labels with these names in place, each of them there once,
        and leaves it to its caller whether a value is too long."""
        _check_number(len(names), self._limits)
        # The last one with a name is the one that counts.
        of_group = self._of_group
        sources = (_IMPLIED[0], *names, *[name for name, _ in of_group])
        positions = {name: position for position, name in enumerate(sources)}
        _check_names(positions)
        order = [positions[name] for name in sorted(positions)]
        if len(order) == 1:
            # Without a group, and not with anything but an instance.
            return lambda pairs: ((_IMPLIED, *pairs)[order[0]],)
        pick = itemgetter(*order)
        return lambda pairs: pick((_IMPLIED, *pairs, *of_group))

    def _place_unknown(self, names: tuple[str, ...], pushed: Sequence[Pair]) -> Labels:
        _check_number(len(names), self._limits)
        _check_values(pushed, self._limits)
        if len(set(names)) < len(names):
            missing = dict([_IMPLIED, *self._of_group])
            added = [pair for pair in missing.items() if pair[0] not in names]
            return tuple(sorted([*pushed, *added]))
        if len(self._plans) >= _REMEMBERED:
            self._plans.clear()
        plan = self._plans[names] = self.plan(names)
        return plan(pushed)


def _check_number(number: int, limits: Limits) -> None:
    if number > limits.labels:
        raise LimitExceeded(
            "labels", f"there are {number} labels; the limit is {limits.labels}"
        )


def _check_values(labels: Iterable[Pair], limits: Limits) -> None:
    most = limits.label_value_bytes
    for name, value in labels:
        # A character takes at most four bytes, so short values need no encoding.
        if len(value) * 4 > most and len(value.encode(errors="surrogateescape")) > most:
            raise LimitExceeded(
                "label_value_bytes",
                f"the value of label {quote(name)} is longer than the limit of "
                f"{most} bytes",
            )


def _check_names(names: Collection[str]) -> None:
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
