"""Where in a text body something stands.

Families that were parsed know no lines: pushes are many, and few are refused. Who has
to tell where something is wrong reads the body once more, with the lines in view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from pushrelay.config import Limits
from pushrelay.errors import InvalidLabels, LimitExceeded
from pushrelay.exposition.labels import LabelPlacer
from pushrelay.exposition.text_families import Families, OpenFamily, Role
from pushrelay.exposition.text_parser import TextReader, parse_series
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Labels, Metric, MetricFamily
from pushrelay.problems import Problem


def parse_text_with_lines(
    body: bytes, key: GroupingKey, limits: Limits, *, utf8_names: bool = False
) -> tuple[list[MetricFamily], dict[str, int]]:
    """Return what `parse_text` does, and the line of each family by its name: where
    its type is settled.

    Raises as `parse_text`, InvalidLabels too, each with its line.
    """
    placer = LabelPlacer(key, limits)
    families = _LocatedFamilies(limits.series, placer.place)
    reader = TextReader(families, placer.plan, limits, utf8_names=utf8_names)
    try:
        reader.read(body)
    except (InvalidLabels, LimitExceeded) as error:
        error.line = families.line
        raise
    return families.close(), families.lines


def locate(
    problems: Iterable[Problem],
    body: bytes,
    key: GroupingKey | None,
    limits: Limits,
    *,
    utf8_names: bool = False,
) -> list[Problem]:
    """Return `problems` with the lines in which they stand.

    body: a text body that was pushed to `key`, or to the groups that its series name,
    and could be read within `limits`.
    """
    placer = LabelPlacer(key, limits)
    problems = list(problems)
    families = _SoughtSeries(limits.series, placer.place, problems)
    reader = TextReader(families, placer.plan, limits, utf8_names=utf8_names)
    reader.read(body)
    return [families.located(problem) for problem in problems]


class _LocatedFamilies(Families):
    """Families that know where they stand.

    line: the one that is being read. lines: of the families. timestamp_line: the first
    one with a timestamp.
    """

    def __init__(self, limit: int, place: Callable[[Labels], Labels]) -> None:
        super().__init__(limit, place)
        self.line = 0
        self.lines: dict[str, int] = {}
        self.timestamp_line: int | None = None

    def numbered(self, lines: list[str], first: int) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(lines, first):
            self.line = number
            yield number, line

    def find(self, name: str) -> tuple[OpenFamily, Role]:
        found = super().find(name)
        family, _ = found
        if not family.settled:
            self.lines[family.name] = self.line
        return found

    def note_timestamp(self, family: OpenFamily) -> None:
        super().note_timestamp(family)
        if self.timestamp_line is None:
            self.timestamp_line = self.line


class _SoughtSeries(_LocatedFamilies):
    """Keeps no metrics, only the lines in which the series of `problems` begin."""

    def __init__(
        self,
        limit: int,
        place: Callable[[Labels], Labels],
        problems: list[Problem],
    ) -> None:
        super().__init__(limit, place)
        self._sought = {(p.family, p.series) for p in problems if p.series is not None}
        # The same lists by labels and by text, both for each family.
        self._by_labels: dict[str, dict[Labels, list[int]]] = {}
        self._by_series: dict[tuple[str | None, str], list[int]] = {}
        self._told: Counter[Problem] = Counter()

    def append(self, family: OpenFamily, metric: Metric) -> None:
        by_labels = self._by_labels.get(family.name)
        if by_labels is None:
            by_labels = self._by_labels[family.name] = self._sought_in(family)
        lines = by_labels.get(metric.labels)
        if lines is not None:
            lines.append(self.line)

    def _sought_in(self, family: OpenFamily) -> dict[Labels, list[int]]:
        by_labels: dict[Labels, list[int]] = {}
        for name, series in self._sought:
            if name == family.name:
                # Several series of a histogram are one metric.
                line = f"{series} 0\n".encode()
                (metric,) = parse_series(line, family.name, family.type)
                lines = by_labels.setdefault(metric.labels, [])
                self._by_series[name, series] = lines
        return by_labels

    def located(self, problem: Problem) -> Problem:
        """Return `problem` with its lines; to be called for each, in their order, after
        all was read."""
        if problem.reason == "timestamps":
            return replace(problem, line=self.timestamp_line)
        if problem.series is None:
            return replace(problem, line=self.lines.get(problem.family or ""))
        lines = self._by_series[problem.family, problem.series]
        # Of a series that stands there repeatedly, each may have the same problem.
        nth = self._told[problem]
        self._told[problem] += 1
        if problem.reason == "duplicate" and problem.other_group is None:
            return replace(problem, line=lines[nth + 1], first_line=lines[0])
        return replace(problem, line=lines[nth])
