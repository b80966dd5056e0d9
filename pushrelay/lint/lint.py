"""Judges a text body as a relay would that holds nothing else yet."""

from __future__ import annotations

from enum import Enum
from math import inf

from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.consistency import check_against
from pushrelay.errors import (
    InconsistentPush,
    InvalidLabels,
    LimitExceeded,
    ParseError,
)
from pushrelay.exposition.text_locations import locate, parse_text_with_lines
from pushrelay.grouping_key import GroupingKey
from pushrelay.lint.promlint import warnings_of
from pushrelay.model import MetricFamily
from pushrelay.problems import Problem
from pushrelay.push_reader import prepare_push
from pushrelay.telemetry import OWN_TYPES
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View

KEY = GroupingKey.of({"job": "lint"})
"""Every push has a job, and it wins over one in the body. So does this one, of which
the messages tell."""


class Severity(Enum):
    """How bad a finding is: a relay refuses a body with an ERROR."""

    ERROR = "error"
    WARNING = "warning"


Finding = tuple[Severity, Problem]


def lint(body: bytes, *, utf8_names: bool = False) -> list[Finding]:
    """Return what is wrong with the text body `body`, in the order of its lines.

    Errors are a relay's with the default limits, warnings those of `promtool check
    metrics`. utf8_names: whether the relay takes any UTF-8 name.
    """
    limits = Limits()
    if len(body) > limits.body_bytes:
        text = f"the body is larger than the limit of {limits.body_bytes} bytes"
        return [(Severity.ERROR, Problem(LimitExceeded.reason, text))]
    try:
        families, lines = parse_text_with_lines(
            body, KEY, limits, utf8_names=utf8_names
        )
    except (ParseError, InvalidLabels, LimitExceeded) as error:
        problem = Problem(error.reason, str(error), line=error.line)
        return [(Severity.ERROR, problem)]
    problems = _problems_of(families)
    if problems:
        problems = locate(problems, body, KEY, limits, utf8_names=utf8_names)
    found = [(Severity.ERROR, problem) for problem in problems]
    found += [(Severity.WARNING, each) for each in warnings_of(families, lines)]
    return sorted(found, key=lambda finding: finding[1].line or inf)


def _problems_of(families: list[MetricFamily]) -> list[Problem]:
    push = prepare_push(KEY, families, Mode.REPLACE, 0)
    if push.refusal is not None:
        return push.refusal.problems
    nothing = Overlay(View(), OWN_TYPES)
    try:
        check_against(nothing, KEY, push.payload, push.payload, push.metrics)
    except InconsistentPush as refusal:
        return refusal.problems
    return []
