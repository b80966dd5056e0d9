"""What makes a push acceptable: with it, the exposition must still be legal.

The rules are those of the Pushgateway (client_golang's gatherer), which checks its
whole store at each push. Here the cost follows the push: names are looked up, and so
are the few groups that could hold the same series (see `rivals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from pushrelay.catalog import Catalog
from pushrelay.errors import REFUSAL, InconsistentPush, InvalidGroupingKey
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import (
    BOUND_LABELS,
    HISTOGRAMS,
    PUSH_EVIDENCE,
    Histogram,
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    StoredFamily,
    Summary,
    is_utf8,
)
from pushrelay.quoting import quote
from pushrelay.rivals import Rivals, series_heads

RESERVED_PREFIX = "pushrelay_"
MAX_PROBLEMS = 20

_VALUE_CLASS: dict[MetricType, type] = {
    MetricType.COUNTER: float,
    MetricType.GAUGE: float,
    MetricType.UNTYPED: float,
    MetricType.SUMMARY: Summary,
    MetricType.HISTOGRAM: Histogram,
    MetricType.GAUGE_HISTOGRAM: Histogram,
}
# Other threads wait while many texts are joined.
_AT_ONCE = 1000
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
    labels = dict(key.labels)
    if labels.get("instance", "") != "" or catalog.group(key) is not None:
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


def check_alone(pushed: list[MetricFamily]) -> None:
    """Raise InconsistentPush if `pushed` is not acceptable whatever else is stored."""
    if any(family.timestamped for family in pushed):
        raise InconsistentPush(
            "timestamps", ["pushed metrics must not have timestamps"]
        )
    if not _is_sound(pushed):
        _find_problems(pushed)


def check_against(
    catalog: Catalog,
    key: GroupingKey,
    pushed: list[MetricFamily],
    held: Mapping[str, StoredFamily],
) -> None:
    """Raise InconsistentPush if `pushed` must not become part of the group `key`.

    pushed: families that `check_alone` has passed.
    held: all families that the group will hold, pushed or kept.
    """
    findings = _Findings()
    rivals = Rivals(key, catalog)
    for family in pushed:
        _check_type(findings, family, key, catalog)
        _check_suffixes(findings, family, key, held, catalog)
        _check_rivals(findings, family, held[family.name], rivals)
    findings.raise_if_any()


class _Findings:
    """Collects problems, so that a pusher sees more than the first."""

    def __init__(self) -> None:
        self._reason = ""
        self._problems: list[str] = []

    def add(self, reason: str, problem: str) -> None:
        self._reason = self._reason or reason
        self._problems.append(problem)
        if len(self._problems) == MAX_PROBLEMS:
            self._problems.append("further problems are not listed")
            self.raise_if_any()

    def raise_if_any(self) -> None:
        if self._problems:
            raise InconsistentPush(self._reason, self._problems)


def _check_type(
    findings: _Findings, family: MetricFamily, key: GroupingKey, catalog: Catalog
) -> None:
    name, type_ = family.name, family.type
    own = catalog.own_type(name)
    if own is not None and own != type_:
        findings.add(
            "type",
            f"gathered metric family {name} has type {type_.name} but should have "
            f"{own.name}, which is its type among the relay's own metrics",
        )
    for other, holder in catalog.holders(name, key).items():
        if other != type_:
            labels = _braces(family.metrics[0].labels if family.metrics else ())
            findings.add(
                "type",
                f"collected metric {quote(name)} {labels} is not a {other.name}: it is "
                f"pushed as {type_.name}, but {_group(holder)} holds the family as "
                f"{other.name}",
            )


def _check_suffixes(
    findings: _Findings,
    family: MetricFamily,
    key: GroupingKey,
    held: Mapping[str, StoredFamily],
    catalog: Catalog,
) -> None:
    def types_of(name: str) -> dict[MetricType, str]:
        """Who holds `name`: types with words for the holder."""
        found = {t: _group(k) for t, k in catalog.holders(name, key).items()}
        own = catalog.own_type(name)
        if own is not None:
            found[own] = "the relay's own metrics"
        if name in held:
            found[held[name].type] = "this group"
        return found

    for suffix, takers in _SUFFIXES.items():
        if family.type in takers:
            taken = family.name + suffix
            for type_, holder in types_of(taken).items():
                findings.add(
                    "suffix",
                    f"collected {family.type.name.lower()} named {quote(family.name)} "
                    f"collides with previously collected metric named {quote(taken)} "
                    f"({type_.name} in {holder})",
                )
        if family.name.endswith(suffix):
            base = family.name.removesuffix(suffix)
            for type_, holder in types_of(base).items():
                if type_ in takers:
                    findings.add(
                        "suffix",
                        f"collected metric named {quote(family.name)} collides with "
                        f"previously collected {type_.name.lower()} named "
                        f"{quote(base)} (in {holder})",
                    )


def _is_sound(pushed: list[MetricFamily]) -> bool:
    """Whether surely nothing is wrong with `pushed`; this takes far less time than to
    find out what is."""
    label_sets: dict[str, set[Labels]] = {}
    for family in pushed:
        own = {metric.labels for metric in family.metrics}
        classes = {type(metric.value) for metric in family.metrics}
        if (
            len(own) < len(family.metrics)
            or classes != {_VALUE_CLASS[family.type]}
            or family.name.startswith(RESERVED_PREFIX)
        ):
            return False
        bound_label = BOUND_LABELS.get(family.type, "")
        known = label_sets.setdefault(bound_label, own)
        if known is not own:
            known |= own
    return all(_are_legal(sets, label) for label, sets in label_sets.items())


def _are_legal(label_sets: set[Labels], bound_label: str) -> bool:
    shapes = {tuple([name for name, _ in labels]) for labels in label_sets}
    if not all(_has_legal_names(names, bound_label) for names in shapes):
        return False
    left = iter(label_sets)
    while some := list(islice(left, _AT_ONCE)):
        if not is_utf8("".join([value for labels in some for _, value in labels])):
            return False
    return True


def _has_legal_names(names: tuple[str, ...], bound_label: str) -> bool:
    # A comma in a name may make this err, but to the side of caution.
    joined = "," + ",".join(names)
    return (
        len(set(names)) == len(names)
        and "" not in names
        and bound_label not in names
        and ",__" not in joined
        and is_utf8(joined)
    )


def _find_problems(pushed: list[MetricFamily]) -> None:
    findings = _Findings()
    for family in pushed:
        if family.name in PUSH_EVIDENCE:
            continue  # overridden, whatever it is
        if family.name.startswith(RESERVED_PREFIX):
            findings.add(
                "reserved_name",
                f"collected metric named {quote(family.name)}: names that begin with "
                f"{RESERVED_PREFIX} are the relay's own; rename it",
            )
        _check_metrics(findings, family)
    findings.raise_if_any()


def _check_metrics(findings: _Findings, family: MetricFamily) -> None:
    value_class = _VALUE_CLASS[family.type]
    bound_label = BOUND_LABELS.get(family.type, "")
    seen = set()
    for metric in family.metrics:
        problem = _label_problem(metric.labels, bound_label)
        if problem is not None:
            findings.add("label", _about(family, metric, problem))
        if not isinstance(metric.value, value_class):
            problem = f"is not a {family.type.name}"
            findings.add("type", _about(family, metric, problem))
        if metric.labels in seen:
            findings.add("duplicate", _about(family, metric, _DUPLICATE))
        seen.add(metric.labels)


_DUPLICATE = "was collected before with the same name and label values"


def _label_problem(labels: Labels, bound_label: str) -> str | None:
    previous = None
    for name, value in labels:
        if name == previous:
            return f"has two or more labels with the same name: {name}"
        if not name or name.startswith("__") or not is_utf8(name):
            return f"has a label with an invalid name: {quote(name)}"
        if name == bound_label:
            return f"must not have an explicit {quote(name)} label"
        if not is_utf8(value):
            named = f"has a label named {quote(name)}"
            return f"{named} whose value is not utf8: {quote(value)}"
        previous = name
    return None


def _check_rivals(
    findings: _Findings, family: MetricFamily, stored: StoredFamily, rivals: Rivals
) -> None:
    # Groups by identity: they hold dictionaries.
    found = {id(g): g for m in family.metrics for g in rivals.of(m.labels)}
    for group in found.values():
        rival = group.families.get(family.name)
        if rival is None:
            continue
        shared = series_heads(stored) & series_heads(rival)
        for head in sorted(shared)[:MAX_PROBLEMS]:
            findings.add(
                "duplicate",
                f"collected metric {head.decode()} {_DUPLICATE} in group {group.key}",
            )


def _group(canonical: bytes) -> str:
    return f"group {GroupingKey.from_canonical(canonical)}"


def _about(family: MetricFamily, metric: Metric, problem: str) -> str:
    return f"collected metric {quote(family.name)} {_braces(metric.labels)} {problem}"


def _braces(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels) + "}"
