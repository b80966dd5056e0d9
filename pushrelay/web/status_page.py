"""The page for people: which groups there are, when they were pushed, and their end.

It works without JavaScript, except for deletions. Links are relative, so that it does
not matter below which path a proxy shows the relay.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
)
from werkzeug.exceptions import NotFound

from pushrelay import __version__
from pushrelay.config import Settings
from pushrelay.exposition.evidence import NANOSECONDS
from pushrelay.groups import Group, StoredFamily
from pushrelay.rights import Identity, Right
from pushrelay.web.authorisation import covered
from pushrelay.web.flask_bridge import HAS_SESSION, IDENTITY

GROUPS_PER_PAGE = 100
PAGE_BYTES = 4 * 1024 * 1024
"""A page ends with the group that takes it beyond this, before markup."""

FAMILIES_PER_GROUP = 200
SERIES_BYTES = 8 * 1024
"""How much of a family's text is shown."""

NAME_CHARACTERS = 200
"""How much of a name or of a label's value is shown."""

HELP_CHARACTERS = 2_000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    # With no-referrer, browsers would keep from us, too, where a form was sent from.
    "Referrer-Policy": "same-origin",
}
"""Headers of the page and of its assets: what was pushed can run nothing, even if it
were not escaped, and nobody else learns or keeps hold of who looks at it."""

_STATIC = Path(__file__).parent / "static"

blueprint = Blueprint("status_page", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """A family as the page shows it; `series` may be cut. is_withheld: whether it has
    gone stale, so that scrapes do not show it."""

    name: str
    type: str
    help: str
    pushed_at: datetime
    size: int
    series: str
    is_cut: bool
    is_withheld: bool


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group as the page shows it.

    labels: without the job, values cut. families: sorted by name, not all of them if
    they are many; family_count and series_count count all. path: what follows
    `metrics/` in its push URL. Times are None for never; stale_at: when it goes or went
    stale.
    """

    job: str
    labels: list[tuple[str, str]]
    path: str
    pushed_at: datetime | None
    failed_at: datetime | None
    last_push_successful: bool
    stale_at: datetime | None
    is_stale: bool
    families: list[FamilyEntry]
    family_count: int
    series_count: int

    @property
    def name(self) -> str:
        """The grouping key, values cut."""
        return _text((("job", self.job), *self.labels))


@dataclass(frozen=True, slots=True)
class GroupList:
    """One page of the groups; next_after: where the next one goes on, "" at the end.

    total: all groups there are. matching: those that the search left.
    """

    entries: list[GroupEntry]
    total: int
    matching: int
    next_after: str


@blueprint.after_request
def _secure(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@blueprint.route("/", methods=["GET"], provide_automatic_options=False)
@blueprint.route("/status", methods=["GET"], provide_automatic_options=False)
def page() -> Response:
    """Show a page of the groups, and the relay's own state."""
    relay = current_app.extensions["pushrelay"]
    settings: Settings = current_app.extensions["pushrelay_settings"]
    search, after = request.args.get("search", ""), request.args.get("after", "")
    is_current = relay.refresh_blocking()
    identity: Identity = request.environ[IDENTITY]
    groups = covered(identity, relay.groups())
    shown = list_groups(groups, search, after)
    html = render_template(
        "status.html",
        identity=identity,
        has_session=request.environ.get(HAS_SESSION, False),
        may=_rights(identity, settings),
        groups=shown,
        search=search,
        is_first=not after,
        first_query=urlencode({"search": search}),
        next_query=urlencode({"search": search, "after": shown.next_after}),
        is_current=is_current,
        settings=settings,
        started_at=_time(round(relay.telemetry.started_at * NANOSECONDS)),
        version=__version__,
        example=_example(settings),
    )
    return Response(html, headers={"Cache-Control": "no-store"})


@blueprint.route("/static/", defaults={"name": ""}, provide_automatic_options=False)
@blueprint.route("/static/<path:name>", provide_automatic_options=False)
def asset(name: str) -> Response:
    """Send an asset of the page."""
    try:
        return send_from_directory(_STATIC, name)
    except NotFound:
        return Response("404 page not found\n", 404, mimetype="text/plain")


def list_groups(groups: list[Group], search: str, after: str) -> GroupList:
    """Return the page of `groups` (sorted) that follows the position `after`.

    search: what the text of a grouping key must contain, whatever the case.
    after: `next_after` of another page; what is none stands for the beginning.
    """
    wanted = search.casefold()
    found = [g for g in groups if wanted in _text(g.key.labels).casefold()]
    start = bisect_right(found, _canonical(after), key=lambda g: g.key.canonical)
    entries: list[GroupEntry] = []
    size = 0
    for group in islice(found, start, start + GROUPS_PER_PAGE):
        entries.append(_group_entry(group))
        size += _size(entries[-1])
        if size > PAGE_BYTES:
            break
    end = start + len(entries)
    return GroupList(
        entries,
        total=len(groups),
        matching=len(found),
        next_after=_position(found[end - 1]) if end < len(found) else "",
    )


def _text(labels: Iterable[tuple[str, str]]) -> str:
    """Return a grouping key as a person reads it on the page."""
    return " ".join(f'{name}="{value}"' for name, value in labels)


def _position(group: Group) -> str:
    return base64.urlsafe_b64encode(group.key.canonical).decode().rstrip("=")


def _canonical(position: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(position + "=" * (-len(position) % 4))
    except (binascii.Error, ValueError):
        return b""


def _group_entry(group: Group) -> GroupEntry:
    families = sorted(group.families.values(), key=lambda family: family.name)
    (_, job), *others = group.key.labels
    standing = group.standing
    stale_at = standing.stale_at if standing else None
    return GroupEntry(
        job=_cut(job),
        labels=[(_cut(name), _cut(value)) for name, value in others],
        path=group.key.path,
        pushed_at=_time(group.pushed_at),
        failed_at=_time(group.failed_at),
        last_push_successful=group.last_push_successful,
        stale_at=_time(stale_at or 0),
        is_stale=bool(standing and standing.is_stale),
        families=[
            _family_entry(family, is_withheld=family.name in group.withheld)
            for family in families[:FAMILIES_PER_GROUP]
        ],
        family_count=len(families),
        series_count=group.payload.layout.size,
    )


def _family_entry(family: StoredFamily, *, is_withheld: bool) -> FamilyEntry:
    series = family.series
    is_cut = len(series) > SERIES_BYTES
    if is_cut:
        # Between two lines, if the first one is not too long already.
        series = series[: series.rfind(b"\n", 0, SERIES_BYTES) + 1 or SERIES_BYTES]
    return FamilyEntry(
        name=_cut(family.name),
        type=family.type.name.lower().replace("_", " "),
        help=_cut(family.help, HELP_CHARACTERS),
        pushed_at=_utc(family.pushed_at),
        size=family.size,
        series=series.decode(errors="ignore"),
        is_cut=is_cut,
        is_withheld=is_withheld,
    )


def _size(entry: GroupEntry) -> int:
    return len(entry.path) + sum(
        len(family.help) + len(family.series) for family in entry.families
    )


def _cut(text: str, length: int = NAME_CHARACTERS) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _time(nanoseconds: int) -> datetime | None:
    """Return a Unix time that may be 0 for never."""
    return _utc(nanoseconds) if nanoseconds else None


def _utc(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)


def _rights(identity: Identity, settings: Settings) -> dict[str, bool]:
    """Return what who looks at the page may do from it."""
    grant = identity.grant
    wipes = grant.allows(Right.ADMIN) and not grant.is_bounded
    return {
        "delete": grant.allows(Right.PUSH),
        "scrape": grant.allows(Right.SCRAPE),
        "wipe": settings.enable_admin_api and wipes,
        "log_in": identity.is_anonymous and not identity.is_anybody,
    }


def _example(settings: Settings) -> str:
    """Return a command that pushes to this relay, as the client sees it."""
    prefix = settings.external_path or settings.route_prefix
    origin = settings.external_origin or f"{request.scheme}://{request.host}"
    url = f"{origin}{prefix}/metrics/job/example"
    return f"echo 'example_rows 42' | curl --data-binary @- {shlex.quote(url)}"
