from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition import labels
from pushrelay.exposition.labels import LabelPlacer, check_grouping_labels
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import is_legacy_label_name, is_legacy_metric_name

KEY = GroupingKey.of({"job": "x"})


def placer(key: GroupingKey) -> LabelPlacer:
    return LabelPlacer(key, Limits())


@pytest.mark.parametrize(
    "names", [("a.b", "a_b"), ("a.b", "a-b"), ("a.b", "a_dot_b"), ("a-b", "a__b")]
)
def test_names_that_escaping_makes_equal_are_refused(names: tuple[str, str]) -> None:
    pushed = [(name, "") for name in names]
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        placer(KEY).place(pushed)
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        placer(GroupingKey.of({"job": "x", names[1]: ""})).place(pushed[:1])
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        check_grouping_labels(GroupingKey.of({"job": "x", **dict(pushed)}), Limits())


def test_names_that_stay_apart_are_taken() -> None:
    pushed = [("a.b", "1"), ("a.c", "2"), ("d_e", "3")]
    placed = placer(KEY).place(pushed)
    assert placed == (*pushed, ("instance", ""), ("job", "x"))


def test_grouping_labels_come_before_those_of_the_body() -> None:
    key = GroupingKey.of({"job": "x", "zone": "eu"})
    pushed = [("zone", "us"), ("job", "y"), ("instance", "i")]
    assert placer(key).place(pushed) == (
        ("instance", "i"),
        ("job", "x"),
        ("zone", "eu"),
    )


def test_no_label_becomes_the_name_of_the_metric() -> None:
    with pytest.raises(InvalidRequest, match="become the same once they are escaped"):
        placer(KEY).place([(".-name..", "x")])


names = st.sampled_from(["a", "b", "instance", "job", "zone"])
pushed_labels = st.lists(st.tuples(names, st.sampled_from(["", "1", "2"])), max_size=4)
keys = st.dictionaries(names, st.just("g")).map(
    lambda others: GroupingKey.of({"job": "j", **others})
)


@given(st.lists(pushed_labels, max_size=5), keys)
def test_one_series_after_the_other_gets_the_labels_of_the_group(
    series: list[list[tuple[str, str]]], key: GroupingKey
) -> None:
    one_placer = placer(key)
    for pushed in series:
        placed = one_placer.place(pushed)
        added = {"instance": "", **dict(key.labels)}
        if len(dict(pushed)) < len(pushed):
            own = dict(pushed)
            missing = {name: added[name] for name in added if name not in own}
            assert placed == tuple(sorted([*pushed, *missing.items()]))
        else:
            merged = {"instance": "", **dict(pushed), **dict(key.labels)}
            assert placed == tuple(sorted(merged.items()))


def test_limits_hold_for_each_series() -> None:
    limited = LabelPlacer(KEY, Limits(labels=2, label_value_bytes=3))
    limited.place([("a", "123")])
    with pytest.raises(LimitExceeded, match="value of label"):
        limited.place([("a", "1234")])
    with pytest.raises(LimitExceeded, match="there are 3 labels"):
        limited.place([("a", ""), ("b", ""), ("c", "")])


def test_very_many_orders_of_names_are_not_all_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels, "_REMEMBERED", 3)
    one_placer = placer(KEY)
    for n in (*range(9), 0):
        placed = one_placer.place([(f"a{n}", "1")])
        assert placed == ((f"a{n}", "1"), ("instance", ""), ("job", "x"))
        assert len(one_placer._plans) <= 3


@given(st.text(st.sampled_from("aZ_:09é\u0661\xb7 \n\udcff"), max_size=3))
def test_legacy_names_are_ascii_words(name: str) -> None:
    word = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
    assert is_legacy_label_name(name) == bool(word.fullmatch(name))
    assert is_legacy_metric_name(name) == bool(word.fullmatch(name.replace(":", "_")))
