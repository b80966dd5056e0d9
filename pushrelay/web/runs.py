"""Runs: one is reported, one is shown, many are listed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from pushrelay.config import Settings
from pushrelay.errors import InvalidRequest, InvalidRun
from pushrelay.listed_runs import ListedRun
from pushrelay.quoting import quote
from pushrelay.relay import Relay
from pushrelay.rights import Grant
from pushrelay.run_documents import parse_run, to_document
from pushrelay.run_fields import about_job, parse_uuid, parse_uuid_prefix
from pushrelay.runs import Report
from pushrelay.shown import shown
from pushrelay.store.run_list import STATES, RunFilter
from pushrelay.web.answers import (
    MOST_ENTRIES,
    READ,
    USUAL_LIMIT,
    answer,
    listing,
)
from pushrelay.web.bodies import Bodies
from pushrelay.web.errors import HTTPError
from pushrelay.web.exchange import Exchange, Handlers
from pushrelay.web.moments import past_moment
from pushrelay.web.parameters import Parameters
from pushrelay.web.reports import Reports, data_of
from pushrelay.web.run_places import Place, cursor_at, place_of_run, read_run_cursor
from pushrelay.web.streaming import Streamer

_PARAMETERS = ("job", "state", "since", "until", "id", "limit", "cursor")
_SPOOLED = "x-pushrelay-spooled"
MOST_LOOKS = 10
"""So many times, as many runs as a page may have are looked at for those covered."""


class Runs:
    """Handles run documents, and what is asked about runs.

    All handlers raise what `RunCases` raises, and InvalidRequest, LimitExceeded,
    RunTooOld, RequestTimeout and ClientGone for requests that cannot be taken.
    """

    def __init__(
        self,
        settings: Settings,
        relay: Relay,
        bodies: Bodies,
        reports: Reports,
        streamer: Streamer,
    ) -> None:
        self._limits = settings.limits
        self._utf8_names = settings.utf8_names
        self._relay = relay
        self._bodies = bodies
        self._reports = reports
        self._streamer = streamer

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {"report_run": self.report, "run": self.show, "runs": self.show_all}

    async def report(self, exchange: Exchange, id_: str) -> None:
        """Store what a run document says of the run `id_`."""
        now = self._relay.now()
        parse = partial(self._parse, _run_id(id_), now)
        limits = exchange.identity.limits_within(self._limits)
        report = await self._bodies.use(
            exchange, limits.body_bytes, parse, is_quick=True
        )
        with about_job(report.run.key.job):
            reported = await self._reports.take(exchange, report, now)
        if exchange.header(_SPOOLED) == "true" and not reported.is_replay:
            self._relay.telemetry.spooled_run()
        await answer(exchange, data_of(reported))

    def _parse(self, id_: uuid.UUID, now: int, body: bytes) -> Report:
        report = parse_run(body, id_, now, utf8_names=self._utf8_names)
        run, most = report.run, self._limits.run_output_bytes
        if run.end is None:
            return report
        return replace(report, run=replace(run, end=run.end.with_output(most)))

    async def show(self, exchange: Exchange, id_: str) -> None:
        """Show all that is kept of the run `id_`."""
        run_id = _run_id(id_)
        run = await self._relay.runs.find(run_id.bytes)
        # Whether there is one that is none of their business is none, either.
        if run is None or not exchange.identity.grant.covers(run.run.key):
            raise HTTPError(
                HTTPStatus.NOT_FOUND,
                f"no run {run_id} is known; it was not reported, its job is retired, "
                "or it was so long ago that it was let go",
            )
        await answer(exchange, _document(run), READ)

    async def show_all(self, exchange: Exchange, _rest: str) -> None:
        """Show a page of the runs, the last to start first."""
        wanted = _wanted(exchange.parameters, self._relay.now())
        runs, place = await self._covered(wanted, exchange.identity.grant)
        next_ = None if place is None else cursor_at(place)
        parts = listing({"next": next_}, "runs", map(_entry, runs))
        await self._streamer.send(exchange, 200, READ, parts)

    async def _covered(
        self, wanted: RunFilter, grant: Grant
    ) -> tuple[list[ListedRun], Place | None]:
        """Return what is `wanted` and covered, but for the last of its limit, which
        only tells whether there is more; and then, where the next page begins.

        That would tell of a run of others only if there are thousands of them before
        the next one that is covered, for which nobody looks so far.
        """
        size, found = wanted.limit - 1, list[ListedRun]()
        if grant.is_bounded:
            wanted = replace(wanted, limit=max(wanted.limit, MOST_ENTRIES))
        for _ in range(MOST_LOOKS):
            runs = await self._relay.runs.listed(wanted)
            found += [each for each in runs if grant.covers(each.run.key)]
            if len(found) > size:
                return found[:size], place_of_run(found[size - 1])
            if len(runs) < wanted.limit:
                return found, None
            wanted = replace(wanted, after=place_of_run(runs[-1]))
        return found, wanted.after


def _run_id(written: str) -> uuid.UUID:
    id_ = parse_uuid(written)
    if id_ is None:
        raise InvalidRun(
            "id",
            f"{shown(written)} in the path is no UUID; give each run a new one, such "
            "as 0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00, and its start and its finish the "
            "same",
        )
    return id_


def _wanted(parameters: Parameters, now: int) -> RunFilter:
    parameters.require_known(*_PARAMETERS)
    state = parameters.one("state")
    if state is not None and state not in STATES:
        raise InvalidRequest(
            f"the parameter state is {quote(state)}; write {' or '.join(STATES)}"
        )
    cursor, id_ = parameters.one("cursor"), parameters.one("id")
    return RunFilter(
        job=parameters.one("job"),
        state=state,
        since=past_moment(parameters, "since", now),
        until=past_moment(parameters, "until", now),
        after=None if cursor is None else read_run_cursor(cursor),
        limit=1 + (parameters.number("limit", MOST_ENTRIES) or USUAL_LIMIT),
        ids=None if id_ is None else _ids(id_),
    )


def _ids(beginning: str) -> tuple[bytes, bytes]:
    """Return the first and the last id that begin so."""
    ids = parse_uuid_prefix(beginning)
    if ids is None:
        raise InvalidRequest(
            f"the parameter id is {quote(beginning)}; write how the UUID of a run "
            "begins, 4 digits of it or more, as in 0190b5a4-7e, with their dashes"
        )
    first, last = ids
    return first.bytes, last.bytes


def _document(listed: ListedRun) -> dict[str, Any]:
    return {**to_document(listed.run), "abandoned": listed.is_abandoned}


def _entry(listed: ListedRun) -> dict[str, Any]:
    """Return the document of a run without its output, which may be 20 kB."""
    document = _document(listed)
    del document["output_tail"]
    return document
