"""What checks of a push find wrong with it, and the words for it."""

from __future__ import annotations

from pushrelay.errors import InconsistentPush
from pushrelay.model import Labels
from pushrelay.quoting import quote

MAX_PROBLEMS = 20

DUPLICATE = "was collected before with the same name and label values"


class Findings:
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


def braces(labels: Labels) -> str:
    """Return `labels` as they are shown."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels) + "}"
