"""The warnings of `promtool check metrics`, with its verdicts and its words.

They are advice: a push with all of them is accepted. Rules about labels warn once for
each family, however many series break them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from pushrelay.model import MetricFamily, MetricType
from pushrelay.problems import Problem
from pushrelay.quoting import quote

_BASE_UNITS = {
    **{
        unit: unit
        for unit in (
            *("amperes", "bytes", "celsius", "grams", "joules", "kelvin"),
            *("meters", "metres", "seconds", "volts"),
        )
    },
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    **{"kelvins": "kelvin", "fahrenheit": "celsius", "rankine": "celsius"},
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    **{"bits": "bytes", "calories": "joules", "pounds": "grams", "ounces": "grams"},
}
_PREFIXES = (
    *("pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto"),
    *("kilo", "mega", "giga", "tera", "peta"),
    *("kibi", "mibi", "gibi", "tebi", "pebi"),
)
_ABBREVIATIONS = (
    *("s", "ms", "us", "ns", "sec", "m", "h", "d"),
    *("b", "kb", "mb", "gb", "tb", "pb"),
)
_TYPE_WORDS = [
    type_.name.lower() for type_ in MetricType if type_ is not MetricType.UNTYPED
]
_CAMEL_CASE = re.compile("[a-z][A-Z]")

_COUNTER, _GAUGE = MetricType.COUNTER, MetricType.GAUGE
_SUMMARY, _HISTOGRAM = MetricType.SUMMARY, MetricType.HISTOGRAM

_RESERVED_SUFFIXES = {
    "_total": ("non-counter", (_COUNTER,)),
    "_timestamp_seconds": ("non-gauge", (_GAUGE,)),
    "_bucket": ("non-histogram", (_HISTOGRAM,)),
    "_count": ("non-histogram and non-summary", (_HISTOGRAM, _SUMMARY)),
    "_sum": ("non-histogram and non-summary", (_HISTOGRAM, _SUMMARY)),
}
_RESERVED_LABELS = {
    "le": ("non-histogram", _HISTOGRAM),
    "quantile": ("non-summary", _SUMMARY),
}


def warnings_of(
    families: Iterable[MetricFamily], lines: Mapping[str, int]
) -> Iterator[Problem]:
    """Yield what promtool would say of `families`; lines: of the families by name."""
    for family in families:
        for rule in _RULES:
            for text in rule(family):
                detail = f"{family.name} {text}"
                line = lines[family.name]
                yield Problem("lint", detail, family=family.name, line=line)


def _check_help(family: MetricFamily) -> Iterator[str]:
    if not family.help:
        yield "no help text"


def _check_unit(family: MetricFamily) -> Iterator[str]:
    for word in family.name.split("_"):
        base = _base_unit(word)
        if base is not None:
            if base != word:
                yield f"use base unit {quote(base)} instead of {quote(word)}"
            return


def _base_unit(word: str) -> str | None:
    for prefix in ("", *_PREFIXES):
        base = _BASE_UNITS.get(word.removeprefix(prefix))
        if base is not None and word.startswith(prefix):
            return base
    return None


def _check_suffix(family: MetricFamily) -> Iterator[str]:
    if family.type is _COUNTER and not family.name.endswith("_total"):
        yield 'counter metrics should have "_total" suffix'
    if family.type is MetricType.UNTYPED:
        return
    for suffix, (others, owners) in _RESERVED_SUFFIXES.items():
        if family.name.endswith(suffix) and family.type not in owners:
            yield f"{others} metrics should not have {quote(suffix)} suffix"


def _check_labels(family: MetricFamily) -> Iterator[str]:
    names = {name for metric in family.metrics for name, _ in metric.labels}
    if any(map(_CAMEL_CASE.search, names)):
        yield "label names should be written in 'snake_case' not 'camelCase'"
    if family.type is MetricType.UNTYPED:
        return
    for label, (others, owner) in _RESERVED_LABELS.items():
        if label in names and family.type is not owner:
            yield f"{others} metrics should not have {quote(label)} label"


def _check_name(family: MetricFamily) -> Iterator[str]:
    if ":" in family.name:
        yield "metric names should not contain ':'"
    if _CAMEL_CASE.search(family.name):
        yield "metric names should be written in 'snake_case' not 'camelCase'"
    words = family.name.lower()
    for type_ in _TYPE_WORDS:
        if _has_words(words, type_):
            yield f"metric name should not include type '{type_}'"
    if any(_has_words(words, unit) for unit in _ABBREVIATIONS):
        yield "metric names should not contain abbreviated units"


def _has_words(name: str, words: str) -> bool:
    """Whether `words` stand in `name`, other than at its beginning."""
    return f"_{words}_" in name or name.endswith(f"_{words}")


_RULES: tuple[Callable[[MetricFamily], Iterator[str]], ...] = (
    _check_help,
    _check_unit,
    _check_suffix,
    _check_labels,
    _check_name,
)
