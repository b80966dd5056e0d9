from __future__ import annotations

import pytest

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest
from pushrelay.exposition.labels import check_grouping_labels, place_labels
from pushrelay.grouping_key import GroupingKey

KEY = GroupingKey.of({"job": "x"})


@pytest.mark.parametrize(
    "names", [("a.b", "a_b"), ("a.b", "a-b"), ("a.b", "a_dot_b"), ("a-b", "a__b")]
)
def test_names_that_escaping_makes_equal_are_refused(names: tuple[str, str]) -> None:
    pushed = [(name, "") for name in names]
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        place_labels(pushed, KEY, Limits())
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        place_labels(pushed[:1], GroupingKey.of({"job": "x", names[1]: ""}), Limits())
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        check_grouping_labels(GroupingKey.of({"job": "x", **dict(pushed)}), Limits())


def test_names_that_stay_apart_are_taken() -> None:
    pushed = [("a.b", "1"), ("a.c", "2"), ("d_e", "3")]
    placed = place_labels(pushed, KEY, Limits())
    assert placed == (*pushed, ("instance", ""), ("job", "x"))


def test_grouping_labels_come_before_those_of_the_body() -> None:
    key = GroupingKey.of({"job": "x", "zone": "eu"})
    pushed = [("zone", "us"), ("job", "y"), ("instance", "i")]
    assert place_labels(pushed, key, Limits()) == (
        ("instance", "i"),
        ("job", "x"),
        ("zone", "eu"),
    )


def test_no_label_becomes_the_name_of_the_metric() -> None:
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        place_labels([(".-name..", "x")], KEY, Limits())
