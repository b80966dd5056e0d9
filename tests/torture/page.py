"""Reads a page for what is in the cells, and for what is wrong with it by itself."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from torture.history import Contents

from pushrelay.telemetry import OWN_TYPES

LINES_OF_A_FAMILY = {
    "torture_state": 4,
    "torture_done_total": 4,
    "torture_seconds": 2,
    "torture_bytes": 3,
    "torture_added_total": 1,
    "torture_added_seconds": 2,
    "torture_added_bytes": 3,
}
"""How many samples a push of a family has, for one client; else it is one."""

EVERYBODY = "all"
"""The client whose share of a sum is what all others add."""

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")
_STORE_UP = "pushrelay_store_up"
_REVISION = "pushrelay_store_revision"
_RUNS = "pushrelay_job_runs_total"


@dataclass
class Page:
    """What a page shows. is_up, revision: None where the page does not say."""

    cells: dict[str, Contents]
    problems: list[str]
    is_up: bool | None = None
    revision: int | None = None


def read_page(text: str) -> Page:
    """Read a page in the text format."""
    reader = _Reader()
    for line in text.splitlines():
        reader.take(line)
    return reader.page()


def without_own(text: str) -> str:
    """Return the page without what each relay says of itself."""
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if _family_of(line) not in OWN_TYPES
    )


class _Reader:
    def __init__(self) -> None:
        self._types: dict[str, str] = {}
        self._values: dict[str, dict[str, list[str]]] = {}
        self._seen: set[str] = set()
        self._problems: list[str] = []
        self._own: dict[str, int] = {}

    def take(self, line: str) -> None:
        if line.startswith("# TYPE "):
            self._take_type(line)
        elif not line.startswith("#"):
            self._take_sample(line)

    def page(self) -> Page:
        cells = {
            cell: tuple(sorted(self._contents(families)))
            for cell, families in self._values.items()
        }
        up = self._own.get(_STORE_UP)
        return Page(
            cells,
            self._problems + _wrong_sums(cells),
            None if up is None else up == 1,
            self._own.get(_REVISION),
        )

    def _take_type(self, line: str) -> None:
        _, _, name, type_ = line.split(" ")
        if name in self._types:
            self._problems.append(
                f"two types: {name} is {self._types[name]}, and again {type_}"
            )
        self._types[name] = type_

    def _take_sample(self, line: str) -> None:
        match = _SAMPLE.fullmatch(line)
        if match is None:
            self._problems.append(f"no sample: {line!r}")
            return
        name, labels, value = match.groups()
        if name in (_STORE_UP, _REVISION):
            self._own[name] = int(float(value))
        if not name.startswith(("torture_", "contested_", _RUNS)):
            return
        if name == _RUNS and value == "0":
            return  # each outcome has its count from the start
        series = line[: match.start(3)]
        if series in self._seen:
            self._problems.append(f"twice on one page: {series}")
        self._seen.add(series)
        family = name if name in self._types else _SUFFIX.sub("", name)
        values = self._values.setdefault(_cell_of(labels), defaultdict(list))
        values[family].append(str(int(float(value))))

    def _contents(self, families: dict[str, list[str]]) -> list[tuple[str, str]]:
        return [
            (f"{family} {self._types.get(family)}", _told(family, values))
            for family, values in families.items()
        ]


@lru_cache(maxsize=50_000)
def _cell_of(written: str) -> str:
    labels = dict(_LABEL.findall(written))
    client = labels.get("client")
    named = f"{labels['job']} {labels['instance']}"
    return f"{named} {client}" if client else named


def _told(family: str, values: list[str]) -> str:
    told = "|".join(sorted(set(values)))
    expected = LINES_OF_A_FAMILY.get(family, 1)
    if len(values) != expected:
        return f"{told} in {len(values)} of {expected} samples"
    return told


def _wrong_sums(cells: dict[str, Contents]) -> list[str]:
    """Say which sums are not those of their shares."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell, contents in cells.items():
        group, _, client = cell.rpartition(" ")
        sign = -1 if client == EVERYBODY else 1
        if group.startswith("sums "):
            for family, value in contents:
                if value.isdigit():
                    sums[group][family] += sign * int(value)
    return [
        f"sum: the shares of {family} in {group} are {off} more than their sum"
        for group, families in sums.items()
        for family, off in families.items()
        if off
    ]


def _family_of(line: str) -> str:
    if line.startswith("#"):
        return line.split(" ", 3)[2]
    name = re.split(r"[{ ]", line, maxsplit=1)[0]
    return name if name in OWN_TYPES else _SUFFIX.sub("", name)
