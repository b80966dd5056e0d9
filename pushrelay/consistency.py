"""What makes a push acceptable beside all that is stored: with it, the exposition must
still be legal.

The rules are those of the Pushgateway (client_golang's gatherer), which checks its
whole store at each push. Here the cost follows the push: names are looked up, and so
are the few groups that could hold the same series (see `rivals`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pushrelay.catalog import Catalog
from pushrelay.errors import REFUSAL, InvalidGroupingKey
from pushrelay.findings import DUPLICATE, MAX_PROBLEMS, Findings, braces
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import FamilyShape, Layout, Payload
from pushrelay.model import (
    HISTOGRAMS,
    Metric,
    MetricType,
)
from pushrelay.problems import OWN_METRICS
from pushrelay.quoting import quote
from pushrelay.rivals import Rivals, series_heads

MetricsOf = Callable[[int], list[Metric]]
"""Gives the metrics of the pushed family at a position."""

_SUFFIXES = {
    "_count": (MetricType.SUMMARY, *HISTOGRAMS),
    "_sum": (MetricType.SUMMARY, *HISTOGRAMS),
    "_bucket": HISTOGRAMS,
}
"""Names that a family of one of these types takes for itself."""


def require_unambiguous(key: GroupingKey, catalog: Catalog) -> None:
    """Raise InvalidGroupingKey if the evidence of `key` would be that of another group.

    `{job="a"}` and `{job="a",instance=""}` are two groups with the same labels once
    `instance=""` is made explicit.
    """
    if catalog.group(key) is not None:
        return
    labels = dict(key.labels)
    if labels.get("instance", "") != "":
        return
    if "instance" in labels:
        del labels["instance"]
    else:
        labels["instance"] = ""
    twin = catalog.group(GroupingKey.of(labels))
    if twin is not None:
        raise InvalidGroupingKey(
            f"{REFUSAL}the group {key} cannot exist beside the group {twin.key}: both "
            'are exposed with instance=""; push to that one, or delete it first'
        )


def check_against(
    catalog: Catalog,
    key: GroupingKey,
    pushed: Payload,
    held: Payload,
    metrics_of: MetricsOf,
) -> None:
    """Raise InconsistentPush if `pushed` must not become part of the group `key`.

    pushed: families that `check_alone` has passed.
    held: all families that the group will hold, pushed or kept.
    metrics_of: gives the metrics of a pushed family; asked only where labels matter.
    """
    findings = Findings(key)
    rivals = Rivals(key, catalog)
    for at, family in enumerate(pushed.layout.families):
        metrics = partial(metrics_of, at)
        _check_type(findings, family, key, catalog, metrics)
        _check_suffixes(findings, family, key, held.layout, catalog)
        _check_rivals(findings, family, pushed, rivals, metrics)
    findings.raise_if_any()


def _check_type(
    findings: Findings,
    family: FamilyShape,
    key: GroupingKey,
    catalog: Catalog,
    metrics: Callable[[], list[Metric]],
) -> None:
    name, type_ = family.name, family.type
    own = catalog.own_type(name)
    if own is not None and own != type_:
        findings.add(
            "type",
            f"gathered metric family {name} has type {type_.name} but should have "
            f"{own.name}, which is its type among {OWN_METRICS}",
            family=name,
            other_group=OWN_METRICS,
            type=type_.name,
            other_type=own.name,
        )
    for other, holder in catalog.holders(name, key).items():
        if other != type_:
            labels = braces(metrics()[0].labels if family.size else ())
            other_key = GroupingKey.from_canonical(holder)
            findings.add(
                "type",
                f"collected metric {quote(name)} {labels} is not a {other.name}: it is "
                f"pushed as {type_.name}, but group {other_key} holds the family "
                f"as {other.name}",
                family=name,
                other_group=other_key,
                type=type_.name,
                other_type=other.name,
            )


def _check_suffixes(
    findings: Findings,
    family: FamilyShape,
    key: GroupingKey,
    held: Layout,
    catalog: Catalog,
) -> None:
    def add(mine: str, other: str, other_type: MetricType, holder: _Holder) -> None:
        findings.add(
            "suffix",
            f"collected {mine} named {quote(family.name)} collides with previously "
            f"collected {other}",
            family=family.name,
            other_group=holder,
            type=family.type.name,
            other_type=other_type.name,
        )

    for suffix, takers in _SUFFIXES.items():
        if family.type in takers:
            taken = family.name + suffix
            for type_, holder in _holders(taken, key, held, catalog).items():
                where = f"({type_.name} in {_words_for(holder, key)})"
                other = f"metric named {quote(taken)} {where}"
                add(family.type.name.lower(), other, type_, holder)
        if family.name.endswith(suffix):
            base = family.name.removesuffix(suffix)
            for type_, holder in _holders(base, key, held, catalog).items():
                if type_ in takers:
                    where = f"(in {_words_for(holder, key)})"
                    other = f"{type_.name.lower()} named {quote(base)} {where}"
                    add("metric", other, type_, holder)


def _holders(
    name: str, key: GroupingKey, held: Layout, catalog: Catalog
) -> dict[MetricType, _Holder]:
    """Return who holds the family `name`: types, each with a group or OWN_METRICS."""
    found: dict[MetricType, _Holder] = {
        type_: GroupingKey.from_canonical(holder)
        for type_, holder in catalog.holders(name, key).items()
    }
    own = catalog.own_type(name)
    if own is not None:
        found[own] = OWN_METRICS
    at = held.index.get(name)
    if at is not None:
        found[held.families[at].type] = key
    return found


def _words_for(holder: _Holder, key: GroupingKey) -> str:
    if isinstance(holder, str):
        return holder
    return "this group" if holder == key else f"group {holder}"


def _check_rivals(
    findings: Findings,
    family: FamilyShape,
    pushed: Payload,
    rivals: Rivals,
    metrics: Callable[[], list[Metric]],
) -> None:
    found = rivals.fixed
    if any(map(rivals.depend_on, family.label_names)):
        # Groups by identity, each once.
        more = {id(g): g for m in metrics() for g in rivals.of(m.labels)}
        found = [*found, *more.values()]
    for group in found:
        if family.name not in group.payload.layout.index:
            continue
        mine = series_heads(pushed, family.name)
        shared = mine & series_heads(group.payload, family.name)
        for head in sorted(shared)[:MAX_PROBLEMS]:
            findings.add(
                "duplicate",
                f"collected metric {head.decode()} {DUPLICATE} in group {group.key}",
                family=family.name,
                series=head.decode(),
                other_group=group.key,
            )


_Holder = GroupingKey | str
"""A group, or OWN_METRICS."""
