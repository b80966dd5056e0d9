"""The one table from errors to HTTP, and what a client is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pushrelay.errors import (
    IdempotencyConflict,
    InconsistentPush,
    InvalidExpectation,
    InvalidRequest,
    InvalidRules,
    InvalidRun,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    Overloaded,
    PushrelayError,
    RunConflict,
    RunTooOld,
    StoreUnavailable,
    TooManyFailures,
    UnknownJob,
)

RETRY_AFTER_SECONDS = 5
FULL_RETRY_AFTER_SECONDS = 60
"""Until something is forgotten or somebody makes room."""

_LIMIT_STATUS = {
    "body_bytes": 413,
    "series": 413,
    "groups": 413,
    "merged_series": 413,
    "database": 413,
    "rendered_bytes": 413,
    "target_bytes": 414,
    # There may be room later.
    "stored_groups": 429,
    "stored_series": 429,
    "stored_bytes": 429,
    "job_groups": 429,
    "job_series": 429,
    "database_bytes": 429,
}


class RequestTimeout(PushrelayError):
    """The client took too long to send its request; `limit` names the setting that says
    so."""

    reason = "timeout"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class HTTPError(PushrelayError):
    """A request that is refused for its head alone: method, path or expectation. Or
    what it asks for is not there.

    plain: the text for clients that do not want JSON, if it is not the error's own.
    """

    def __init__(
        self,
        status: HTTPStatus,
        text: str,
        *,
        plain: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = status.name.lower()
        self.plain = plain
        self.headers = headers or {}


_STATUS = {
    InvalidRequest: 400,
    InconsistentPush: 400,
    NotAuthenticated: 401,
    NotAllowed: 403,
    UnknownJob: 404,
    IdempotencyConflict: 409,
    RunConflict: 409,
    RunTooOld: 410,
    InvalidRules: 500,
    RequestTimeout: 408,
    TooManyFailures: 429,
    StoreUnavailable: 503,
}


def status_of(error: Exception) -> int:
    """Return the HTTP status that tells of `error`."""
    if isinstance(error, LimitExceeded):
        return _LIMIT_STATUS.get(error.limit, 400)
    if isinstance(error, HTTPError):
        return error.status
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 500


def text_of(error: Exception) -> str:
    """Return what to tell the client; nothing about what is not its business."""
    return str(error) if isinstance(error, PushrelayError) else "internal error"


def line_of(error: Exception) -> str:
    """Return what a client is told that does not want JSON, as the Pushgateway would
    say it."""
    return "Unauthorized" if isinstance(error, NotAuthenticated) else text_of(error)


def headers_of(error: Exception) -> tuple[tuple[str, str], ...]:
    """Return the headers that an answer with `error` needs."""
    if isinstance(error, StoreUnavailable):
        return (("Retry-After", str(RETRY_AFTER_SECONDS)),)
    if isinstance(error, TooManyFailures):
        return (("Retry-After", str(error.seconds)),)
    if isinstance(error, NotAuthenticated):
        return _challenges(error.scheme)
    if isinstance(error, HTTPError):
        return tuple(error.headers.items())
    if status_of(error) == HTTPStatus.TOO_MANY_REQUESTS:
        return (("Retry-After", str(FULL_RETRY_AFTER_SECONDS)),)
    return ()


def quiet_headers_of(error: Exception) -> tuple[tuple[str, str], ...]:
    """Return those after which a browser asks nobody for a password, in a window of its
    own."""
    return tuple(each for each in headers_of(error) if not each[1].startswith("Basic"))


def _challenges(wrong: str) -> tuple[tuple[str, str], ...]:
    """Return how one may say who one is (RFC 7617, RFC 6750)."""
    bearer = 'Bearer realm="pushrelay"'
    if wrong == "bearer":
        bearer += ', error="invalid_token"'
    basic = 'Basic realm="pushrelay", charset="UTF-8"'
    return (("WWW-Authenticate", basic), ("WWW-Authenticate", bearer))


def reason_of(error: Exception) -> str:
    """Return the short word for `error`."""
    return error.reason if isinstance(error, PushrelayError) else PushrelayError.reason


def limit_of(error: Exception) -> str | None:
    """Return the limit that was hit, None if `error` tells of none."""
    if isinstance(error, (LimitExceeded, Overloaded, RequestTimeout)):
        return error.limit
    return None


def problem_of(error: Exception) -> dict[str, Any]:
    """Return the problem document (RFC 9457) of `error`."""
    reason = reason_of(error)
    problem: dict[str, Any] = {
        "type": f"urn:pushrelay:problem:{reason}",
        "title": reason.replace("_", " ").capitalize(),
        "status": int(status_of(error)),
        "detail": text_of(error),
        "reason": reason,
    }
    if isinstance(error, PushrelayError) and error.line is not None:
        problem["line"] = error.line
    if limit := limit_of(error):
        problem["limit"] = limit
    if field := _field_of(error):
        problem["field"] = field
    if isinstance(error, InconsistentPush):
        problem["problems"] = [each.members() for each in error.problems]
    return problem


def _field_of(error: Exception) -> str:
    """Return the path of the field that `error` is about, as its text begins; empty if
    it is about none."""
    if isinstance(error, InvalidExpectation):
        return f"expectation.{error.field}".removesuffix(".")
    return error.field if isinstance(error, InvalidRun) else ""


def forget_frames(error: BaseException) -> None:
    """Let `error` not keep what it passed by. Some of those frames know the error, and
    some the body of the request: both would stay until somebody looks for garbage."""
    cause: BaseException | None = error
    # One may be its own cause.
    while cause is not None and cause.__traceback__ is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
