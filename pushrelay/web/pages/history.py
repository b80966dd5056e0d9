"""What became of a job's runs over some days: charts, and the same in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from markupsafe import Markup

from pushrelay.missed import missed_slots_in
from pushrelay.relay import Relay
from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome
from pushrelay.web.charts import Lane, durations, legend, timeline
from pushrelay.web.pages.families import NAME_CHARACTERS
from pushrelay.web.pages.layout import cut, moment
from pushrelay.web.pages.seen_job import SeenJob

DAYS = (1, 7, 30)
"""Over how many days people may look back."""

MOST_LANES = 12
"""So many instances are drawn, those that need attention before others."""

MOST_MARKS = 4000
"""So many runs are looked at, of each of many keys less."""

LEAST_MARKS = 100
MISSED_TOLD = 20

_DAY = 24 * 3600 * 10**9
_STEPS = 1000
"""In so many steps, charts go on with time."""


@dataclass(frozen=True, slots=True)
class History:
    """The runs of `days` days, up to now.

    lanes: how many instances are drawn. outcomes: how many runs by how they ended, the
    most first. durations: empty if none has ended. missed: the last moments at which a
    run was expected and did not come, with the instance where each must run;
    missed_count counts all. is_cut: whether older runs of these days are left out, as
    there are too many.
    """

    days: int
    timeline: Markup
    durations: Markup
    legend: Markup
    lanes: int
    outcomes: list[tuple[str, int]]
    missed: list[tuple[datetime | None, str]]
    missed_count: int
    is_cut: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.outcomes and not self.missed_count


@dataclass(frozen=True, slots=True)
class _Track:
    """The runs of one instance.

    marks: those that are drawn. starts: of all that are known, and not skipped.
    known_from: since when all of them are.
    """

    instance: str
    marks: list[RunMark]
    starts: list[int]
    known_from: int


def history_of(relay: Relay, seen: SeenJob, days: int) -> History:
    """Return what became of the runs that are `seen`. Raises StoreUnavailable."""
    # Not each second another chart, which would have to be sent again and again.
    step = days * _DAY // _STEPS
    end = seen.now + step - seen.now % step
    begin = end - days * _DAY
    tracks = _tracks(relay, seen, begin)
    lanes = _lanes(seen, tracks)
    marks = [mark for track in tracks for mark in track.marks]
    missed = sorted([(slot, lane.name) for lane in lanes for slot in lane.missed])
    return History(
        days,
        timeline(lanes, begin, end, end),
        durations(marks, begin, end),
        legend(marks, has_missed=bool(missed)),
        len(tracks),
        Counter(map(_ending, marks)).most_common(),
        [(moment(slot), name) for slot, name in missed[-MISSED_TOLD:]],
        len(missed),
        any(track.known_from > begin for track in tracks),
    )


def _tracks(relay: Relay, seen: SeenJob, begin: int) -> list[_Track]:
    rows = seen.rows[:MOST_LANES]
    keys = [key for row in rows for key in row.keys][: MOST_MARKS // LEAST_MARKS]
    most = MOST_MARKS // max(len(keys), 1)
    marks = relay.runs.marks_of_keys(keys, most)
    tracks = []
    for row in rows:
        own = [marks.get(key, []) for key in row.keys]
        # Of others than the last ones, nothing is known.
        firsts = [each[0].started_at for each in own if len(each) == most]
        if any(key not in marks for key in row.keys):
            firsts.append(seen.now)
        found = sorted([m for each in own for m in each], key=attrgetter("started_at"))
        drawn = [mark for mark in found if _end_of(mark, seen.now) >= begin]
        ran = [mark for mark in found if mark.outcome is not Outcome.SKIPPED]
        # Longer ago than runs are known, it may have run as well.
        starts = [mark.started_at for mark in ran] or [row.last_start]
        tracks.append(_Track(row.instance, drawn, starts, max([begin, *firsts])))
    return tracks


def _lanes(seen: SeenJob, tracks: list[_Track]) -> list[Lane]:
    """Return what the timeline shows: a lane an instance; and, where any of several may
    run, one for the runs that did not come."""
    expectation = seen.expected.effective
    if expectation is None or not expectation.has_slots:
        return [Lane(_name(seen, track), track.marks, ()) for track in tracks]

    def missed(together: list[_Track]) -> list[int]:
        starts = [at for each in together for at in each.starts if at]

        known_from = max([each.known_from for each in together])
        since = max(seen.expected.since, seen.expected.paused_until)
        if known_from >= seen.now or since >= seen.now:
            return []
        return missed_slots_in(expectation, since, starts, known_from, seen.now)

    if expectation.per_instance or (seen.is_all and len(seen.rows) == 1):
        return [
            Lane(_name(seen, track), track.marks, missed([track])) for track in tracks
        ]
    lanes = [Lane(_name(seen, track), track.marks, ()) for track in tracks]
    # Of those that are not drawn, it is not known when they ran.
    if seen.is_all and len(tracks) == len(seen.rows):
        lanes.insert(0, Lane("any instance", (), missed(tracks)))
    return lanes


def _name(seen: SeenJob, track: _Track) -> str:
    """Return what a lane is called: nothing if it is the only one."""
    return cut(track.instance, NAME_CHARACTERS) if len(seen.rows) > 1 else ""


def _end_of(mark: RunMark, now: int) -> int:
    return now if mark.finished_at is None else mark.finished_at


def _ending(mark: RunMark) -> str:
    if mark.outcome is not None:
        return mark.outcome.value
    return "abandoned" if mark.is_abandoned else "running"
