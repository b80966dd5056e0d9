from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushrelay.view.key_shapes import KeyShapes

shapes = st.sets(st.sampled_from("abcd"), max_size=3).map(
    lambda names: ("job", *sorted(names))
)


@given(st.lists(shapes), st.data())
def test_what_is_left_is_found_by_its_last_name(
    added: list[tuple[str, ...]], data: st.DataObject
) -> None:
    kept = KeyShapes(added)
    left = list(added)
    for _ in range(data.draw(st.integers(0, len(added)))):
        kept.remove(left.pop(data.draw(st.integers(0, len(left) - 1))))
    assert set(kept) == set(left)
    assert kept == KeyShapes(left)
    for name in ("job", "a", "b", "c", "d"):
        assert set(kept.ending_with(name)) == {s for s in left if s[-1] == name}
