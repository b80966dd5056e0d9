"""What tests of runs build: runs, and strategies for all that is stored of them."""

from __future__ import annotations

from builders import key_of
from hypothesis import strategies as st

from pushrelay.expectations import JobExpectation
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_evidence import Durations, LastRun, OpenRun, RunEvidence
from pushrelay.runs import End, Outcome, Run, Usage
from pushrelay.schedule import Expectation


def run_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def run_of(
    number: int = 1,
    started_at: int = 100,
    finished_at: int | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    *,
    key: GroupingKey | None = None,
    min_interval: int | None = None,
) -> Run:
    """Return a run, at its end if `finished_at` says when that was."""
    end = None if finished_at is None else End(finished_at, outcome)
    key = key or key_of()
    return Run(run_id(number), key, started_at, min_interval=min_interval, end=end)


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
# From JSON that escapes halves of surrogate pairs.
ANY_TEXT = st.text(max_size=20) | st.just("\ud83d\ude00")
TIMES = st.integers(0, 2**63 - 1)
SOME_TIME = st.none() | TIMES
COUNTS = st.integers(0, 2**70)
SOME_COUNT = st.none() | COUNTS
IDS = st.binary(min_size=16, max_size=16)
KEYS = st.dictionaries(TEXT, TEXT, max_size=3).map(
    lambda labels: GroupingKey.of({"job": "a", **labels})
)
ENDS = st.builds(
    End,
    TIMES,
    st.sampled_from(Outcome),
    SOME_TIME,
    SOME_COUNT,
    SOME_COUNT,
    st.builds(Usage, *[SOME_COUNT] * 7),
    st.none() | ANY_TEXT,
    st.none() | ANY_TEXT,
    st.lists(ANY_TEXT, max_size=2).map(tuple),
)
RUNS = st.builds(
    Run,
    IDS,
    KEYS,
    TIMES,
    COUNTS,
    st.none() | ANY_TEXT,
    st.none() | ANY_TEXT,
    SOME_TIME,
    st.none() | ENDS,
)
BOUNDS = st.floats(allow_nan=False, min_value=0) | st.integers(1, 10**6)
DURATIONS = st.builds(
    Durations,
    COUNTS,
    COUNTS,
    st.dictionaries(BOUNDS, COUNTS, max_size=3),
    st.dictionaries(st.integers(-500, 500), COUNTS, max_size=3),
    COUNTS,
)
EVIDENCE = st.builds(
    RunEvidence,
    KEYS,
    TIMES,
    st.dictionaries(st.sampled_from(Outcome), COUNTS),
    TIMES,
    TIMES,
    TIMES,
    TIMES,
    st.just((0, b"")) | st.tuples(TIMES, IDS),
    st.none()
    | st.builds(
        LastRun,
        TIMES,
        IDS,
        st.sampled_from(Outcome),
        SOME_TIME,
        SOME_COUNT,
        SOME_COUNT,
    ),
    COUNTS,
    SOME_TIME,
    DURATIONS,
    SOME_COUNT,
    SOME_COUNT,
    COUNTS,
    COUNTS,
    st.lists(st.builds(OpenRun, IDS, TIMES, st.booleans()), max_size=3).map(tuple),
)
EXPECTATIONS = st.builds(
    Expectation,
    schedule=st.none() | ANY_TEXT,
    every=SOME_TIME,
    on_calendar=st.none() | ANY_TEXT,
    grace=TIMES,
    tz=ANY_TEXT,
    max_runtime=SOME_TIME,
    min_interval=SOME_TIME,
    per_instance=st.booleans(),
)
JOB_EXPECTATIONS = st.builds(
    JobExpectation,
    api=st.none() | EXPECTATIONS,
    report=st.none() | EXPECTATIONS,
    rule=st.none() | EXPECTATIONS,
    reported_at=TIMES,
    since=TIMES,
    paused_until=TIMES,
    instances=st.lists(ANY_TEXT, max_size=3).map(tuple),
)


def contents(evidence: object) -> tuple[object, ...]:
    """All that evidence holds, in a form that compares by value."""
    assert isinstance(evidence, RunEvidence)
    return tuple([getattr(evidence, name) for name in RunEvidence.__slots__])
