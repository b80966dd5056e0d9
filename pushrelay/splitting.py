"""Splits the families of one body into groups by some of their labels."""

from __future__ import annotations

from collections.abc import Sequence

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition.stored import pick_metrics
from pushrelay.findings import braces
from pushrelay.grouping_key import GroupingKey, is_label_name
from pushrelay.model import Labels, MetricFamily, is_utf8
from pushrelay.quoting import quote

Groups = dict[GroupingKey, list[MetricFamily]]


def parse_by(
    written: str | None, limits: Limits, *, utf8_names: bool = False
) -> tuple[str, ...]:
    """Return the label names that `by=` lists, separated by commas.

    Raises InvalidRequest unless they are names, each there once, and `job` is one, and
    LimitExceeded for more than a grouping key may have.
    """
    names = tuple((written or "").split(","))
    if len(names) > limits.labels:
        raise LimitExceeded(
            "labels", f"by: there are more than the limit of {limits.labels} labels"
        )
    if written is None or "job" not in names:
        raise InvalidRequest(
            "say by which labels to split the body, job among them: ?by=job,instance"
        )
    for name in names:
        if not is_label_name(name, utf8_names=utf8_names):
            raise InvalidRequest(f"by: improper label name {quote(name)}")
        if names.count(name) > 1:
            raise InvalidRequest(f"by: the label {name} is there more than once")
    return names


def split(families: Sequence[MetricFamily], by: Sequence[str], most: int) -> Groups:
    """Return the part of `families` that each group gets.

    A group is what has the same values of the labels `by`; an empty one is like none.
    Raises InvalidRequest for a series without a job, and LimitExceeded for more than
    `most` groups.
    """
    groups: Groups = {}
    # Which key a label set belongs to is found out once for all families.
    known: dict[tuple[str, ...], GroupingKey] = {}
    for family in families:
        for key, positions in _positions(family, by, known).items():
            groups.setdefault(key, []).append(_part(family, positions))
        if len(groups) > most:
            raise LimitExceeded(
                "groups", f"the body has more than the limit of {most} groups"
            )
    return groups


def _positions(
    family: MetricFamily, by: Sequence[str], known: dict[tuple[str, ...], GroupingKey]
) -> dict[GroupingKey, list[int]]:
    """Return which metrics of `family` belong to which group."""
    found: dict[GroupingKey, list[int]] = {}
    for position, metric in enumerate(family.metrics):
        labels = dict(metric.labels)
        values = tuple([labels.get(name, "") for name in by])
        key = known.get(values)
        if key is None:
            key = known[values] = _key(family.name, metric.labels, by, values)
        found.setdefault(key, []).append(position)
    return found


def _key(
    name: str, labels: Labels, by: Sequence[str], values: Sequence[str]
) -> GroupingKey:
    chosen = {n: value for n, value in zip(by, values, strict=True) if value}
    if "job" not in chosen:
        raise InvalidRequest(
            f"the series {name}{braces(labels)} has no job: without one, nobody can "
            "tell which group it belongs to"
        )
    for label, value in chosen.items():
        if not is_utf8(value):
            raise InvalidRequest(
                f"the label {quote(label)} of {name} is not valid UTF-8: {quote(value)}"
            )
    return GroupingKey.of(chosen)


def _part(family: MetricFamily, positions: list[int]) -> MetricFamily:
    is_all = len(positions) == len(family.metrics)
    return family if is_all else pick_metrics(family, positions)
