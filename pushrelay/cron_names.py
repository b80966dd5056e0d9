"""Names for the jobs of a crontab."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pushrelay.shell_words import program_of

_JOB = re.compile(r"--job[ =]['\"]?([^\s'\"]+)")


class JobNames:
    """Gives names to jobs, each of them once, and none that `lines` give."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._taken = {name for line in lines for name in _JOB.findall(line)}

    def name(self, command: str) -> str:
        """Return a new name for what runs `command`."""
        program = program_of(as_shells_see(command))
        kept = [c if c.isalnum() or c in "._" else "-" for c in program]
        base = name = "".join(kept).strip("-.") or "job"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name


def as_shells_see(command: str) -> str:
    """Return `command` without the backslashes that cron takes away."""
    return command.replace(r"\%", "%")
