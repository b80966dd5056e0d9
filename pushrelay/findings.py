"""What checks of a push find wrong with it, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pushrelay.errors import InconsistentPush
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Labels, exposed_labels, is_legacy_metric_name
from pushrelay.problems import Problem
from pushrelay.quoting import quote, quote_label

MAX_PROBLEMS = 20

_FURTHER = Problem("further", "further problems are not listed")

DUPLICATE = "was collected before with the same name and label values"


class Findings:
    """Collects problems of a push, so that a pusher sees more than the first.

    key: the group that is pushed to, if there is one.
    """

    def __init__(self, key: GroupingKey | None = None) -> None:
        self._key = key
        self._problems: list[Problem] = []

    def add(
        self,
        reason: str,
        detail: str,
        *,
        family: str | None = None,
        series: str | None = None,
        other_group: GroupingKey | str | None = None,
        type: str | None = None,  # as Problem calls it
        other_type: str | None = None,
    ) -> None:
        """Add a `Problem` with these fields; raises InconsistentPush if it is one of
        too many."""
        problem = Problem(
            reason,
            detail,
            family=family,
            series=series,
            group=None if self._key is None else str(self._key),
            other_group=None if other_group is None else str(other_group),
            type=type,
            other_type=other_type,
            other_key=other_group if isinstance(other_group, GroupingKey) else None,
        )
        self._problems.append(problem)
        if len(self._problems) == MAX_PROBLEMS:
            self._problems.append(_FURTHER)
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raise InconsistentPush if there are problems."""
        if self._problems:
            raise InconsistentPush(self._problems)


def together(refusals: Iterable[InconsistentPush]) -> InconsistentPush:
    """Return one refusal with the problems of all `refusals`, but not with too many."""
    problems = [problem for refusal in refusals for problem in refusal.problems]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [_FURTHER]
    return InconsistentPush(problems)


def told_to(
    refusal: InconsistentPush, may_see: Callable[[GroupingKey], bool]
) -> InconsistentPush:
    """Return `refusal` as it may be told to somebody, who may not see each group."""
    return InconsistentPush([each.told_to(may_see) for each in refusal.problems])


def braces(labels: Labels) -> str:
    """Return `labels` as they are shown."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels) + "}"


def exposed_series(name: str, labels: Labels) -> str:
    """Return a series as it would be exposed; bytes that are not UTF-8 as escapes."""
    shown = exposed_labels(labels)
    if is_legacy_metric_name(name):
        series = f"{name}{{{shown}}}"
    else:
        series = f"{{{quote_label(name)},{shown}}}"
    return series.encode(errors="backslashreplace").decode()
