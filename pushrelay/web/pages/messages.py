"""What was done, said on the page that follows.

The address of that page carries a word and numbers, and no text: whoever makes people
follow a link must not be able to make a page say something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

DONE = "done"

_NUMBER = re.compile("[0-9]{1,9}")


def fields_of(done: str, **numbers: int) -> dict[str, str]:
    """Return what an address asks with for a page that says what was `done`."""
    return {DONE: done} | {name: str(n) for name, n in numbers.items() if n}


def message_of(query: Mapping[str, str]) -> str:
    """Return what a page says whose address has these parameters; empty for nothing."""
    say = _SAYINGS.get(query.get(DONE, ""))
    if say is None:
        return ""
    return say(lambda name: _number(query.get(name, "")))


_Numbers = Callable[[str], int]


def _number(written: str) -> int:
    return int(written) if _NUMBER.fullmatch(written) else 0


def _groups(number: int) -> str:
    return "1 group" if number == 1 else f"{number:,} groups"


def _deleted(number_of: _Numbers) -> str:
    count, changed, gone = map(number_of, ("count", "changed", "gone"))
    said = [f"Deleted {_groups(count)}."]
    if changed:
        said.append(
            f"{_groups(changed)} changed after you were shown what would be lost, and "
            f"{'is' if changed == 1 else 'are'} still here."
        )
    if gone:
        said.append(f"{_groups(gone)} had gone before.")
    return " ".join(said)


def _retired(number_of: _Numbers) -> str:
    return f"The job is retired, and {_groups(number_of('count'))} with it."


_SAYINGS: dict[str, Callable[[_Numbers], str]] = {
    "deleted": _deleted,
    "retired": _retired,
    "paused": lambda _: "The job is paused.",
    "resumed": lambda _: "The job is no longer paused.",
    "wiped": lambda _: "All groups and runs are deleted.",
}
