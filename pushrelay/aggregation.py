"""Push modes: how a push meets what its group holds already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from pushrelay.contents import Contents
from pushrelay.exposition.stored import from_stored, pick_metrics, to_stored
from pushrelay.findings import Findings
from pushrelay.freshness import IsTimestamp
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Payload, StoredFamily
from pushrelay.matchers import METRIC_NAME, Selector
from pushrelay.merged_family import merge_families
from pushrelay.merged_lines import merge_lines
from pushrelay.model import MetricFamily, MetricType
from pushrelay.quoting import quote

_PLAIN = (MetricType.GAUGE, MetricType.UNTYPED)
ADDED = (MetricType.COUNTER, MetricType.SUMMARY, MetricType.HISTOGRAM)
"""The types of what counts something, so that it is added."""


class Mode(Enum):
    """replace: the push is all the group holds (PUT). update: families of the same
    name are replaced as a whole, the others stay (POST). merge: series are replaced,
    the others stay. add: like merge, but what counts something is added to what is
    held. accumulate: like add, but what is pushed are running totals, of which the
    increase since the last push is added."""

    REPLACE = "replace"
    UPDATE = "update"
    MERGE = "merge"
    ADD = "add"
    ACCUMULATE = "accumulate"


MERGING = (Mode.MERGE, Mode.ADD, Mode.ACCUMULATE)
"""The modes in which a push is put together with what its group holds, by series."""


def combine(
    mode: Mode,
    held: Payload,
    pushed: Payload,
    is_timestamp: IsTimestamp,
    key: GroupingKey | None = None,
) -> Payload:
    """Return what a group that holds `held` holds after a push, in pushed order. Both
    have their labels in place; `key` is the group's, to be named in problems. Only
    `accumulation` knows how to accumulate.

    Raises InconsistentPush if the modes merge and add do not allow the push.
    """
    assert mode is not Mode.ACCUMULATE  # noqa: S101  # needs the running totals
    if mode is Mode.REPLACE or (held.layout is pushed.layout and mode is Mode.UPDATE):
        return pushed
    families = {family.name: family for family in held.families()}
    if mode is Mode.UPDATE:
        families.update({family.name: family for family in pushed.families()})
        return Payload.of(families.values())
    findings = Findings(key)
    _merge(mode, families, pushed, is_timestamp, findings)
    findings.raise_if_any()
    merged = Payload.of(families.values())
    if _have_same_series(merged, pushed):
        return replace(merged, likeness=pushed.likeness)
    return merged


def without_series(held: Contents, selectors: Sequence[Selector]) -> Contents:
    """Return `held` without the series that any of `selectors` matches, by their labels
    and, as the label `__name__`, their names."""
    payload, running = held
    if running is not None:
        running = _left_of(running, selectors).or_none()
    return Contents(_left_of(payload, selectors), running)


def _left_of(held: Payload, selectors: Sequence[Selector]) -> Payload:
    families = [_without(family, selectors) for family in held.families()]
    return Payload.of([family for family in families if family is not None])


def _without(held: StoredFamily, selectors: Sequence[Selector]) -> StoredFamily | None:
    fitting = [s for s in selectors if s.value_of(METRIC_NAME) in (None, held.name)]
    if not fitting:
        return held
    family, name = from_stored(held), {METRIC_NAME: held.name}
    kept = [
        at
        for at, metric in enumerate(family.metrics)
        if not any(s.matches(name | dict(metric.labels)) for s in fitting)
    ]
    if len(kept) == len(family.metrics):
        return held
    return to_stored(pick_metrics(family, kept), held.pushed_at) if kept else None


def _have_same_series(merged: Payload, pushed: Payload) -> bool:
    """Tell it from the numbers, for what was pushed is in `merged`."""
    return (
        merged.layout.size == pushed.layout.size
        and merged.layout.index.keys() == pushed.layout.index.keys()
    )


def _merge(
    mode: Mode,
    families: dict[str, StoredFamily],
    pushed: Payload,
    is_timestamp: IsTimestamp,
    findings: Findings,
) -> None:
    """Merge `pushed` into the held `families`; note in `findings` what cannot be."""
    for family in pushed.families():
        held = families.get(family.name)
        if held is not None and held.type is not family.type:
            _add_type_problem(findings, held, family)
            continue
        problem = _name_problem(family, is_timestamp) if mode is Mode.ADD else None
        if problem is not None:
            findings.add("mode", problem, family=family.name)
            continue
        if mode is Mode.ADD and _is_info(family):
            families[family.name] = family
            continue
        adds = mode is Mode.ADD and family.type in ADDED
        families[family.name] = _merged(held, family, findings, adds=adds)


def _is_info(pushed: StoredFamily) -> bool:
    """Whether the labels are what it tells, so that old label sets are no more true."""
    return pushed.name.endswith("_info") and pushed.type in _PLAIN


def _add_type_problem(
    findings: Findings, held: StoredFamily, pushed: StoredFamily
) -> None:
    advice = "replace the group with PUT, or delete it first"
    if pushed.type is MetricType.UNTYPED:
        # Most who declare no type do not mean to lose what is held.
        advice = f"declare its TYPE; to start anew instead, {advice}"
    findings.add(
        "mode",
        f"metric family {quote(pushed.name)} is pushed as {pushed.type.name}, but its "
        f"group holds it as {held.type.name}; {advice}",
        family=pushed.name,
        type=pushed.type.name,
        other_type=held.type.name,
    )


def _name_problem(pushed: StoredFamily, is_timestamp: IsTimestamp) -> str | None:
    """Return why nobody should add up what is named so."""
    name, type_ = pushed.name, pushed.type
    if type_ is MetricType.COUNTER and is_timestamp(name):
        return (
            f"counter {quote(name)} is a point in time by its name, and those are not "
            "added up; declare it as a gauge"
        )
    if type_ is MetricType.UNTYPED and name.endswith("_total"):
        return (
            f"metric family {quote(name)} has no type, so that nobody knows whether to "
            "add or to replace it; declare its TYPE"
        )
    return None


def _merged(
    held: StoredFamily | None,
    pushed: StoredFamily,
    findings: Findings,
    *,
    adds: bool,
) -> StoredFamily:
    if held is None:
        if adds:
            nothing = MetricFamily(pushed.name, pushed.type)
            merge_families(nothing, from_stored(pushed), findings, adds=True)
        return pushed
    merged = merge_lines(held, pushed, adds=adds)
    if merged is not None:
        return merged
    family = merge_families(from_stored(held), from_stored(pushed), findings, adds=adds)
    return to_stored(family, pushed.pushed_at)
