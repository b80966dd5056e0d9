"""A report of the spool as a file: its name, what is in it, and how it gets there."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from math import isfinite
from typing import Any, NamedTuple
from zlib import crc32

from pushrelay.wrapper.replacing import replace_file
from pushrelay.wrapper.reports import Report

MOST_BYTES = 64 * 1024 * 1024
"""So much may be in the files of a spool."""

TEMPORARY = "."
"""How names of files begin that are not complete."""

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = re.compile(
    rf"([0-9]{{10,}}\.[0-9]{{6}})-([0-9a-f]{{8}})-({_UUID})-(started|finished)\.json"
)
_PRIVATE = 0o600


class Entry(NamedTuple):
    """A report in the spool.

    path: its file. url: of the relay it is for, without user and password. reason: why
        the relay refused it for good; empty if it still may be delivered. spooled_at:
        Unix seconds.
    """

    path: str
    url: str
    report: Report
    spooled_at: float
    reason: str = ""


class Name(NamedTuple):
    """What the name of a file tells of the report in it.

    at: when that happened, Unix seconds. relay: the mark of the relay it is for.
    """

    at: float
    relay: str
    run_id: str
    is_finish: bool


def relay_mark(url: str) -> str:
    """Return what stands for a relay in the names of files. Two may have the same."""
    return f"{crc32(url.encode(errors='surrogateescape')):08x}"


def file_name(report: Report, url: str) -> str:
    """Return the name of the file of `report`. Names sort by when that happened."""
    state = "finished" if report.is_finish else "started"
    at = f"{max(report.at, 0):017.6f}"
    return f"{at}-{relay_mark(url)}-{report.run_id.lower()}-{state}.json"


def parse_name(name: str) -> Name | None:
    """Return what `name` tells; None if it is no name of a report's file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    at, relay, run_id, state = found.groups()
    return Name(float(at), relay, run_id, state == "finished")


def envelope(report: Report, url: str, spooled_at: float, reason: str = "") -> bytes:
    """Return what the file of `report` holds."""
    values = {
        "url": url,
        "run_id": report.run_id,
        "spooled_at": spooled_at,
        "reason": reason,
        "document": report.document,
    }
    # Without characters beyond ASCII, also lone surrogates can be written.
    return json.dumps(values).encode()


def parse_envelope(content: bytes, path: str) -> Entry:
    """Return the report that the file at `path` holds.

    Raises ValueError, with what is wrong with the file, without a subject.
    """
    try:
        values = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError("is no JSON") from None
    if not isinstance(values, dict):
        raise ValueError("is no JSON object")
    report = Report(_text(values, "run_id"), _document(values.get("document")))
    if re.fullmatch(_UUID, report.run_id, re.IGNORECASE) is None:
        raise ValueError("has no UUID as its run_id")
    return Entry(
        path=path,
        url=_text(values, "url"),
        report=report,
        spooled_at=_time(values, "spooled_at"),
        reason=_text(values, "reason"),
    )


def write_file(directory: str, name: str, content: bytes) -> str:
    """Write the file `name`, all of it or nothing, and return its path; it is on disk
    then, and only this user may read it. Raises OSError."""
    path = os.path.join(directory, name)
    replace_file(path, content, _PRIVATE, durable=True)
    _sync_directory(directory)
    return path


def _sync_directory(directory: str) -> None:
    with suppress(OSError):  # not every file system can, and the file is there
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _document(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError("has no document")
    state = document.get("state")
    if state not in ("started", "finished"):
        raise ValueError("has no state in its document")
    # What is read before it is delivered; all else is for the relay to judge.
    _text(document, "job")
    _time(document, "started_at")
    _time(document, f"{state}_at")
    for name in ("outcome", "metrics"):
        if document.get(name) is not None:
            _text(document, name)
    _object(document, "usage")
    labels = _object(document, "labels")
    if not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("has no texts as its labels")
    return document


def _object(values: dict[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"has no object as its {name}")
    return value or {}


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise ValueError(f"has no text as its {name}")
    return value


def _time(values: dict[str, Any], name: str) -> float:
    value = values.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            if isfinite(value):
                return float(value)
    raise ValueError(f"has no time as its {name}")


def _refuse_constant(written: str) -> object:
    raise ValueError(f"{written} is no number in JSON")
