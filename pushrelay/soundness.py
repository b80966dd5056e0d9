"""What makes a push acceptable by itself, whatever else is stored."""

from __future__ import annotations

from itertools import islice

from pushrelay.findings import DUPLICATE, Findings, braces, exposed_series
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import (
    BOUND_LABELS,
    PUSH_EVIDENCE,
    Histogram,
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
    is_utf8,
)
from pushrelay.quoting import quote

RESERVED_PREFIX = "pushrelay_"

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


def check_alone(pushed: list[MetricFamily], key: GroupingKey) -> None:
    """Raise InconsistentPush if `pushed` must not become part of the group `key`,
    whatever else is stored."""
    findings = Findings(key)
    if any(family.timestamped for family in pushed):
        findings.add("timestamps", "pushed metrics must not have timestamps")
    elif not _is_sound(pushed):
        _find_problems(findings, pushed)
    findings.raise_if_any()


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


def _find_problems(findings: Findings, pushed: list[MetricFamily]) -> None:
    for family in pushed:
        if family.name in PUSH_EVIDENCE:
            continue  # overridden, whatever it is
        if family.name.startswith(RESERVED_PREFIX):
            findings.add(
                "reserved_name",
                f"collected metric named {quote(family.name)}: names that begin with "
                f"{RESERVED_PREFIX} are the relay's own; rename it",
                family=family.name,
            )
        _check_metrics(findings, family)


def _check_metrics(findings: Findings, family: MetricFamily) -> None:
    value_class = _VALUE_CLASS[family.type]
    bound_label = BOUND_LABELS.get(family.type, "")
    seen = set()
    for metric in family.metrics:
        problem = _label_problem(metric.labels, bound_label)
        if problem is not None:
            findings.add("label", **_about(family, metric, problem))
        if not isinstance(metric.value, value_class):
            problem = f"is not a {family.type.name}"
            about = _about(family, metric, problem)
            findings.add("type", **about, type=family.type.name)
        if metric.labels in seen:
            findings.add("duplicate", **_about(family, metric, DUPLICATE))
        seen.add(metric.labels)


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


def _about(family: MetricFamily, metric: Metric, problem: str) -> dict[str, str]:
    labels = braces(metric.labels)
    return {
        "detail": f"collected metric {quote(family.name)} {labels} {problem}",
        "family": family.name,
        "series": exposed_series(family.name, metric.labels),
    }
