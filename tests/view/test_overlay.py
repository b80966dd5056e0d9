from __future__ import annotations

import pytest
from builders import group_of, key_of

from pushrelay.changes import Changes, Position
from pushrelay.groups import Group
from pushrelay.model import MetricType
from pushrelay.stock import NOTHING, Stock
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View

A, B, C = key_of("a"), key_of("b"), key_of("c")
GAUGE = "# TYPE x gauge\nx 1"
COUNTER = "# TYPE x counter\nx 1"


def overlay_of(*groups: Group) -> Overlay:
    view = View()
    view.apply(Changes(None, Position(1, b""), list(groups)))
    return Overlay(view, {"own": MetricType.GAUGE})


def keys_of(overlay: Overlay) -> set[bytes]:
    return {group.key.canonical for group in overlay.all_groups()}


@pytest.fixture
def overlay() -> Overlay:
    """An overlay of the groups a and b, which hold the gauge x."""
    return overlay_of(group_of(GAUGE, A), group_of(GAUGE, B))


def test_what_is_committed_shows_through(overlay: Overlay) -> None:
    assert overlay.holders("x", C) == {MetricType.GAUGE: A.canonical}
    assert overlay.holders("x", A) == {MetricType.GAUGE: B.canonical}
    assert overlay.holders("y", A) == {}
    found = overlay.group(A)
    assert found is not None
    assert found.key == A
    assert overlay.group(C) is None
    assert list(overlay.key_shapes("job")) == [("job",)]


def test_own_types_are_known(overlay: Overlay) -> None:
    assert overlay.own_type("own") is MetricType.GAUGE
    assert overlay.own_type("x") is None


def test_a_group_in_the_overlay_hides_the_committed_one(overlay: Overlay) -> None:
    changed = group_of(COUNTER, A)
    overlay.put(A, changed)
    assert overlay.group(A) is changed
    assert overlay.holders("x", B) == {MetricType.COUNTER: A.canonical}
    assert overlay.holders("x", C) == {
        MetricType.COUNTER: A.canonical,
        MetricType.GAUGE: B.canonical,
    }


def test_a_deletion_hides_the_committed_group(overlay: Overlay) -> None:
    overlay.put(A, None)
    assert overlay.group(A) is None
    assert overlay.holders("x", C) == {MetricType.GAUGE: B.canonical}
    overlay.put(B, None)
    assert overlay.holders("x", C) == {}


def test_a_later_write_hides_an_earlier_one(overlay: Overlay) -> None:
    overlay.put(C, group_of(COUNTER, C))
    assert overlay.holders("x", A)[MetricType.COUNTER] == C.canonical
    overlay.put(C, group_of("y 1", C))
    assert overlay.holders("x", A) == {MetricType.GAUGE: B.canonical}
    assert overlay.holders("y", A) == {MetricType.UNTYPED: C.canonical}
    overlay.put(C, None)
    assert overlay.holders("y", A) == {}
    overlay.put(C, group_of("y 1", C))
    assert overlay.holders("y", A) == {MetricType.UNTYPED: C.canonical}


def test_a_group_that_is_put_back_is_held_by_the_overlay(overlay: Overlay) -> None:
    overlay.put(A, None)
    overlay.put(A, group_of(GAUGE, A))
    overlay.put(B, None)
    assert overlay.holders("x", C) == {MetricType.GAUGE: A.canonical}


def test_key_shapes_are_those_of_both(overlay: Overlay) -> None:
    zoned = key_of("a", zone="1")
    overlay.put(zoned, group_of("", zoned))
    assert set(overlay.key_shapes("job")) == {("job",)}
    assert set(overlay.key_shapes("zone")) == {("job", "zone")}
    overlay.put(zoned, None)
    assert set(overlay.key_shapes("job")) == {("job",)}


def test_the_view_stays_as_it_is() -> None:
    view = View()
    view.apply(Changes(None, Position(1, b""), [group_of(GAUGE, A)]))
    before = view.snapshot()
    overlay = Overlay(view, {})
    overlay.put(A, None)
    overlay.put(B, group_of(COUNTER, B))
    assert view.snapshot() is before
    assert Overlay(view, {}).holders("x", C) == {MetricType.GAUGE: A.canonical}


def test_all_groups_are_those_of_both(overlay: Overlay) -> None:
    assert keys_of(overlay) == {A.canonical, B.canonical}
    overlay.put(A, None)
    overlay.put(C, group_of(GAUGE, C))
    assert keys_of(overlay) == {B.canonical, C.canonical}


def test_the_stock_is_that_of_all_groups_until_it_is_undone(overlay: Overlay) -> None:
    before = overlay.stock.total
    of_b = overlay.stock.of_job("b")
    more = group_of("x 1\ny 1", key_of("a", instance="i"))
    held = overlay.group(B)
    overlay.put(more.key, more)
    overlay.put(B, None)
    assert overlay.stock.total == Stock(overlay.all_groups()).total
    assert overlay.stock.of_job("a")[:2] == (2, 3)
    assert overlay.stock.of_job("b") == NOTHING
    overlay.put(B, held)
    overlay.put(more.key, None)
    assert overlay.stock.total == before
    assert overlay.stock.of_job("b") == of_b
