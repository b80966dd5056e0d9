"""What the forms of pages do: delete groups, retire and pause jobs, wipe.

Each comes from a page of `pages.confirm`, which said what will be lost; each leads to a
page that says what was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from flask import Flask

from pushrelay.config import Settings
from pushrelay.errors import InvalidRequest
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.relay import Relay
from pushrelay.web.authorisation import (
    require_all_groups,
    require_group,
    require_job,
)
from pushrelay.web.errors import quiet_headers_of
from pushrelay.web.exchange import Exchange, Handler, Handlers, Headers
from pushrelay.web.jobs import end_of_pause
from pushrelay.web.noting import note
from pushrelay.web.page_forms import read_page_form
from pushrelay.web.pages import HEADERS
from pushrelay.web.pages.addresses import job_address
from pushrelay.web.pages.groups import Wanted
from pushrelay.web.pages.keys import group_in, read_key
from pushrelay.web.pages.layout import frame_of, told
from pushrelay.web.pages.messages import fields_of
from pushrelay.web.parameters import Parameters
from pushrelay.web.query_api import rfc3339
from pushrelay.web.streaming import Streamer
from pushrelay.writes import ChangeExpectation

CONFIRMATION = "all"
"""What people type before all groups are deleted."""

_ADVICE = "Other clients use the API, which does the same"
_PRIVATE: Headers = (("Cache-Control", "no-store"),)

_Act = Callable[[Exchange, Parameters], Awaitable[str]]
"""Does what a form asks for; returns the address of the page that says so, relative as
all are."""


class PageActions:
    """Handles the forms.

    app: has the templates. All handlers raise what `Relay` raises, NotAllowed, and
    InvalidRequest, LimitExceeded, RequestTimeout and ClientGone for forms that cannot
    be read.
    """

    def __init__(
        self, settings: Settings, relay: Relay, streamer: Streamer, app: Flask
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._streamer = streamer
        self._error_page = app.jinja_env.get_template("error.html")

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        acts: dict[str, _Act] = {
            "delete_form": self._delete,
            "retire_form": self._retire,
            "pause_form": self._pause,
            "resume_form": self._resume,
            "wipe_form": self._wipe,
        }
        return {name: self._handler(act) for name, act in acts.items()}

    def _handler(self, act: _Act) -> Handler:
        async def handle(exchange: Exchange, _rest: str) -> None:
            exchange.page_of_error = self._page_of
            most = self._settings.limits.target_bytes
            location = await act(
                exchange, await read_page_form(exchange, most, _ADVICE)
            )
            await exchange.answer(303, headers=(("Location", location), *_PRIVATE))

        return handle

    async def _delete(self, exchange: Exchange, form: Parameters) -> str:
        """Delete the chosen groups, unless they changed since they were shown."""
        wanted, revision = Wanted.of(form), _revision(form)
        keys = list(dict.fromkeys(map(read_key, form.all("key"))))
        exchange.about = keys[0] if len(keys) == 1 else f"{len(keys)} groups"
        for key in keys:
            require_group(exchange.identity, key)
        await self._relay.require_refresh()
        found = await self._streamer.run(self._find, keys)
        note("deleting groups", exchange, _named([group.key for group in found]))
        # Each change of a group has a later revision than all there was before.
        deleted = await self._relay.endings.delete_groups(
            found, lambda group: group.revision <= revision
        )
        note("deleted groups", exchange, _named(deleted))
        left = len(found) - len(deleted)
        gone = len(keys) - len(found)
        done = fields_of("deleted", count=len(deleted), changed=left, gone=gone)
        return wanted.address(**done)

    async def _retire(self, exchange: Exchange, form: Parameters) -> str:
        """Forget a job."""
        job = _job_of(exchange, form)
        keys = await self._relay.endings.retire(job)
        note("retired a job", exchange, {"count": str(len(keys)), "job": job})
        return f"./?{urlencode(fields_of('retired', count=len(keys)))}"

    async def _pause(self, exchange: Exchange, form: Parameters) -> str:
        """Let nothing be expected of a job until a moment."""
        job = _job_of(exchange, form)
        written = (form.one("until") or "").strip()
        try:
            parameters = Parameters(urlencode({"until": written}))
            until = end_of_pause(parameters, self._relay.now())
        except InvalidRequest:
            return f"./pause?{urlencode({'job': job, 'problem': 'until'})}"
        change = ChangeExpectation(job, lambda expected: expected.paused(until))
        await self._change(exchange, change, f"pause until {rfc3339(until)}")
        return job_address(job, **fields_of("paused"))

    async def _resume(self, exchange: Exchange, form: Parameters) -> str:
        """End the pause of a job."""
        job, now = _job_of(exchange, form), self._relay.now()
        change = ChangeExpectation(job, lambda expected: expected.resumed(now))
        await self._change(exchange, change, "resume")
        return job_address(job, **fields_of("resumed"))

    async def _wipe(self, exchange: Exchange, form: Parameters) -> str:
        """Delete all groups."""
        require_all_groups(exchange.identity)
        exchange.about = "all groups"
        if (form.one("confirm") or "").strip().lower() != CONFIRMATION:
            return "./wipe?problem=confirm"
        note("deleting all groups", exchange, {})
        await self._relay.endings.wipe()
        note("deleted all groups", exchange, {})
        return f"./groups?{urlencode(fields_of('wiped'))}"

    async def _change(
        self, exchange: Exchange, change: ChangeExpectation, told: str
    ) -> None:
        await self._relay.runs.expect(change)
        asked = {"job": change.job, "change": told}
        note("changed what is expected of a job", exchange, asked)

    def _find(self, keys: Sequence[GroupingKey]) -> list[Group]:
        there = self._relay.groups()
        found = (group_in(there, key) for key in keys)
        return [group for group in found if group is not None]

    def _page_of(self, error: Exception, exchange: Exchange) -> tuple[bytes, Headers]:
        """Return the page that tells of `error`, and its headers."""
        html = self._error_page.render(
            error=told(error),
            has_session=exchange.has_session,
            is_current=True,
            **frame_of(exchange.identity, self._settings),
        )
        return html.encode(), (*HEADERS.items(), *_PRIVATE, *quiet_headers_of(error))


def _named(keys: Sequence[GroupingKey]) -> dict[str, str]:
    return {"count": str(len(keys)), "groups": " ".join(map(str, keys))}


def _revision(form: Parameters) -> int:
    """Return the last revision of the groups as they were shown."""
    written = form.one("revision") or ""
    if not (written.isascii() and written.isdigit() and len(written) < 20):
        raise InvalidRequest("the form does not say which state of the groups it is of")
    return int(written)


def _job_of(exchange: Exchange, form: Parameters) -> str:
    """Return the name of the job, which must be for who asks as a whole."""
    job = form.one("job")
    if not job:
        raise InvalidRequest("the form names no job")
    exchange.about = GroupingKey.of({"job": job})
    require_job(exchange.identity, job)
    return job
