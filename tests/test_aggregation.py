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
    held = group_of("a 1\nb 1", pushed_at=1).families
    before = dict(held)
    pushed = group_of("b 2\nc 2", pushed_at=2).families.values()
    after = combine(mode, held, pushed)
    assert {name: family.pushed_at for name, family in after.items()} == names
    assert list(after) == order
    assert held == before


@pytest.mark.parametrize(("mode", "left"), [(Mode.REPLACE, []), (Mode.UPDATE, ["a"])])
def test_a_push_of_nothing(mode: Mode, left: list[str]) -> None:
    assert list(combine(mode, group_of("a 1").families, [])) == left
