"""Reads an exposition page strictly, so that every test that reads one checks it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_STRING = r'"(?:[^"\\\n]|\\[\\"n])*"'
_METRIC_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_LABEL = rf"(?:{_LABEL_NAME}|{_STRING})={_STRING}"
_SAMPLE = re.compile(
    rf"(?:(?P<name>{_METRIC_NAME})(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})?"
    rf"|\{{(?P<quoted>{_STRING})(?:,(?P<more>{_LABEL}(?:,{_LABEL})*))?\}})"
    r" (?P<value>[-+.0-9a-zA-Z]+)"
)
_ONE_LABEL = re.compile(rf"({_LABEL_NAME}|{_STRING})=({_STRING})(?:,|$)")
_TYPE = re.compile(
    rf"# TYPE ({_METRIC_NAME}|{_STRING}) (counter|gauge|summary|untyped|histogram)"
)
_HELP = re.compile(rf"# HELP ({_METRIC_NAME}|{_STRING}) (.*)")
_SUFFIXES = {
    "summary": ("", "_sum", "_count"),
    "histogram": ("_bucket", "_sum", "_count"),
}
BOOKKEEPING = ("push_time_seconds", "push_failure_time_seconds")


class Sample(NamedTuple):
    """A line of the page; `labels` are sorted pairs, `value` is as it was written."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: str
    type: str


def read_page(page: str) -> list[Sample]:
    """Return the samples of `page`, which must be what the relay may print.

    Each family is one block that opens with HELP (or not) and TYPE; no sample
    repeats, none has a timestamp.
    """
    assert page == "" or page.endswith("\n")
    samples: list[Sample] = []
    families: set[str] = set()
    helped = family = kind = None
    for line in page.split("\n")[:-1]:
        if match := _HELP.fullmatch(line):
            helped = _unquote(match[1])
        elif match := _TYPE.fullmatch(line):
            family, kind = _unquote(match[1]), match[2]
            assert helped in (None, family), f"HELP of {helped} before {line}"
            assert family not in families, f"{family} has two blocks"
            families.add(family)
            helped = None
        else:
            assert family is not None, f"a sample without TYPE: {line}"
            assert kind is not None
            sample = _read_sample(line, kind)
            suffixes = _SUFFIXES.get(kind, ("",))
            names = [family + suffix for suffix in suffixes]
            assert sample.name in names, f"{line} in the block of {family}"
            samples.append(sample)
    series = [sample[:2] for sample in samples]
    assert len(set(series)) == len(series), "a series repeats"
    return samples


def pushed(page: str) -> list[Sample]:
    """Return the samples of groups: those with an instance, less the bookkeeping."""
    return [
        sample
        for sample in read_page(page)
        if "instance" in dict(sample.labels) and sample.name not in BOOKKEEPING
    ]


def block(page: str, family: str) -> str:
    """Return the lines of one family, as they stand in `page`."""
    names = "|".join(map(re.escape, (family, f'"{family}"')))
    sample = re.escape(family) + r'(_sum|_count|_bucket)?[" {]'
    pattern = re.compile(rf'# (HELP|TYPE) ({names}) |(\{{")?{sample}')
    return "".join(f"{line}\n" for line in page.split("\n") if pattern.match(line))


def value(page: str, name: str, **labels: str) -> float:
    """Return the value of the one series `name` that has all of `labels`."""
    found = [
        sample.value
        for sample in read_page(page)
        if sample.name == name and labels.items() <= dict(sample.labels).items()
    ]
    assert len(found) == 1, f"{len(found)} series {name} with {labels}"
    return float(found[0])


def lines_of(
    samples: Iterable[Sample], without: tuple[str, ...] = ("instance", "job")
) -> list[str]:
    """Return `samples` as sorted lines `name{label="value"} value type`."""
    lines = []
    for sample in samples:
        pairs = [f'{n}="{v}"' for n, v in sample.labels if n not in without]
        labels = "{" + ",".join(pairs) + "}" if pairs else ""
        lines.append(f"{sample.name}{labels} {sample.value} {sample.type}")
    return sorted(lines)


@lru_cache(maxsize=4096)  # most of the lines of a page are those of the page before
def _read_sample(line: str, kind: str) -> Sample:
    match = _SAMPLE.fullmatch(line)
    assert match, f"not a sample: {line!r}"
    name = match["name"] or _unquote(match["quoted"])
    written = match["labels"] or match["more"] or ""
    labels = [
        (_unquote(label), _unquote(text)) for label, text in _ONE_LABEL.findall(written)
    ]
    assert len({label for label, _ in labels}) == len(labels), f"label twice: {line}"
    float(match["value"])
    return Sample(name, tuple(sorted(labels)), match["value"], kind)


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    if "\\" not in text:
        return text[1:-1]
    escapes = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
    return re.sub(r"\\.", lambda match: escapes[match[0]], text[1:-1])
