"""`pushrelay exec --dry-run`: says what a run would do and report."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pushrelay.durations import format_duration
from pushrelay.errors import Misuse, PushrelayError
from pushrelay.grouping_key import GroupingKey
from pushrelay.relay_url import parse_relay_url
from pushrelay.run_documents import parse_run
from pushrelay.schedule import Expectation, next_slot, zone_of
from pushrelay.wrapper.documents import Run
from pushrelay.wrapper.host import new_run_id
from pushrelay.wrapper.naming import as_options
from pushrelay.wrapper.options import Options
from pushrelay.wrapper.reports import DEFAULT_URL, Report
from pushrelay.wrapper.run_reports import run_fields

_SECOND = 10**9
_SHOWN_SLOTS = 3


def dry_run(options: Options, environ: Mapping[str, str]) -> str:
    """Return what would happen, as lines. Raises Misuse for what a relay would not
    take."""
    fields = {**run_fields(options, environ), "attempt": 1}
    run = Run(new_run_id(), fields, time.time(), time.monotonic())
    return "\n".join(_lines(options, run.start()))


def _lines(options: Options, report: Report) -> Iterator[str]:
    document = report.document
    yield f"command: {shlex.join(options.command)}{_missing(options.command[0])}"
    yield f"job:     {GroupingKey.of({**document['labels'], 'job': document['job']})}"
    if options.url is not None or options.textfile is None:
        yield f"relay:   {_shown(options.url or DEFAULT_URL)}"
    if options.textfile is not None:
        yield f"file:    in {os.path.abspath(options.textfile)}"
    expectation, warnings = _read(report)
    if expectation is not None and expectation.follows_clocks:
        for slot in _slots(expectation):
            yield f"expects: {slot}"
    yield from _ways(options)
    for warning in warnings:
        yield f"warning: {as_options(warning)}"
    said = {name: value for name, value in document.items() if value is not None}
    yield f"report:  {json.dumps(said)}"


def _missing(command: str) -> str:
    return "" if shutil.which(command) else "  (not found)"


def _ways(options: Options) -> Iterator[str]:
    """Yield how the command would be run, in so far as that was asked for."""
    if options.jitter:
        yield f"waits:   up to {format_duration(options.jitter)}"
    if options.lock:
        yield f"lock:    {options.lock}, if another run of the job has it"
    if options.timeout is not None:
        after = format_duration(options.timeout)
        later = format_duration(options.kill_after)
        yield f"ends:    after {after}, by SIGTERM; by SIGKILL {later} later"
    if options.retries:
        delay = format_duration(options.retry_delay)
        yield f"retries: {options.retries}, {delay} apart, if it fails"
    if options.output_tail:
        yield f"output:  reported, the last {options.output_tail} bytes of each stream"
    if options.quiet_unless_failed:
        yield "output:  held back, and shown if it fails"


def _read(report: Report) -> tuple[Expectation | None, tuple[str, ...]]:
    """Return what a relay would read of the report: what is expected, and its warnings.

    Raises Misuse.
    """
    body = json.dumps(report.document).encode()
    id_, now = uuid.UUID(report.run_id), time.time_ns()
    try:
        read = parse_run(body, id_, now, utf8_names=True)
    except PushrelayError as error:
        raise Misuse(as_options(str(error))) from None
    try:
        parse_run(body, id_, now, utf8_names=False)
    except PushrelayError as error:
        only = "only a relay with --push.enable-utf8-names takes this"
        return read.expectation, (*read.warnings, f"{only}: {error}")
    return read.expectation, read.warnings


def _slots(expectation: Expectation) -> Iterator[str]:
    """Yield the next times at which a run is expected."""
    zone = zone_of(expectation.tz)
    slot: int | None = time.time_ns()
    for _ in range(_SHOWN_SLOTS):
        slot = next_slot(expectation, slot) if slot is not None else None
        if slot is None:
            return
        moment = datetime.fromtimestamp(slot // _SECOND, zone or UTC)
        yield f"{moment:%a %Y-%m-%d %H:%M:%S %Z}"


def _shown(url: str) -> str:
    try:
        return parse_relay_url(url).shown
    except PushrelayError as error:
        raise Misuse(str(error)) from None
