"""Pings: what shells say of runs without a document, in a query string or a form.

A ping is of the moment at which it comes.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import fields as dataclass_fields
from decimal import Decimal
from enum import Enum

from pushrelay.errors import InvalidExpectation, InvalidRun
from pushrelay.expectation_documents import parse_expectation
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import is_utf8
from pushrelay.run_fields import (
    EXIT_CODE,
    JOB,
    Fields,
    Kind,
    about_job,
    job_of,
    one_of,
    parse_uuid,
    run_key,
    text,
)
from pushrelay.runs import End, Outcome, Report, Run
from pushrelay.schedule import Expectation
from pushrelay.shown import meant, shown, shown_name

_LABEL_PREFIX = "label."
_EXPECTATION = [field.name for field in dataclass_fields(Expectation)]
_KNOWN = ["job", "status", "exit_code", "rid", "instance", *_EXPECTATION]

# Ids of runs are made in it. Another one would count the same runs again.
_NAMESPACE = uuid.UUID("9d1a2f0e-5b0c-4c5e-8d7e-3f6b7a1c2e54")

_WHOLE = re.compile(r"-?[0-9]{1,20}")


class _Status(Enum):
    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


def parse_ping(fields: list[tuple[str, str]], now: int, *, utf8_names: bool) -> Report:
    """Return what a ping with these names and values says of a run at `now`.

    now: Unix nanoseconds. utf8_names: whether any UTF-8 text may be a label name.

    With `rid`, a name that no other run of this key has, a start and an end are of one
    run; the relay finds the start of an end without it. An end has no duration, since
    its start is not known here. Raises InvalidRun, which knows the job if there is one.
    """
    jobs = [value for name, value in fields if name == "job"]
    with about_job(job_of(jobs[0]) if len(jobs) == 1 else None):
        return _report(_once(fields), now, utf8_names)


def _report(given: Fields, now: int, utf8_names: bool) -> Report:
    _refuse_unknown(given)
    key = run_key(given.need("job", JOB), _labels(given), utf8_names=utf8_names)
    end = _end(given, now)
    expectation, warnings = _expectation(given)
    rid = given.read("rid", _RID)
    run = Run(
        id=_run_id(key, rid).bytes,
        key=key,
        started_at=now,
        min_interval=None if expectation is None else expectation.min_interval,
        end=end,
    )
    return Report(
        run,
        expectation=expectation,
        warnings=tuple(warnings),
        is_anonymous=rid is None,
        is_ping=True,
    )


def _once(fields: list[tuple[str, str]]) -> Fields:
    given: dict[str, object] = {}
    for name, value in fields:
        if not is_utf8(name) or not is_utf8(value):
            raise InvalidRun(
                shown_name(name), f"must be UTF-8 text, not {shown(value)}"
            )
        if name in given:
            raise InvalidRun(
                shown_name(name),
                f"is given more than once, at last as {shown(value)}; write it once",
            )
        given[name] = value
    return Fields(given)


def _refuse_unknown(given: Fields) -> None:
    for name in given.values:
        if name in _KNOWN or name.startswith(_LABEL_PREFIX):
            continue
        hint = meant(name, _KNOWN) or f"write {', '.join(_KNOWN)}, or label.NAME"
        raise InvalidRun("", f"there is no parameter {shown(name)}; {hint}")


def _labels(given: Fields) -> Fields:
    labels = {
        name.removeprefix(_LABEL_PREFIX): value
        for name, value in given.values.items()
        if name.startswith(_LABEL_PREFIX)
    }
    instance = given.values.get("instance")
    if instance is not None:
        if "instance" in labels:
            raise given.wrong(
                "instance", f"{shown(instance)} stands beside label.instance; write one"
            )
        labels["instance"] = instance
    return Fields(labels, _LABEL_PREFIX)


def _end(given: Fields, now: int) -> End | None:
    status = given.read("status", _STATUS)
    code = given.read("exit_code", _WRITTEN_EXIT_CODE)
    if status is _Status.START:
        if code is not None:
            raise given.wrong("exit_code", f"{code} belongs to a finish; leave it out")
        return None
    if status is None and code is None:
        raise given.wrong("status", f"is missing; write {_STATUS.what}, or exit_code")
    is_success = code == 0 if status is None else status is _Status.SUCCESS
    if code is not None and is_success != (code == 0):
        raise given.wrong(
            "exit_code",
            f"{code} contradicts the status {shown(given.values['status'])}; write one "
            "of them",
        )
    outcome = Outcome.SUCCESS if is_success else Outcome.FAILURE
    return End(now, outcome, exit_code=code)


def _expectation(given: Fields) -> tuple[Expectation | None, list[str]]:
    document = {
        name: given.values[name] for name in _EXPECTATION if name in given.values
    }
    flag = document.get("per_instance")
    if flag in ("true", "false"):
        document["per_instance"] = flag == "true"
    if not document:
        return None, []
    try:
        expectation, warnings = parse_expectation(document)
    except InvalidExpectation as error:
        raise InvalidRun(error.field or "expectation", error.problem) from None
    # Its parameters do not stand in an object.
    return expectation, [each.removeprefix("expectation.") for each in warnings]


def _run_id(key: GroupingKey, rid: str | None) -> uuid.UUID:
    if rid is None:
        return uuid.uuid4()
    # Two jobs may count their runs from 1.
    return parse_uuid(rid) or uuid.uuid5(_NAMESPACE, key.id.hex() + rid)


def _exit_code(value: object) -> int | None:
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        return None
    return EXIT_CODE.convert(Decimal(value))


_STATUS = one_of(_Status)
_RID = text("1 to 255 printable characters", most=255)
_WRITTEN_EXIT_CODE = Kind(EXIT_CODE.what, _exit_code)
