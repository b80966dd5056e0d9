"""Where a list of runs goes on, as addresses say it."""

from __future__ import annotations

from pushrelay.listed_runs import ListedRun
from pushrelay.web.answers import bad_cursor, cursor_of, place_of

Place = tuple[int, bytes]
"""Where a run is in the order of starts: its start and its id."""

_ID_BYTES = 16
_START_BYTES = 8


def place_of_run(listed: ListedRun) -> Place:
    """Return where the run is."""
    return listed.run.started_at, listed.run.id


def cursor_at(place: Place) -> str:
    """Return what stands for `place` in an address."""
    start, id_ = place
    return cursor_of(start.to_bytes(_START_BYTES, "big") + id_)


def read_run_cursor(cursor: str) -> Place:
    """Return the place that `cursor` stands for. Raises InvalidRequest."""
    place = place_of(cursor)
    start = int.from_bytes(place[:_START_BYTES], "big")
    if len(place) != _START_BYTES + _ID_BYTES or start >= 2**63:
        raise bad_cursor()
    return start, place[_START_BYTES:]
