from __future__ import annotations

import pytest
from builders import group_of, key_of

from pushrelay import deletions
from pushrelay.deletions import deletions_of

GROUPS = [
    group_of("x 1", key_of(job, instance=str(number)))
    for job in ("a", "b")
    for number in range(3)
]


@pytest.mark.parametrize(
    ("families", "sizes"), [(1, [1] * 6), (12, [2, 2, 2]), (24, [4, 2]), (1000, [6])]
)
def test_portions_are_measured_in_families(
    monkeypatch: pytest.MonkeyPatch, families: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", families)
    found = list(deletions_of(GROUPS, lambda _: True, frozenset()))
    assert [len(deletion.keys) for deletion in found] == sizes
    keys = [key for deletion in found for key in deletion.keys]
    assert keys == [group.key for group in GROUPS]
    assert not any(deletion.ended_jobs for deletion in found)


def test_a_job_ends_with_its_groups_and_one_without_groups_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletions, "DELETED_AT_ONCE", 12)
    found = list(deletions_of(GROUPS, lambda _: True, frozenset(["b", "gone"])))
    assert [set(deletion.ended_jobs) for deletion in found] == [
        set(),
        {"b"},
        {"b"},
        {"gone"},
    ]
    assert found[-1].keys == ()


def test_there_is_nothing_to_do_for_nothing() -> None:
    assert list(deletions_of([], lambda _: True, frozenset())) == []
