"""The page of one run: how it ended, what it said, and what came before and after."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from flask import Response, request

from pushrelay.errors import StoreUnavailable
from pushrelay.listed_runs import ListedRun
from pushrelay.run_cases import RunCases
from pushrelay.run_fields import parse_uuid
from pushrelay.runs import End
from pushrelay.shown import shown
from pushrelay.web.errors import HTTPError
from pushrelay.web.pages.addresses import job_address, run_address
from pushrelay.web.pages.families import (
    NAME_CHARACTERS,
    other_labels,
    row_labels,
)
from pushrelay.web.pages.layout import (
    cut,
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)
from pushrelay.web.pages.run_words import Ending, code_of, ending_of, usage_facts

NEIGHBOURS = 1000
"""Among so many of the last runs of its key, the ones beside a run are looked for."""

MOST_ATTEMPTS = 10
"""So many attempts before and after a run are shown."""

PROBLEMS = 20
PROBLEM_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run as pages show it; times are None where they are not known.

    took: nanoseconds. code: exit code or signal.
    """

    id: bytes
    ending: Ending
    started_at: datetime | None
    finished_at: datetime | None
    took: int | None
    code: str
    attempt: int
    host: str
    labels: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Output:
    """What a run wrote last to `stream`, which people call `name`."""

    stream: str
    name: str
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class Beside:
    """The runs of the same key around a run.

    before, after: ids, None if there is none, or none that is known. attempts: of what
    it is an attempt to do, with itself; empty if it is the only one. is_known: whether
    the database said so.
    """

    before: bytes | None
    after: bytes | None
    attempts: list[RunEntry]
    is_known: bool = True


_ALONE = Beside(None, None, [])


@pages.route("/run", methods=["GET"], provide_automatic_options=False)
def run() -> Response:
    """Show a run."""
    id_ = _id_of(request.args.get("id", ""))
    refresh()
    runs = the_relay().runs
    listed = runs.find_blocking(id_.bytes)
    # Whether there is one that is none of their business is none, either.
    if listed is None or not who_asks().grant.covers(listed.run.key):
        raise HTTPError(
            HTTPStatus.NOT_FOUND,
            f"no run {id_} is known; it was not reported, its job is retired, or it "
            "was so long ago that it was let go",
        )
    found, end = listed.run, listed.run.end
    labels = dict(found.key.labels)
    return show(
        "run.html",
        now=moment(the_relay().now()),
        run=run_entry(listed),
        id=str(id_),
        labels=other_labels(found.key),
        job=cut(found.key.job, NAME_CHARACTERS),
        job_address=job_address(found.key.job, labels.get("instance", "")),
        outputs=_outputs(end),
        usage=usage_facts(end.usage) if end else [],
        problems=[
            cut(problem, PROBLEM_CHARACTERS)
            for problem in (end.problems if end else ())[:PROBLEMS]
        ],
        trace_id=found.trace_id,
        beside=_beside(runs, listed),
        run_address=run_address,
    )


def _outputs(end: End | None) -> list[Output]:
    """Return what the run wrote last, first what tells most of a failure."""
    streams = {
        ("stderr", "Standard error"): end.stderr if end else None,
        ("stdout", "Standard output"): end.stdout if end else None,
    }
    return [
        Output(stream, name, text, len(text.encode()))
        for (stream, name), text in streams.items()
        if text
    ]


def run_entry(listed: ListedRun) -> RunEntry:
    """Return what pages show of a run."""
    found, end = listed.run, listed.run.end
    return RunEntry(
        found.id,
        ending_of(listed),
        moment(found.started_at),
        moment(end.finished_at) if end else None,
        end.duration if end else None,
        code_of(end),
        found.attempt,
        cut(found.host or "", NAME_CHARACTERS),
        row_labels(found.key),
    )


def _id_of(written: str) -> uuid.UUID:
    id_ = parse_uuid(written)
    if id_ is None:
        raise HTTPError(
            HTTPStatus.NOT_FOUND,
            f"{shown(written)} is no id of a run; it is a UUID such as "
            "0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00, as links to runs have it",
        )
    return id_


def _beside(runs: RunCases, listed: ListedRun) -> Beside:
    """Return what is around the run."""
    key = listed.run.key
    try:
        marks = runs.marks_of_keys([key.id], NEIGHBOURS).get(key.id, [])
        # Others have no page any more.
        ids = [mark.id for mark in marks if mark.is_listed]
        if listed.run.id not in ids:
            return _ALONE
        at = ids.index(listed.run.id)
        attempts = _attempts(runs, listed, ids[:at], ids[at + 1 :])
    except StoreUnavailable:
        return replace(_ALONE, is_known=False)
    return Beside(
        ids[at - 1] if at else None,
        ids[at + 1] if at + 1 < len(ids) else None,
        attempts,
    )


def _attempts(
    runs: RunCases,
    listed: ListedRun,
    before: list[bytes],
    after: list[bytes],
) -> list[RunEntry]:
    """Return the attempts of which the run is one, those of them that are kept."""
    earlier = min(listed.run.attempt - 1, MOST_ATTEMPTS)
    before, after = before[max(len(before) - earlier, 0) :], after[:MOST_ATTEMPTS]
    around = runs.find_all_blocking([*before, *after])
    found = [listed]
    for id_ in reversed(before):
        one = around.get(id_)
        if one is None or one.run.attempt != found[0].run.attempt - 1:
            break
        found.insert(0, one)
    for id_ in after:
        one = around.get(id_)
        if one is None or one.run.attempt != found[-1].run.attempt + 1:
            break
        found.append(one)
    return [run_entry(each) for each in found] if len(found) > 1 else []
