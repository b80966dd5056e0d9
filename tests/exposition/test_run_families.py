"""The families of runs and expectations, as text and as protobuf."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import key_of
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from run_builders import run_id

from pushrelay.config import Limits
from pushrelay.expectations import JobExpectation
from pushrelay.exposition import run_families
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.native_histogram import native_buckets_of
from pushrelay.exposition.protobuf_encoder import delimit
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.run_families import (
    EXPECTATION_MARK,
    RUN_EVIDENCE_MARK,
    RUN_TYPES,
    evidence_payload,
    expectation_payload,
)
from pushrelay.exposition.stored import from_stored
from pushrelay.exposition.text_parser import parse_text
from pushrelay.exposition.text_renderer import render_header
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Payload
from pushrelay.model import Histogram, MetricFamily
from pushrelay.run_evidence import Durations, LastRun, OpenRun, RunEvidence
from pushrelay.run_states import OpenRuns, outlook_of
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 1_795_000_000 * SECOND
BOUNDS = (1.0, 60.0)
KEY = key_of("a", zone="é\n")
FULL = RunEvidence(
    KEY,
    runs={Outcome.SUCCESS: 2, Outcome.SIGNAL: 1},
    last_start=NOW,
    last_finish=NOW + SECOND // 2,
    last_success=NOW - HOUR,
    last_run=LastRun(NOW, run_id(1), Outcome.SIGNAL, SECOND // 2, 137, 2**20),
    failures=1,
    durations=Durations(
        3, 70 * SECOND, {1.0: 1, 60.0: 1, float("inf"): 1}, {8: 2, 50: 1}
    ),
    cpu_user=SECOND // 4,
    overlaps=2,
    early_runs=3,
    open=(OpenRun(run_id(2), NOW),),
)
PAGE = """\
running 1
running_since_timestamp_seconds 1.795e+09
abandoned 0
last_start_timestamp_seconds 1.795e+09
last_finish_timestamp_seconds 1.7950000005e+09
last_success_timestamp_seconds 1.7949964e+09
last_duration_seconds 0.5
last_exit_code 137
last_max_rss_bytes 1.048576e+06
consecutive_failures 1
runs_total outcome="failure" 0
runs_total outcome="signal" 1
runs_total outcome="skipped" 0
runs_total outcome="success" 2
runs_total outcome="timeout" 0
duration_seconds_bucket le="1" 1
duration_seconds_bucket le="60" 2
duration_seconds_bucket le="+Inf" 3
duration_seconds_sum 70
duration_seconds_count 3
cpu_seconds_total mode="user" 0.25
overlaps_total 2
early_runs_total 3
"""


def evidence_text(evidence: RunEvidence, bounds: tuple[float, ...] = BOUNDS) -> str:
    opened = OpenRuns(len(evidence.open), evidence.open[0].started_at)
    return evidence_payload(evidence, opened, bounds).text.decode()


def page_of(payload: Payload) -> str:
    """Return the text that a scrape shows of it alone."""
    parts = []
    for family in payload.families():
        shape = family.shape
        parts.append(
            render_header(shape.name, shape.type, shape.help, Escaping.ALLOW_UTF8)
        )
        parts.append(family.series)
    return b"".join(parts).decode()


def test_the_page_of_a_key() -> None:
    base = r'instance="",job="a"'
    lines = []
    for line in PAGE.splitlines():
        name, *label, value = line.split()
        before = [each for each in label if each.startswith(("mode", "outcome"))]
        after = [each for each in label if each.startswith("le")]
        own = ",".join([base, *before, r'zone="é\n"', *after])
        lines.append(f"pushrelay_job_{name}{{{own}}} {value}\n")
    assert evidence_text(FULL) == "".join(lines)


def test_what_is_not_known_has_no_series() -> None:
    payload = evidence_payload(RunEvidence(KEY), OpenRuns(), BOUNDS)
    shown = {name.removeprefix("pushrelay_job_") for name in payload.layout.index}
    assert shown == {
        "running",
        "abandoned",
        "last_start_timestamp_seconds",
        "last_finish_timestamp_seconds",
        "last_success_timestamp_seconds",
        "consecutive_failures",
        "runs_total",
        "duration_seconds",
        "overlaps_total",
        "early_runs_total",
    }


def expectation_lines(expected: JobExpectation, now: int) -> dict[str, str]:
    expectation = expected.effective
    assert expectation is not None
    ahead = outlook_of(expected, 0, now)
    payload = expectation_payload(key_of("a"), expected, expectation, ahead, now)
    lines = payload.text.decode().splitlines()
    pairs = [line.split('{instance="",job="a"} ') for line in lines]
    return {name.removeprefix("pushrelay_job_"): value for name, value in pairs}


HOURLY = JobExpectation(api=Expectation(every=HOUR, max_runtime=2 * HOUR), since=NOW)


def test_the_page_of_an_expectation() -> None:
    assert expectation_lines(HOURLY, NOW + 3 * HOUR) == {
        "interval_seconds": "3600",
        "next_expected_timestamp_seconds": "1.7950036e+09",
        "overdue": "1",
        "missed_slots": "2",
        "max_runtime_seconds": "7200",
    }


def test_a_pause_is_shown_as_long_as_it_lasts() -> None:
    paused = HOURLY.paused(NOW + HOUR)
    shown = expectation_lines(paused, NOW)
    assert shown["paused_until_timestamp_seconds"] == "1.7950036e+09"
    assert "paused_until_timestamp_seconds" not in expectation_lines(paused, NOW + HOUR)


def test_without_slots_nothing_is_said_of_them() -> None:
    limited = JobExpectation(api=Expectation(max_runtime=HOUR))
    assert expectation_lines(limited, NOW) == {
        "overdue": "0",
        "missed_slots": "0",
        "max_runtime_seconds": "3600",
    }


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        (key_of("a"), 'instance="",job="a",outcome="success"'),
        (
            key_of("a", instance="i", pod="p", zone="z"),
            'instance="i",job="a",outcome="success",pod="p",zone="z"',
        ),
        (
            key_of("a", alpha="1", outcomes="2"),
            'alpha="1",instance="",job="a",outcome="success",outcomes="2"',
        ),
        (
            GroupingKey.of({"job": "a", "région": "é"}),
            'instance="",job="a",outcome="success","région"="é"',
        ),
    ],
)
def test_labels_are_sorted(key: GroupingKey, labels: str) -> None:
    lines = evidence_text(replace(FULL, key=key))
    assert f"pushrelay_job_runs_total{{{labels}}} 2\n" in lines


# --- what others read ---

KEYS = st.dictionaries(
    st.sampled_from(["instance", "zone", "a", "od"]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
).map(lambda labels: GroupingKey.of({"job": "j", **labels}))


@given(KEYS)
def test_pages_are_read_by_the_relay_and_by_the_python_client(key: GroupingKey) -> None:
    evidence = replace(FULL, key=key)
    page = page_of(evidence_payload(evidence, OpenRuns(1, NOW), BOUNDS))
    page += page_of(
        expectation_payload(
            key, HOURLY, Expectation(every=HOUR), outlook_of(HOURLY, 0, NOW), NOW
        )
    )
    read = parse_text(page.encode(), key, Limits(), utf8_names=False)
    assert {family.name: family.type for family in read}.items() <= RUN_TYPES.items()
    assert {RUN_EVIDENCE_MARK, EXPECTATION_MARK} <= {family.name for family in read}
    series = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
    lines = [line for line in page.split("\n") if line and line[0] != "#"]
    assert len(series) == len(set(series)) == len(lines)
    wanted = {"instance": "", **dict(key.labels)}.items()
    assert all(wanted <= dict(labels).items() for _, labels in series)


def histograms_of(evidence: RunEvidence) -> tuple[MetricFamily, MetricFamily]:
    """Return the histogram as it is read from the text and from the message."""
    payload = evidence_payload(evidence, OpenRuns(), BOUNDS)
    family = payload.get("pushrelay_job_duration_seconds")
    assert family is not None
    assert family.message is not None
    text = page_of(Payload.of([replace(family, message=None)]))
    [of_text] = parse_text(text.encode(), evidence.key, Limits(), utf8_names=True)
    message = delimit(len(family.message)) + family.message
    [of_message] = parse_protobuf(message, evidence.key, Limits())
    return of_text, of_message


DURATIONS = st.lists(st.integers(0, 100 * SECOND), max_size=20)


def counted(durations: list[int], bounds: tuple[float, ...] = BOUNDS) -> Durations:
    found = Durations()
    for duration in durations:
        found = found.with_one(duration, bounds)
    return found


@given(DURATIONS)
def test_text_and_protobuf_say_the_same_of_durations(lengths: list[int]) -> None:
    of_text, of_message = histograms_of(replace(FULL, durations=counted(lengths)))
    assert of_text.name == of_message.name
    assert of_text.help == of_message.help
    [[text], [message]] = of_text.metrics, of_message.metrics
    assert text.labels == message.labels
    assert isinstance(text.value, Histogram)
    assert isinstance(message.value, Histogram)
    assert text.value.buckets == message.value.buckets
    assert text.value.sample_count == message.value.sample_count == len(lengths)
    assert text.value.sample_sum == message.value.sample_sum == sum(lengths) / SECOND


@given(DURATIONS)
def test_each_duration_is_in_a_native_bucket(lengths: list[int]) -> None:
    _, of_message = histograms_of(replace(FULL, durations=counted(lengths)))
    assert of_message.message is not None
    [buckets] = native_buckets_of(of_message.message)
    seconds = [length / SECOND for length in lengths]
    for _, lower, upper, count in buckets or []:
        # All but the zero bucket belong to their upper bounds.
        inside = [each for each in seconds if lower < each <= upper]
        assert len(inside) == count
    assert sum(count for *_, count in buckets or []) == len(lengths)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 9), min_size=1, unique=True).map(sorted),
            st.lists(st.integers(0, 10 * SECOND), max_size=4),
        ),
        max_size=6,
    )
)
def test_no_bucket_falls_when_bounds_change(
    eras: list[tuple[list[int], list[int]]],
) -> None:
    durations, before = Durations(), dict[float, float]()
    for bounds, lengths in eras:
        chosen = tuple(map(float, bounds))
        for length in [None, *lengths]:
            if length is not None:
                durations = durations.with_one(length, chosen)
            shown = _buckets(durations, chosen)
            counts = list(shown.values())
            assert counts == sorted(counts)
            for bound, count in shown.items():
                assert count >= before.get(bound, 0)
            before |= shown


def _buckets(durations: Durations, bounds: tuple[float, ...]) -> dict[float, float]:
    lines = evidence_text(replace(FULL, durations=durations), bounds).splitlines()
    buckets = [line.partition("_bucket{") for line in lines]
    return {
        float(rest.partition('le="')[2].partition('"')[0]): float(rest.split()[-1])
        for _, found, rest in buckets
        if found
    }


def test_a_family_reads_back_as_it_is_shown() -> None:
    for family in evidence_payload(FULL, OpenRuns(1, NOW), BOUNDS).families():
        assert len(from_stored(family).metrics) == family.size


def test_the_names_of_long_keys_are_not_remembered() -> None:
    def remembered_after(key: GroupingKey) -> int:
        evidence_payload(replace(FULL, key=key), OpenRuns(), BOUNDS)
        return run_families._known_shape.cache_info().currsize

    before = remembered_after(KEY)
    assert remembered_after(key_of("a", **{"n" * 600: "v"})) == before
    assert remembered_after(key_of("a", never_seen_before="v")) > before
