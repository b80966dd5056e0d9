from __future__ import annotations

import pytest
from builders import group_of

from pushrelay.aggregation import Mode, combine


@pytest.mark.parametrize(
    ("mode", "names", "order"),
    [
        (Mode.REPLACE, {"b": 2, "c": 2}, ["b", "c"]),
        (Mode.UPDATE, {"a": 1, "b": 2, "c": 2}, ["a", "b", "c"]),
    ],
)
def test_a_push_meets_what_is_held(
    mode: Mode, names: dict[str, int], order: list[str]
) -> None:
    held = group_of("a 1\nb 1", pushed_at=1).payload
    pushed = group_of("b 2\nc 2", pushed_at=2).payload
    after = list(combine(mode, held, pushed).families())
    assert {family.name: family.pushed_at for family in after} == names
    assert [family.name for family in after] == order
    assert {family.name: family.series.split()[-1] for family in after} == {
        name: str(at).encode() for name, at in names.items()
    }


@pytest.mark.parametrize(("mode", "left"), [(Mode.REPLACE, []), (Mode.UPDATE, ["a"])])
def test_a_push_of_nothing(mode: Mode, left: list[str]) -> None:
    after = combine(mode, group_of("a 1").payload, group_of("").payload)
    assert [family.name for family in after.families()] == left
