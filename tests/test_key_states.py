"""Which keys of a job are told, and in which order."""

from __future__ import annotations

from dataclasses import replace

from builders import key_of

from pushrelay.expectations import JobExpectation
from pushrelay.key_states import KeyState, worst_keys
from pushrelay.run_evidence import OpenRun, RunEvidence
from pushrelay.run_states import job_state
from pushrelay.schedule import Expectation

HOUR = 3600 * 10**9
NOW = 100 * HOUR
EACH = Expectation(every=HOUR, grace=0, max_runtime=HOUR, per_instance=True)


def ran(instance: str, ago: int = 1, failing: int | None = None) -> RunEvidence:
    """Return what is known of an instance that ran so long ago."""
    return RunEvidence(
        key_of("a", instance=instance),
        last_start=NOW - ago,
        failing_since=None if failing is None else NOW - failing,
    )


def opened(instance: str, ago: int) -> RunEvidence:
    run = OpenRun(b"x" * 16, NOW - ago)
    return replace(ran(instance), open=(run,))


def worst(
    *held: RunEvidence, expectation: Expectation = EACH, most: int = 9, named: str = ""
) -> list[KeyState]:
    instances = {named: EACH} if named else {}
    expected = JobExpectation(api=expectation, since=1, instances=instances)
    return worst_keys(job_state("a", held, expected, NOW), most)


def names(found: list[KeyState]) -> list[str]:
    return [dict(each.key.labels)["instance"] for each in found]


def test_the_worst_come_first() -> None:
    found = worst(
        ran("fine"),
        opened("runs", 5),
        ran("fails", failing=5),
        ran("fails for long", failing=9),
        opened("abandoned", HOUR),
        ran("late", ago=2 * HOUR),
    )
    order = ["late", "abandoned", "fails for long", "fails", "runs", "fine"]
    assert names(found) == order
    assert [each.is_overdue for each in found] == [True] + [False] * 5
    assert found[1].opened.abandoned_since == NOW - HOUR


def test_no_more_than_wanted() -> None:
    assert names(worst(ran("a"), ran("b", failing=1), most=1)) == ["b"]


def test_where_any_instance_will_do_none_is_overdue() -> None:
    any_ = replace(EACH, per_instance=False)
    [found] = worst(ran("late", ago=2 * HOUR), expectation=any_)
    assert not found.is_overdue


def test_an_instance_that_never_ran_is_told_when_it_is_overdue() -> None:
    fine, late = sorted(worst(ran("a"), named="b"), key=lambda one: one.is_overdue)
    assert (names([fine, late]), late.evidence) == (["a", "b"], None)
    assert late.is_overdue
