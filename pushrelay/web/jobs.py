"""Jobs: what they are like, what is expected of them, and their end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

from pushrelay.config import Settings
from pushrelay.durations import format_duration
from pushrelay.errors import InvalidExpectation, InvalidJSON, InvalidRequest
from pushrelay.expectation_documents import parse_expectation, to_document
from pushrelay.expectations import Source
from pushrelay.exposition.labels import check_grouping_labels
from pushrelay.grouping_key import GroupingKey, parse_job
from pushrelay.key_states import worst_keys
from pushrelay.relay import Relay
from pushrelay.run_states import JobState, State
from pushrelay.schedule import Expectation
from pushrelay.strict_json import parse_object
from pushrelay.web.answers import (
    MOST_ENTRIES,
    READ,
    USUAL_LIMIT,
    answer,
    cursor_of,
    listing,
    place_of,
)
from pushrelay.web.authorisation import require_job
from pushrelay.web.bodies import Bodies
from pushrelay.web.exchange import Exchange, Handlers
from pushrelay.web.groups import answer_keys
from pushrelay.web.job_document import job_document, key_document
from pushrelay.web.moments import coming_moment
from pushrelay.web.noting import note
from pushrelay.web.parameters import Parameters
from pushrelay.web.pings import read_form
from pushrelay.web.query_api import rfc3339
from pushrelay.web.streaming import Streamer
from pushrelay.writes import ChangeExpectation

MOST_KEYS = 100
"""So many grouping keys of a job are shown with it."""

LONGEST_PAUSE = 10 * 365 * 24 * 3600 * 10**9


class Jobs:
    """Handles what is asked of jobs.

    All handlers raise what `Relay` and `RunCases` raise, and InvalidRequest,
    LimitExceeded, RequestTimeout and ClientGone for requests that cannot be read.
    """

    def __init__(
        self, settings: Settings, relay: Relay, bodies: Bodies, streamer: Streamer
    ) -> None:
        self._limits = settings.limits
        self._relay = relay
        self._bodies = bodies
        self._streamer = streamer

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {
            "jobs": self.show_all,
            "job": self.show,
            "retire": self.retire,
            "expect": self.expect,
            "expect_nothing": self.expect_nothing,
            "pause": self.pause,
            "resume": self.resume,
        }

    async def show_all(self, exchange: Exchange, _rest: str) -> None:
        """Show a page of the jobs, by name."""
        parameters = exchange.parameters
        parameters.require_known("state", "limit", "cursor")
        grant = exchange.identity.grant
        states = await self._relay.runs.states()
        if grant.is_bounded:
            states = [state for state in states if grant.covers_job(state.job)]
        parts = _listing(states, parameters)
        await self._streamer.send(exchange, 200, READ, parts)

    async def show(self, exchange: Exchange, path: str) -> None:
        """Show a job and its worst keys; path: as `parse_job` takes it, here and
        below."""
        job = _job_of(exchange, path)
        state = await self._relay.runs.state(job)
        keys = await asyncio.to_thread(worst_keys, state, MOST_KEYS)
        documents = [key_document(each) for each in keys]
        await answer(exchange, {**job_document(state), "keys": documents}, READ)

    async def retire(self, exchange: Exchange, path: str) -> None:
        """Forget a job."""
        parameters = exchange.parameters
        parameters.require_known("dry_run")
        dry_run, job = parameters.flag("dry_run"), _job_of(exchange, path)
        state = await self._relay.runs.state(job, must_be_known=False)
        is_expected = state.expected.effective is not None
        is_known = self._relay.endings.remembers(job) or is_expected or state.keys > 0
        keys = await self._relay.endings.retire(job, dry_run=dry_run)
        if not dry_run:
            note("retired a job", exchange, {"count": str(len(keys)), "job": job})
        data = {
            "dry_run": dry_run,
            "job": job,
            "known": is_known or len(keys) > 0,
            "instances": state.keys,
            "expected": is_expected,
            "named_by_rule": job in self._relay.policies.named_jobs(),
        }
        await answer_keys(exchange, self._streamer, data, keys)

    async def expect(self, exchange: Exchange, path: str) -> None:
        """Let it be expected of a job what the body says."""
        exchange.parameters.require_known()
        job = _job_of(exchange, path)
        check_grouping_labels(GroupingKey.of({"job": job}), self._limits)
        expectation, warnings = await self._bodies.use(
            exchange, self._limits.target_bytes, _read_expectation, is_quick=True
        )
        now = self._relay.now()
        await self._change(
            exchange,
            ChangeExpectation(
                job,
                lambda expected: expected.told(Source.API, expectation, now),
                makes_known=True,
            ),
            json.dumps(to_document(expectation)),
            warnings,
        )

    async def expect_nothing(self, exchange: Exchange, path: str) -> None:
        """Take back what was said at the API of what is expected of a job."""
        exchange.parameters.require_known()
        now = self._relay.now()
        job = _job_of(exchange, path)
        change = ChangeExpectation(
            job, lambda expected: expected.told(Source.API, None, now)
        )
        await self._change(exchange, change, "take back the expectation")

    async def pause(self, exchange: Exchange, path: str) -> None:
        """Let nothing be expected of a job until a moment."""
        job = _job_of(exchange, path)
        form = await read_form(exchange, self._bodies, self._limits.target_bytes)
        parameters = Parameters(form)
        parameters.require_known("until")
        until = end_of_pause(parameters, self._relay.now())
        change = ChangeExpectation(job, lambda expected: expected.paused(until))
        await self._change(exchange, change, f"pause until {rfc3339(until)}")

    async def resume(self, exchange: Exchange, path: str) -> None:
        """End the pause of a job."""
        exchange.parameters.require_known()
        now = self._relay.now()
        job = _job_of(exchange, path)
        change = ChangeExpectation(job, lambda expected: expected.resumed(now))
        await self._change(exchange, change, "resume")

    async def _change(
        self,
        exchange: Exchange,
        change: ChangeExpectation,
        told: str,
        warnings: Sequence[str] = (),
    ) -> None:
        """Make `change`, which is `told` to the log, and answer with what the job is
        like then."""
        await self._relay.runs.expect(change)
        asked = {"job": change.job, "change": told}
        note("changed what is expected of a job", exchange, asked)
        state = await self._relay.runs.state(change.job, must_be_known=False)
        document = job_document(state)
        await answer(exchange, {**document, "warnings": list(warnings)})


def _job_of(exchange: Exchange, path: str) -> str:
    """Return the name of the job, which must be for who asks as a whole."""
    job = parse_job(path)
    exchange.about = GroupingKey.of({"job": job})
    require_job(exchange.identity, job)
    return job


def _listing(states: list[JobState], parameters: Parameters) -> Iterator[bytes]:
    state = parameters.choice("state", State)
    limit = parameters.number("limit", MOST_ENTRIES) or USUAL_LIMIT
    cursor = parameters.one("cursor")
    found = [each for each in states if state in (None, each.state)]
    left = found
    if cursor is not None:
        after = place_of(cursor).decode(errors="replace")
        left = [each for each in found if each.job > after]
    next_ = None
    if len(left) > limit:
        next_ = cursor_of(left[limit - 1].job.encode())
    data = {"matching": len(found), "next": next_}
    documents = (job_document(each) for each in left[:limit])
    yield from listing(data, "jobs", documents)


def _read_expectation(body: bytes) -> tuple[Expectation, list[str]]:
    try:
        return parse_expectation(parse_object(body))
    except InvalidJSON as error:
        raise InvalidExpectation("", str(error)) from None


def end_of_pause(parameters: Parameters, now: int) -> int:
    """Return until when a job is to be paused. Raises InvalidRequest."""
    until = coming_moment(parameters, "until", now)
    if until is None:
        raise InvalidRequest("say until when the job is paused, such as until=2h")
    if until <= now:
        raise InvalidRequest(
            "the parameter until is in the past; to end a pause, use DELETE"
        )
    if until - now > LONGEST_PAUSE:
        raise InvalidRequest(
            f"a job can be paused for {format_duration(LONGEST_PAUSE)} at most"
        )
    return until
