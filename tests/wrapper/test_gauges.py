from __future__ import annotations

import math
from typing import Any

import pytest
from compat.exposition_page import read_page, value
from hypothesis import given
from hypothesis import strategies as st
from run_reports import FINISH, FULL, ID, START

from pushrelay.config import Limits
from pushrelay.exposition.run_families import RUN_TYPES
from pushrelay.exposition.text_parser import parse_text
from pushrelay.model import MetricType
from pushrelay.wrapper.gauges import (
    GAUGES,
    LAST_FINISH,
    LAST_START,
    LAST_SUCCESS,
    exposition,
    labels_of,
    news,
)
from pushrelay.wrapper.reports import Report

STARTED, FINISHED, NOW = 1795378800.25, 1795378841.5, 1795378900.0
DURATION = "pushrelay_job_last_duration_seconds"
EXIT_CODE = "pushrelay_job_last_exit_code"
MAX_RSS = "pushrelay_job_last_max_rss_bytes"


def report(document: dict[str, Any], **fields: Any) -> Report:
    return Report(str(ID), {**document, **fields})


def test_a_start_tells_when_it_was() -> None:
    assert news(report(START), {}, NOW) == {LAST_START: STARTED}


def test_a_finish_tells_all_of_the_run() -> None:
    assert news(report(FULL), {}, NOW) == {
        LAST_START: STARTED,
        LAST_FINISH: FINISHED,
        LAST_SUCCESS: FINISHED,
        DURATION: 41.2,
        EXIT_CODE: 0,
        MAX_RSS: 104857600,
    }


@pytest.mark.parametrize("outcome", ["failure", "timeout", "signal"])
def test_the_last_success_is_left_as_it_was_by_a_run_without(outcome: str) -> None:
    changed = news(report(FULL, outcome=outcome), {}, NOW)
    assert LAST_SUCCESS not in changed
    assert changed[LAST_FINISH] == FINISHED


def test_what_is_not_known_does_not_stay_what_it_was() -> None:
    changed = news(report(FINISH, exit_code=None, usage=None), {}, NOW)
    assert changed[EXIT_CODE] is changed[MAX_RSS] is None
    assert changed[DURATION] == FINISHED - STARTED


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({}, {LAST_START, LAST_FINISH, LAST_SUCCESS}),
        (dict.fromkeys([LAST_START, LAST_FINISH, LAST_SUCCESS], FINISHED - 60), None),
        ({LAST_START: STARTED, LAST_FINISH: FINISHED, LAST_SUCCESS: FINISHED}, None),
        ({LAST_START: STARTED + 1}, {LAST_FINISH, LAST_SUCCESS}),
        ({LAST_FINISH: FINISHED + 1}, {LAST_START, LAST_SUCCESS}),
        (
            dict.fromkeys([LAST_START, LAST_FINISH, LAST_SUCCESS], FINISHED + 1),
            set(),
        ),
        # A clock that was wrong once does not silence a job for as long.
        (dict.fromkeys([LAST_START, LAST_FINISH, LAST_SUCCESS], NOW + 1), None),
        (dict.fromkeys([LAST_START, LAST_FINISH, LAST_SUCCESS], math.nan), None),
    ],
)
def test_what_is_older_than_what_is_known_changes_nothing(
    known: dict[str, float], left: set[str] | None
) -> None:
    times = {LAST_START, LAST_FINISH, LAST_SUCCESS}
    changed = news(report(FULL), known, NOW)
    assert changed.keys() & times == (times if left is None else left)
    assert (DURATION in changed) == (LAST_FINISH in changed)


def test_they_are_shown_as_a_relay_shows_them() -> None:
    page = exposition(news(report(FULL), {}, NOW), [("instance", ""), ("job", "a")])
    assert page.startswith(
        "# HELP pushrelay_job_last_start_timestamp_seconds Unix time when the last run "
        "began.\n# TYPE pushrelay_job_last_start_timestamp_seconds gauge\n"
        'pushrelay_job_last_start_timestamp_seconds{instance="",job="a"} '
        "1.79537880025e+09\n"
    )
    assert {sample.name for sample in read_page(page)} == GAUGES.keys()
    assert {RUN_TYPES[name] for name in GAUGES} == {MetricType.GAUGE}


def test_without_labels_they_have_no_braces() -> None:
    assert exposition({EXIT_CODE: 3}).endswith(f"\n{EXIT_CODE} 3\n")


def test_what_is_not_known_is_no_number() -> None:
    assert math.isnan(value(exposition({EXIT_CODE: None}), EXIT_CODE))


def test_labels_that_were_no_utf_8_are_shown_all_the_same() -> None:
    labels = {"dir": "a\udcff", "job": "over\x00ridden"}
    found = labels_of(report(START, job="b\udc80", labels=labels))
    assert found == {"dir": "a\ufffd", "job": "b\ufffd"}


@given(
    st.dictionaries(
        st.from_regex("[a-z][a-z0-9_]*", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    st.floats(),
)
def test_any_labels_and_values_are_read_back(
    labels: dict[str, str], number: float
) -> None:
    labels = {**labels, "instance": "", "job": "a"}
    page = exposition({EXIT_CODE: number}, sorted(labels.items())).encode()
    [family] = parse_text(page, None, Limits())
    [metric] = family.metrics
    assert dict(metric.labels) == labels
    assert metric.value == number or math.isnan(number)
    assert family.help == GAUGES[EXIT_CODE]
