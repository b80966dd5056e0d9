"""Which handler answers a request: the Pushgateway's routes, with its redirects.

Go's ServeMux cleans the path first; behind it, httprouter matches the decoded path,
repairs a slash too many or too few and the case of letters, and answers OPTIONS and
wrong methods by itself. HEAD is not implied by GET. The query API is a router of its
own below a stripped prefix.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from pushrelay.config import OWN_METRICS_PATH, Settings
from pushrelay.rights import Right

METHODS = ("DELETE", "GET", "POST", "PUT")

PAGES = {
    "board": "/",
    "job_page": "/job",
    "run_page": "/run",
    "groups_page": "/groups",
    "group_page": "/group",
    "status": "/status",
    "delete_page": "/delete",
    "retire_page": "/retire",
    "pause_page": "/pause",
    "wipe_page": "/wipe",
    "badge": "/badge.svg",
}
"""The pages for people, by the names of their handlers. They are on one level, so that
links from one to the other are relative."""

_FORMS = {
    "delete_form": "/delete",
    "retire_form": "/retire",
    "pause_form": "/pause",
    "resume_form": "/resume",
    "wipe_form": "/wipe",
}

_OF_ADMIN_API = ("wipe_page", "wipe_form")
_OF_ADMINS = (
    *("retire_page", "retire_form", "pause_page", "pause_form", "resume_form"),
    *_OF_ADMIN_API,
)


@dataclass(frozen=True, slots=True)
class Route:
    """`methods` of a path are answered by the handler `name`, for who has `right`.

    right: None if everybody may. There is no route without a word about it.
    pattern: of the whole decoded path. Its fixed part is what `static` says, so that
    a path can be repaired.
    """

    name: str
    right: Right | None
    methods: tuple[str, ...]
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Found:
    """The request goes to the handler `name`, if who sent it has `right`; rest: the
    variable part of its path, with the word `job` or `jobs` before the name of a job.
    """

    name: str
    right: Right | None
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Redirected:
    """The request belongs elsewhere; location: percent-encoded path.

    by_cleaning: the path was not clean, which is found before anything else is looked
    at.
    """

    location: str
    status: int
    by_cleaning: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The path is known, the method is not among `allowed` (which has OPTIONS).

    is_ours: whether the Pushgateway does not have this path.
    """

    allowed: tuple[str, ...]
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such path."""


Resolution = Found | Redirected | Refused | Unknown

_PUSH_NAMES = {"PUT": "push", "POST": "push", "DELETE": "delete"}


class Router:
    """The routes of a relay with these settings."""

    def __init__(self, settings: Settings) -> None:
        prefix = settings.route_prefix
        self._api_prefix = f"{prefix}/api/v1"
        self._pushes = re.compile(
            re.escape(f"{prefix}/metrics/") + r"(job(?:@base64)?/[^/]+(?:/.*)?)", re.S
        )
        self._jobless = (f"{prefix}/metrics/job/", f"{prefix}/metrics/job@base64/")
        self._main = [
            _route("healthy", Right.HEALTH, ("GET",), f"{prefix}/-/healthy"),
            _route("ready", Right.HEALTH, ("GET",), f"{prefix}/-/ready"),
            _route("metrics", Right.SCRAPE, ("GET",), prefix + settings.telemetry_path),
            _route("own_metrics", Right.SCRAPE, ("GET",), prefix + OWN_METRICS_PATH),
            *_pages(settings, PAGES, "GET", Right.READ),
            *_pages(settings, _FORMS, "POST", Right.PUSH),
            _route("static", None, ("GET",), f"{prefix}/static/", rest=True),
            _route("login", None, ("GET",), f"{prefix}/login"),
            _route("log_in", None, ("POST",), f"{prefix}/login"),
            _route("log_out", None, ("POST",), f"{prefix}/logout"),
            _route("reload", Right.ADMIN, ("PUT", "POST"), f"{prefix}/-/reload"),
            _route("quit", Right.ADMIN, ("PUT", "POST"), f"{prefix}/-/quit"),
            # The Pushgateway has this one at the bare root only.
            _route("quit_refused", None, ("GET",), "/-/quit"),
            Route("push", Right.PUSH, ("POST", "PUT"), self._pushes),
            Route("delete", Right.PUSH, ("DELETE",), self._pushes),
        ]
        self._api = [
            _route("api/v1/status", Right.READ, ("GET",), "/status"),
            _route("api/v1/metrics", Right.READ, ("GET",), "/metrics"),
            _route("openapi", Right.READ, ("GET",), "/openapi.json"),
            _route("sd", Right.SCRAPE, ("GET",), "/sd"),
            _route("groups", Right.READ, ("GET",), "/groups"),
            _route("push_groups", Right.PUSH, ("POST", "PUT"), "/groups"),
            _route("delete_groups", Right.ADMIN, ("DELETE",), "/groups"),
            _route("runs", Right.READ, ("GET",), "/runs"),
            Route("run", Right.READ, ("GET",), _RUN),
            Route("report_run", Right.PUSH, ("PUT",), _RUN),
            _route("ping", Right.PUSH, ("POST",), "/ping"),
            _route("jobs", Right.READ, ("GET",), "/jobs"),
            Route("job", Right.READ, ("GET",), _JOB),
            Route("retire", Right.ADMIN, ("DELETE",), _JOB),
        ]
        self._parts_of_jobs = [
            _part_of_job("expect", Right.PUSH, "PUT", "expectation"),
            _part_of_job("expect_nothing", Right.PUSH, "DELETE", "expectation"),
            _part_of_job("pause", Right.ADMIN, "POST", "pause"),
            _part_of_job("resume", Right.ADMIN, "DELETE", "pause"),
        ]
        if settings.enable_admin_api:
            self._api += [
                _route("wipe", Right.ADMIN, ("PUT",), "/admin/wipe"),
                _route("import", Right.ADMIN, ("POST",), "/admin/import"),
            ]

    @property
    def routes(self) -> list[Route]:
        """All routes; those of the API without its prefix."""
        return [*self._main, *self._api, *self._parts_of_jobs]

    def is_api(self, raw_path: str) -> bool:
        """Whether `raw_path` belongs to the query API."""
        return unquote(raw_path).startswith(self._api_prefix + "/")

    def resolve(self, method: str, raw_path: str) -> Resolution:
        """Say who answers `method` on the undecoded `raw_path`."""
        path = unquote(raw_path, errors="surrogateescape")
        # Nearly every request is a push to a path that needs no repair.
        if method in _PUSH_NAMES and not _NEEDS_CLEANING.search(raw_path):
            match = self._pushes.fullmatch(path)
            if match is not None:
                return Found(_PUSH_NAMES[method], Right.PUSH, match[1])
        if raw_path == "*":
            return Refused(())
        cleaned = clean_path(raw_path)
        if cleaned != raw_path:
            location = quote(cleaned, safe=_UNCHANGED + "%[]")
            return Redirected(location, 307, by_cleaning=True)
        if path == self._api_prefix:
            return Redirected(self._api_prefix + "/", 307)
        if path.startswith(self._api_prefix + "/"):
            rest = path.removeprefix(self._api_prefix)
            # The names of jobs may end so too, with an encoded slash before it.
            is_part = _PART_OF_JOB.fullmatch(rest) and _PART.search(raw_path)
            routes = self._parts_of_jobs if is_part else self._api
            return self._resolve_api(routes, method, rest)
        if path in self._jobless and method in _PUSH_NAMES:
            return _redirect(method, path[:-1])
        return _resolve(self._main, method, path)

    def _resolve_api(self, routes: list[Route], method: str, path: str) -> Resolution:
        is_ours = _READ_ONLY_FOR_OTHERS.fullmatch(path) is not None
        if method == "OPTIONS":
            return Found("read_options" if is_ours else "api/v1/options", None)
        # Redirects lack the prefix, as the Pushgateway's do.
        resolution = _resolve(routes, method, path)
        if isinstance(resolution, Refused):
            return Refused(resolution.allowed, is_ours)
        return resolution


_RUN = re.compile("/runs/(.+)", re.S)
_JOB = re.compile("/(jobs(?:@base64)?/.+)", re.S)
_PART_OF_JOB = re.compile("/jobs(?:@base64)?/.+/(?:expectation|pause)", re.S | re.I)
_PART = re.compile("/(?:expectation|pause)$")

_READ_ONLY_FOR_OTHERS = re.compile(
    r"/(?:groups|jobs|jobs@base64|runs|ping|sd|admin/import|openapi\.json)(?:/.*)?",
    re.S | re.I,
)
"""Paths of the API that pages of other origins may read and not change. What the
Pushgateway has too is open to them as it is there."""


def clean_path(path: str) -> str:
    """Return `path` without empty, `.` and `..` elements, as Go's ServeMux wants it."""
    if not _NEEDS_CLEANING.search(path):
        return path if path.startswith("/") else f"/{path}"
    # POSIX lets two leading slashes mean something special; URLs do not.
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    return cleaned if cleaned == "/" or not path.endswith("/") else f"{cleaned}/"


_UNCHANGED = "/@:!$&'()*+,;=~"
"""Characters that stand in a path as they are, beside letters and digits."""

_NEEDS_CLEANING = re.compile(r"//|/\.\.?(?:/|$)")


def _route(
    name: str,
    right: Right | None,
    methods: tuple[str, ...],
    path: str,
    *,
    rest: bool = False,
) -> Route:
    pattern = re.escape(path) + ("(.*)" if rest else "")
    return Route(name, right, methods, re.compile(pattern, re.S))


def _pages(
    settings: Settings, paths: Mapping[str, str], method: str, right: Right
) -> list[Route]:
    needed = {name: Right.ADMIN if name in _OF_ADMINS else right for name in paths}
    return [
        _route(name, needed[name], (method,), settings.route_prefix + path)
        for name, path in paths.items()
        if settings.enable_admin_api or name not in _OF_ADMIN_API
    ]


def _part_of_job(name: str, right: Right, method: str, part: str) -> Route:
    pattern = re.compile(f"/(jobs(?:@base64)?/.+)/{part}", re.S)
    return Route(name, right, (method,), pattern)


def _resolve(routes: list[Route], method: str, path: str) -> Resolution:
    for route in routes:
        match = route.pattern.fullmatch(path)
        if match is not None and method in route.methods:
            rest = match[1] if match.re.groups else ""
            return Found(route.name, route.right, rest)
    if method in METHODS and path != "/":
        repaired = _repair([r for r in routes if method in r.methods], path)
        if repaired is not None:
            return _redirect(method, repaired)
    allowed = {m for r in routes if r.pattern.fullmatch(path) for m in r.methods}
    if allowed:
        return Refused(tuple(sorted({*allowed, "OPTIONS"})))
    return Unknown()


def _redirect(method: str, path: str) -> Redirected:
    location = quote(path, safe=_UNCHANGED, errors="surrogateescape")
    return Redirected(location, 301 if method == "GET" else 307)


def _repair(routes: list[Route], path: str) -> str | None:
    """Return the path of a route that differs in a final slash or in upper case."""
    other = path[:-1] if path.endswith("/") else f"{path}/"
    for candidate in (other, *map(clean_path, (path, other))):
        for route in routes:
            if candidate == path:
                continue
            if route.pattern.fullmatch(candidate):
                return candidate
    for candidate in (path, other):
        for route in routes:
            match = re.fullmatch(route.pattern.pattern, candidate, re.S | re.I)
            if match is not None:
                return _lower_fixed_part(match)
    return None


def _lower_fixed_part(match: re.Match[str]) -> str:
    path = match[0]
    if not match.re.groups:
        return path.lower()
    rest = match[1]
    if "(job" in match.re.pattern:
        job, slash, values = rest.partition("/")
        rest = job.lower() + slash + values
    return path[: match.start(1)].lower() + rest + path[match.end(1) :]
