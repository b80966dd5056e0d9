"""The one table from errors to HTTP."""

from __future__ import annotations

from pushrelay.errors import (
    IdempotencyConflict,
    InconsistentPush,
    InvalidRequest,
    LimitExceeded,
    PushrelayError,
    StoreUnavailable,
)

RETRY_AFTER_SECONDS = 5

_LIMIT_STATUS = {
    "body_bytes": 413,
    "series": 413,
    "groups": 413,
    "database": 413,
    "rendered_bytes": 413,
    "target_bytes": 414,
}


class RequestTimeout(PushrelayError):
    """The client took too long to send its request."""

    reason = "timeout"


_STATUS = {
    InvalidRequest: 400,
    InconsistentPush: 400,
    IdempotencyConflict: 409,
    RequestTimeout: 408,
    StoreUnavailable: 503,
}


def status_of(error: Exception) -> int:
    """Return the HTTP status that tells of `error`."""
    if isinstance(error, LimitExceeded):
        return _LIMIT_STATUS.get(error.limit, 400)
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return 500


def text_of(error: Exception) -> str:
    """Return what to tell the client; nothing about what is not its business."""
    if isinstance(error, PushrelayError):
        return f"{error}\n"
    return "internal error\n"
