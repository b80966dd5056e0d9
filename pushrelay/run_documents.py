"""Run documents: the JSON that says of a run that it started, or how it finished.

Times are Unix seconds there and durations seconds, with fractions. What is null is as
if left out; what is not known is refused, for it may be misspelt.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import fields
from enum import Enum

from pushrelay.errors import InvalidJSON, InvalidRun, RunTooOld
from pushrelay.expectation_documents import parse_expectation
from pushrelay.expectation_documents import to_document as expectation_document
from pushrelay.run_fields import (
    EXIT_CODE,
    JOB,
    UNIX_TIME,
    Fields,
    Kind,
    about_job,
    job_of,
    one_of,
    run_key,
    seconds,
    text,
    whole,
)
from pushrelay.runs import LARGEST_TAIL, REMEMBERED, End, Outcome, Report, Run, Usage
from pushrelay.schedule import Expectation
from pushrelay.shown import meant, shown
from pushrelay.strict_json import parse_object

_SECOND = 10**9
_DAY = 24 * 3600 * _SECOND
_LONGEST = 10 * 365 * _DAY

_START_FIELDS = ["job", "labels", "state", "started_at", "attempt", "host", "trace_id"]
_START_FIELDS += ["expectation", "id"]
_END_FIELDS = ["finished_at", "duration_seconds", "exit_code", "signal", "outcome"]
_END_FIELDS += ["usage", "output_tail", "metrics"]
_COUNTS = [field.name for field in fields(Usage)][2:]  # after the CPU times
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TRACE_DIGITS = re.compile("[0-9a-fA-F]{32}")


class _State(Enum):
    STARTED = "started"
    FINISHED = "finished"


def parse_run(body: bytes, id_: uuid.UUID, now: int, *, utf8_names: bool) -> Report:
    """Return what the run document `body` says of the run `id_`.

    now: Unix nanoseconds. utf8_names: whether any UTF-8 text may be a label name.

    Raises InvalidRun, InvalidExpectation, and RunTooOld if what is reported is longer
    ago than ids are remembered; they know the job if it can be read.
    """
    try:
        document = _without_nulls(parse_object(body), "")
    except InvalidJSON as error:
        raise InvalidRun("", str(error)) from None
    with about_job(job_of(document.values.get("job"))):
        return _report(document, id_, now, utf8_names)


def _report(document: Fields, id_: uuid.UUID, now: int, utf8_names: bool) -> Report:
    _refuse_unknown(document, [*_START_FIELDS, *_END_FIELDS])
    _check_id(document, id_)
    key = run_key(
        document.need("job", JOB), _object(document, "labels"), utf8_names=utf8_names
    )
    state = document.need("state", _STATE)
    started_at = _moment(document, "started_at", now)
    end = _end(document, state, started_at, now)
    expectation, warnings = _expectation(document)
    run = Run(
        id=id_.bytes,
        key=key,
        started_at=started_at,
        attempt=document.read("attempt", _ATTEMPT) or 1,
        host=document.read("host", _HOST),
        trace_id=document.read("trace_id", _TRACE_ID),
        min_interval=None if expectation is None else expectation.min_interval,
        end=end,
    )
    _check_age(run, now)
    metrics = document.read("metrics", _OUTPUT) or None
    return Report(run, metrics, expectation, tuple(warnings))


def run_id(run: Run) -> str:
    """Return the UUID of `run` as it is written."""
    return str(uuid.UUID(bytes=run.id))


def to_document(run: Run) -> dict[str, object]:
    """Return the run document of `run`, for JSON, without what is not kept: the metrics
    and all of the expectation but `min_interval`.

    Times are exact to the microsecond. `parse_run` gives the same run back if its
    duration is known and there are no `metrics_problems`.
    """
    labels = dict(run.key.labels)
    document: dict[str, object] = {
        "id": run_id(run),
        "job": labels.pop("job"),
        "labels": labels,
        "state": (_State.FINISHED if run.end else _State.STARTED).value,
        "started_at": _in_seconds(run.started_at),
        **_end_document(run.end),
        "attempt": run.attempt,
        "host": run.host,
        "trace_id": run.trace_id,
        "expectation": None,
    }
    if run.min_interval is not None:
        expectation = Expectation(min_interval=run.min_interval)
        document["expectation"] = expectation_document(expectation)
    return document


def _end_document(end: End | None) -> dict[str, object]:
    if end is None:
        return {name: None for name in _END_FIELDS if name != "metrics"}
    document: dict[str, object] = {
        "finished_at": _in_seconds(end.finished_at),
        "duration_seconds": _in_seconds(end.duration),
        "exit_code": end.exit_code,
        "signal": end.signal,
        "outcome": end.outcome.value,
        "usage": _usage_document(end.usage),
        "output_tail": None,
    }
    if end.stdout is not None or end.stderr is not None:
        document["output_tail"] = {"stdout": end.stdout, "stderr": end.stderr}
    if end.problems:
        document["metrics_problems"] = list(end.problems)
    return document


def _usage_document(usage: Usage) -> dict[str, object] | None:
    if usage == Usage():
        return None
    return {
        "user_seconds": _in_seconds(usage.user),
        "system_seconds": _in_seconds(usage.system),
        **{name: getattr(usage, name) for name in _COUNTS},
    }


def _in_seconds(nanoseconds: int | None) -> int | float | None:
    if nanoseconds is None or nanoseconds % _SECOND:
        return None if nanoseconds is None else nanoseconds / _SECOND
    return nanoseconds // _SECOND


def _without_nulls(values: dict[str, object], path: str) -> Fields:
    given = {name: value for name, value in values.items() if value is not None}
    return Fields(given, path)


def _object(document: Fields, name: str, known: list[str] | None = None) -> Fields:
    """Return the fields of the object `name`, none if it is not given; with `known`,
    others are refused."""
    given = _without_nulls(document.read(name, _OBJECT) or {}, f"{name}.")
    if known is not None:
        _refuse_unknown(given, known)
    return given


def _refuse_unknown(given: Fields, known: list[str]) -> None:
    for name in given.values:
        if name not in known:
            hint = meant(name, known) or f"write {', '.join(known)}"
            raise InvalidRun(
                given.path.removesuffix("."), f"there is no field {shown(name)}; {hint}"
            )


def _check_id(document: Fields, id_: uuid.UUID) -> None:
    written = document.read("id", _TEXT)
    if written is not None and written.lower() != str(id_):
        raise document.wrong(
            "id", f"{shown(written)} is not the run's, {id_}; leave it out"
        )


def _moment(document: Fields, name: str, now: int) -> int:
    moment = document.need(name, UNIX_TIME)
    if moment > now + _DAY:
        raise document.wrong(
            name,
            f"{shown(document.values[name])} is in the future, for it is "
            f"{now // _SECOND} here; write Unix seconds, and see whether the clock of "
            "the job's host is right",
        )
    return moment


def _check_age(run: Run, now: int) -> None:
    age = now - run.reported_at
    if age > REMEMBERED:
        name = "started_at" if run.end is None else "finished_at"
        raise RunTooOld(
            f"{name} is {age // _DAY} days ago, and the ids of runs are remembered for "
            f"{REMEMBERED // _DAY} days; it might count twice"
        )


def _end(document: Fields, state: _State, started_at: int, now: int) -> End | None:
    if state is _State.STARTED:
        for name in _END_FIELDS:
            if name in document.values:
                raise document.wrong(
                    name,
                    "belongs to a finish; leave it out, or write the state finished",
                )
        return None
    finished_at = _moment(document, "finished_at", now)
    tail = _object(document, "output_tail", ["stdout", "stderr"])
    return End(
        finished_at=finished_at,
        outcome=document.need("outcome", _OUTCOME),
        duration=_duration(document, finished_at - started_at),
        exit_code=document.read("exit_code", EXIT_CODE),
        signal=document.read("signal", _SIGNAL),
        usage=_usage(document),
        stdout=_tail(tail.read("stdout", _OUTPUT)),
        stderr=_tail(tail.read("stderr", _OUTPUT)),
    )


def _duration(document: Fields, between: int) -> int:
    """Return how long the run took; `between` its times if nothing else is said."""
    started = shown(document.values["started_at"])
    finished = shown(document.values["finished_at"])
    if between < 0:
        raise document.wrong(
            "finished_at",
            f"{finished} is before started_at, {started}; write when the run ended",
        )
    duration = document.read("duration_seconds", _DURATION)
    if duration is None and between > _LONGEST:
        raise document.wrong(
            "started_at",
            f"{started} is more than 10 years before finished_at, {finished}; write "
            "the duration_seconds that were measured beside it",
        )
    return between if duration is None else duration


def _usage(document: Fields) -> Usage:
    given = _object(document, "usage", ["user_seconds", "system_seconds", *_COUNTS])
    return Usage(
        given.read("user_seconds", _CPU_TIME),
        given.read("system_seconds", _CPU_TIME),
        *[given.read(name, _COUNT) for name in _COUNTS],
    )


def _tail(output: str | None) -> str | None:
    """Return the end of `output`, LARGEST_TAIL bytes at most, without half characters
    and without what databases do not take."""
    if output is None:
        return None
    encoded = output[-LARGEST_TAIL:].replace("\0", "\ufffd").encode()
    return encoded[-LARGEST_TAIL:].decode(errors="ignore")


def _expectation(document: Fields) -> tuple[Expectation | None, list[str]]:
    given = document.read("expectation", _OBJECT)
    return (None, []) if given is None else parse_expectation(given)


def _as_object(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) else None


def _as_output(value: object) -> str | None:
    """Return what a program wrote; it may be no text, and yet a run is not refused for
    it."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _as_trace_id(value: object) -> str | None:
    is_one = isinstance(value, str) and _TRACE_DIGITS.fullmatch(value)
    return str(value).lower() if is_one else None


_OBJECT = Kind("an object", _as_object)
_TEXT = text("text")
_OUTPUT = Kind("text", _as_output)
_STATE = one_of(_State)
_OUTCOME = one_of(Outcome)
_ATTEMPT = whole(1, 2**31 - 1)
_SIGNAL = whole(1, 127)
_DURATION = seconds(_LONGEST // _SECOND)
_CPU_TIME = seconds((2**63 - 1) // _SECOND)
_COUNT = whole(0, 2**63 - 1)
_HOST = text("1 to 255 printable characters", most=255)
_TRACE_ID = Kind("32 hexadecimal digits", _as_trace_id)
