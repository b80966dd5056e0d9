"""Run documents: what is read from them, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_reports import (
    DOCUMENTS,
    FINISH,
    FULL,
    ID,
    NOW,
    SECOND,
    START,
    parsed,
)

from pushrelay.errors import InvalidExpectation, InvalidRun, RunTooOld
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_documents import parse_run, to_document
from pushrelay.runs import (
    LARGEST_TAIL,
    REMEMBERED,
    End,
    Outcome,
    Report,
    Run,
    Usage,
)
from pushrelay.schedule import Expectation

MICROSECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def end_of(document: dict[str, Any]) -> End:
    """Return the end of the run in `document`."""
    end = parsed(document).run.end
    assert end is not None
    return end


def test_a_start_needs_three_fields() -> None:
    key = GroupingKey.of({"job": "nightly"})
    assert parsed(START) == Report(
        Run(ID.bytes, key, 1795378800 * SECOND + SECOND // 4)
    )


def test_a_finish_says_all_there_is() -> None:
    key = GroupingKey.of({"job": "nightly", "instance": "db1"})
    started_at = 1795378800 * SECOND + SECOND // 4
    finished_at = 1795378841 * SECOND + SECOND // 2
    usage = Usage(12_100_000_000, 800_000_000, 104857600, 12, 40, 900, 31)
    end = End(
        finished_at, Outcome.SUCCESS, 41_200_000_000, 0, None, usage, "done\n", ""
    )
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    run = Run(ID.bytes, key, started_at, 2, "db1", trace_id, HOUR // 6, end)
    expectation = Expectation(every=HOUR, max_runtime=2 * HOUR, min_interval=HOUR // 6)
    assert parsed(FULL) == Report(run, "rows 5\n", expectation)


def test_null_is_as_if_left_out() -> None:
    nothing = dict.fromkeys(FULL.keys() - FINISH.keys())
    assert parsed({**nothing, **FINISH}) == parsed(FINISH)
    ends = dict.fromkeys(["finished_at", "outcome", *nothing])
    assert parsed({**ends, **START}) == parsed(START)
    inner = {"labels": {"instance": None}, "usage": {"user_seconds": None}}
    assert parsed({**FINISH, **inner, "output_tail": {"stdout": None}}) == parsed(
        FINISH
    )


def test_without_a_duration_it_is_the_time_between() -> None:
    assert end_of(FINISH).duration == 41 * SECOND + SECOND // 4
    assert end_of({**FINISH, "duration_seconds": 0}).duration == 0
    assert (
        end_of({**FINISH, "started_at": 1, "duration_seconds": 9}).duration
        == 9 * SECOND
    )


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [
        ("1795378800", 1795378800 * SECOND),
        ("1795378800.25", 1795378800 * SECOND + 250_000_000),
        ("1795378800.1", 1795378800 * SECOND + 100_000_000),
        ("1795378800.123456789", 1795378800 * SECOND + 123_456_789),
        ("1795378800.1234567894", 1795378800 * SECOND + 123_456_789),
        ("1.7953788e9", 1795378800 * SECOND),
        ("0.000000001", 1),
    ],
)
def test_times_are_exact_to_the_nanosecond(written: str, nanoseconds: int) -> None:
    body = json.dumps({**START, "started_at": 0}).replace(" 0}", f" {written}}}")
    now = nanoseconds + HOUR
    report = parse_run(body.encode(), ID, now, utf8_names=False)
    assert report.run.started_at == nanoseconds


# runs.md: 24
def test_a_clock_may_be_a_day_ahead() -> None:
    tomorrow = (NOW + DAY) // SECOND
    assert parsed({**START, "started_at": tomorrow}).run.started_at == NOW + DAY
    with pytest.raises(InvalidRun, match="in the future"):
        parsed({**START, "started_at": tomorrow + 0.1})


# runs.md: 5
def test_what_is_reported_may_be_as_old_as_ids_are_remembered() -> None:
    oldest = (NOW - REMEMBERED) // SECOND
    parsed({**START, "started_at": oldest})
    parsed({**FINISH, "started_at": oldest - 0.5, "finished_at": oldest})
    for document, name in [
        ({**START, "started_at": oldest - 0.001}, "started_at"),
        (
            {**FINISH, "started_at": 1790000000, "finished_at": oldest - 0.001},
            "finished_at",
        ),
    ]:
        with pytest.raises(RunTooOld) as refused:
            parsed(document)
        assert str(refused.value) == (
            f"{name} is 30 days ago, and the ids of runs are remembered for 30 days; "
            "it might count twice"
        )


# runs.md: 21
def test_an_unknown_time_zone_is_a_warning() -> None:
    report = parsed({**START, "expectation": {"schedule": "0 3 * * *", "tz": "Mars"}})
    assert report.expectation == Expectation(schedule="0 3 * * *")
    (warning,) = report.warnings
    assert warning.startswith('expectation.tz: "Mars" is not a time zone known here')


def test_labels_without_a_value_are_left_out() -> None:
    assert parsed({**START, "labels": {"instance": "", "a": "b"}}).run.key == (
        GroupingKey.of({"job": "nightly", "a": "b"})
    )


def test_the_label_job_may_say_it_again() -> None:
    assert parsed({**START, "labels": {"job": "nightly"}}) == parsed(START)


def test_other_label_names_are_for_those_who_take_them() -> None:
    report = parsed({**START, "labels": {"a-b": "c"}}, utf8_names=True)
    assert report.run.key == GroupingKey.of({"job": "nightly", "a-b": "c"})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("x" * LARGEST_TAIL, "x" * LARGEST_TAIL),
        ("y" + "x" * LARGEST_TAIL, "x" * LARGEST_TAIL),
        # three bytes each, and 10,000 is no multiple of them
        ("€" * LARGEST_TAIL, "€" * (LARGEST_TAIL // 3)),
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\0" * LARGEST_TAIL, "\ufffd" * (LARGEST_TAIL // 3)),
        ("", ""),
    ],
)
def test_the_end_of_the_output_is_kept_as_text(written: str, kept: str) -> None:
    end = end_of({**FINISH, "output_tail": {"stdout": written, "stderr": written}})
    assert end.stdout == end.stderr == kept


def test_metrics_that_are_no_text_do_not_cost_the_run() -> None:
    assert parsed({**FINISH, "metrics": "a\ud800 1\n"}).metrics == "a\ufffd 1\n"
    assert parsed({**FINISH, "metrics": ""}).metrics is None


def test_a_number_may_be_written_with_a_point() -> None:
    assert end_of({**FINISH, "exit_code": 3.0}).exit_code == 3


def test_the_document_of_a_run_is_the_one_it_came_from() -> None:
    document = to_document(parsed(FULL).run)
    told = {**FULL, "id": str(ID), "expectation": {"min_interval": "10m"}}
    told["trace_id"] = told["trace_id"].lower()
    del told["metrics"]
    assert document == told
    assert list(document)[:4] == ["id", "job", "labels", "state"]


def test_what_is_absent_is_null() -> None:
    document = to_document(parsed(START).run)
    assert document == {
        **dict.fromkeys(FULL.keys() - {"metrics"}),
        **START,
        "id": str(ID),
        "labels": {},
        "attempt": 1,
    }


def test_problems_with_the_metrics_are_told_if_there_are_any() -> None:
    run = Run(ID.bytes, GroupingKey.of({"job": "x"}), 1, end=End(2, Outcome.SUCCESS))
    assert "metrics_problems" not in to_document(run)
    end = End(2, Outcome.SUCCESS, problems=("a", "b"))
    run = Run(ID.bytes, GroupingKey.of({"job": "x"}), 1, end=end)
    assert to_document(run)["metrics_problems"] == ["a", "b"]


def microseconds(least: int, most: int) -> st.SearchStrategy[int]:
    """Return whole microseconds between two numbers of nanoseconds, in nanoseconds."""
    return st.integers(-(-least // MICROSECOND), most // MICROSECOND).map(
        MICROSECOND.__mul__
    )


printable = st.text(min_size=1, max_size=255).filter(str.isprintable)
counts = st.none() | st.integers(0, 2**63 - 1)
cpu_times = st.none() | microseconds(0, 10**17)
tails = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ends = st.builds(
    End,
    finished_at=microseconds(NOW - REMEMBERED // 2, NOW),
    outcome=st.sampled_from(Outcome),
    duration=microseconds(0, 10 * 365 * DAY),
    exit_code=st.none() | st.integers(-(2**31), 2**32 - 1),
    signal=st.none() | st.integers(1, 127),
    usage=st.builds(
        Usage, cpu_times, cpu_times, counts, counts, counts, counts, counts
    ),
    stdout=tails,
    stderr=tails,
)
keys = st.builds(
    lambda labels, job: GroupingKey.of({**labels, "job": job}),
    st.dictionaries(st.from_regex("[a-d][a-z0-9_]*", fullmatch=True),
                    st.text(min_size=1)),
    st.text(min_size=1),
)  # fmt: skip
runs = st.builds(
    Run,
    id=st.just(ID.bytes),
    key=keys,
    started_at=microseconds(NOW - REMEMBERED, NOW - REMEMBERED // 2),
    attempt=st.integers(1, 2**31 - 1),
    host=st.none() | printable,
    trace_id=st.none() | st.from_regex("[0-9a-f]{32}", fullmatch=True),
    min_interval=st.none() | st.integers(1, 10**9).map((1_000_000).__mul__),
    end=st.none() | ends,
)


@given(runs)
def test_what_is_told_of_a_run_is_read_back(run: Run) -> None:
    assert parsed(to_document(run)).run == run


@given(st.binary() | DOCUMENTS.map(json.dumps).map(str.encode), st.booleans())
def test_whatever_comes_is_a_run_or_refused_with_a_name(
    body: bytes, utf8_names: bool
) -> None:
    try:
        report = parse_run(body, ID, NOW, utf8_names=utf8_names)
    except (InvalidRun, InvalidExpectation, RunTooOld) as error:
        str(error).encode()
    else:
        assert json.dumps(to_document(report.run), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("most", "stdout", "stderr"), [(0, None, None), (3, "ine", "é"), (99, "line", "éé")]
)
def test_of_the_output_so_many_bytes_are_left_and_no_half_characters(
    most: int, stdout: str | None, stderr: str | None
) -> None:
    end = End(1, Outcome.SUCCESS, stdout="line", stderr="éé").with_output(most)
    assert (end.stdout, end.stderr) == (stdout, stderr)
    assert End(1, Outcome.SUCCESS).with_output(most) == End(1, Outcome.SUCCESS)
