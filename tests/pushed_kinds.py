"""Kinds of pushes: all but the value, how it is written, what a scrape shows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compat.metric_messages import delimited
from compat.metric_messages import family as message_of

Series = tuple[str, tuple[tuple[str, str], ...], str]
"""Name of a sample, its sorted labels, and its value as Python prints it."""

Families = dict[str, frozenset[Series]]

PLAIN = ("gauge", "counter", "untyped")
TYPES = (*PLAIN, "summary", "histogram", "gauge_histogram")
NUMBERS = {"counter": 0, "gauge": 1, "summary": 2, "untyped": 3, "histogram": 4}
SPELLINGS = ("{}", "{}.0", "{}e0", "+{}", "0{}", "{}.00e+00")


@dataclass(frozen=True)
class PushedFamily:
    """What is pushed of a family but for the value."""

    name: str
    type: str
    help: str
    labels: tuple[tuple[tuple[str, str], ...], ...]
    bounds: tuple[str, ...] = ()
    native: bool = False


@dataclass(frozen=True)
class PushedKind:
    """What is pushed but for the value."""

    families: tuple[PushedFamily, ...]
    is_protobuf: bool
    is_gzipped: bool
    spelling: int

    @property
    def is_plain(self) -> bool:
        """Whether no value counts anything."""
        return all(family.type in PLAIN for family in self.families)

    @property
    def odd_values(self) -> tuple[str, ...]:
        """Values other than whole numbers; a negative one counts nothing."""
        if self.is_plain:
            return ("NaN", "-0", "+Inf", "0.25", "1e21", "-7.5")
        is_exact = self.is_protobuf or any(f.type == "summary" for f in self.families)
        return () if is_exact else ("-0", "0.25", "-7.5")


def body_of(kind: PushedKind, value: str) -> bytes:
    """Return a body in which every sample has `value`."""
    if kind.is_protobuf:
        return delimited(*[_message(family, value) for family in kind.families])
    return _text(kind, value).encode()


def _text(kind: PushedKind, value: str) -> str:
    """Return a body in the text format; a value is spelled in several ways."""
    style = random.Random(kind.spelling)
    lines = []
    for family in kind.families:
        if kind.spelling % 9 == 0:
            lines.append(f"# a comment {style.randrange(10)}")
        quoted = _quoted(family.name) if "." in family.name else family.name
        if family.help:
            text = family.help.replace("\\", r"\\").replace("\n", r"\n")
            lines.append(f"# HELP {quoted} {text}")
        lines.append(f"# TYPE {quoted} {family.type}")
        for suffix, labels in _lines(family):
            spelling = style.choice(SPELLINGS) if value.isdigit() else "{}"
            series = _series(family.name + suffix, labels)
            blanks = style.choice((" ", "  ", "\t")) if kind.spelling % 8 == 0 else " "
            lines.append(f"{series}{blanks}{spelling.format(value)}")
    return "".join(f"{line}\n" for line in lines)


def _lines(family: PushedFamily) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield the suffix and labels of each sample, without those of the group."""
    for labels in family.labels:
        if family.type in PLAIN:
            yield "", labels
            continue
        is_summary = family.type == "summary"
        name, suffix = ("quantile", "") if is_summary else ("le", "_bucket")
        for bound in family.bounds:
            yield suffix, (*labels, (name, bound))
        yield "_sum", labels
        yield "_count", labels


def _series(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    pairs = [f"{_label_name(name)}={_quoted(value)}" for name, value in labels]
    if "." in name:
        return "{" + ",".join([_quoted(name), *pairs]) + "}"
    return f"{name}{{{','.join(pairs)}}}" if pairs else name


def _label_name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'"{escaped}"'


def _message(family: PushedFamily, value: str) -> Any:
    """Return a protobuf message."""
    if family.type == "gauge_histogram":
        number, field_name = 5, "histogram"
    else:
        number, field_name = NUMBERS[family.type], family.type
    content: dict[str, Any] = {"value": float(value)}
    if field_name in ("summary", "histogram"):
        content = {"sample_count": int(value), "sample_sum": float(value)}
        if family.native:
            span = {"offset": 0, "length": 1}
            content |= {"positive_span": [span], "positive_delta": [int(value)]}
            content |= {"schema": 0, "zero_threshold": 1e-128}
        elif field_name == "summary":
            content["quantile"] = [
                {"quantile": float(bound), "value": float(value)}
                for bound in family.bounds
            ]
        else:
            content["bucket"] = [
                {"upper_bound": float(bound), "cumulative_count": int(value)}
                for bound in family.bounds
            ]
    metrics = [
        {
            "label": [{"name": n, "value": v} for n, v in labels],
            field_name: content,
        }
        for labels in family.labels
    ]
    return message_of(family.name, number, *metrics, help=family.help)


def families_of(kind: PushedKind, value: str, key: dict[str, str]) -> Families:
    """Return what a scrape shows of a push to the group `key`."""
    shown = shown_value(value)
    found: Families = {}
    for family in kind.families:
        if family.name == "push_time_seconds":
            continue  # the relay's own
        samples = list(_lines(family))
        if "histogram" in family.type:
            if family.native:
                samples = [s for s in samples if s[0] != "_bucket"]
            infinite = [(*labels, ("le", "+Inf")) for labels in family.labels]
            samples += [("_bucket", labels) for labels in infinite]
        found[family.name] = frozenset(
            (
                family.name + suffix,
                tuple(sorted({"instance": "", **dict(labels), **key}.items())),
                shown,
            )
            for suffix, labels in samples
        )
    return found


def shown_value(text: str) -> str:
    """Return one text for all spellings of a number."""
    return repr(float(text) + 0.0)
