"""The last pushes and reports that were refused, for those who wonder why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pushrelay.grouping_key import GroupingKey

KEPT = 50
"""So many different ones are kept, however many there were."""

_TEXT_CHARACTERS = 1000
_JOB_CHARACTERS = 200
_CLIENT_CHARACTERS = 100
_KEY_BYTES = 2000
"""They may have so much of each; a longer key counts as not known."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something that was refused, once or several times in the same way.

    what: a push, a deletion, or what else it was, in words. at: when it was the last
    time, Unix nanoseconds. reason: as rejections are counted by. text: of the error,
    for who may see all groups. safe_text: for others who may see its group; empty if
    it may tell of other groups. key: of its group; job: its name; None if that is not
    known, or not of one group. client: the address from which it came, empty on a Unix
    socket.
    """

    what: str
    at: int
    reason: str
    text: str
    safe_text: str = ""
    key: GroupingKey | None = None
    job: str | None = None
    client: str = ""
    times: int = 1


class RecentRejections:
    """The last `KEPT` rejections that differ in more than their time.

    They are noted by one thread at a time, and read by any.
    """

    def __init__(self) -> None:
        # The last one is the latest.
        self._kept: dict[Rejection, Rejection] = {}

    def note(self, rejection: Rejection) -> None:
        """Keep `rejection`, as far as it is not too long."""
        bounded = _bounded(rejection)
        same = replace(bounded, at=0, times=0)
        before = self._kept.pop(same, None)
        times = bounded.times + (before.times if before else 0)
        self._kept[same] = replace(bounded, times=times)
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def all(self) -> list[Rejection]:
        """Return them, the latest first."""
        return list(self._kept.copy().values())[::-1]


def _bounded(rejection: Rejection) -> Rejection:
    key, job = rejection.key, rejection.job
    return replace(
        rejection,
        text=_cut(rejection.text, _TEXT_CHARACTERS),
        safe_text=_cut(rejection.safe_text, _TEXT_CHARACTERS),
        key=None if key is None or len(key.canonical) > _KEY_BYTES else key,
        job=None if job is None else _cut(job, _JOB_CHARACTERS),
        client=rejection.client[:_CLIENT_CHARACTERS],
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
