"""Random sequences of pushes in all modes leave what a model in dictionaries says."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any, NamedTuple

import pytest
from builders import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pushrelay.accumulation import push_onto
from pushrelay.aggregation import Mode
from pushrelay.contents import NOTHING_HELD
from pushrelay.errors import InconsistentPush
from pushrelay.exposition.stored import from_stored
from pushrelay.groups import EMPTY, Payload
from pushrelay.model import Histogram, Summary

TYPES = ("counter", "gauge", "untyped", "summary", "histogram", "gaugehistogram")
ADDED = ("counter", "summary", "histogram")
NAMES = ("a", "b_total", "c_timestamp_seconds")

Value = Any
"""A number; (count, sum, {quantile: value}); or (count, sum, {bound: count})."""


class Family(NamedTuple):
    type: str
    help: str
    series: dict[str, Value]  # by the value of the label `l`, "" for none


State = dict[str, Family]


class Refused(Exception):
    pass


# The model.


def expected_of_both(
    mode: Mode, held: State, running: State, pushed: State
) -> tuple[State, State]:
    """Return what is held after a push, and the running totals."""
    counted = {n: family for n, family in pushed.items() if family.type in ADDED}
    if mode is Mode.ACCUMULATE:
        increments = {
            name: expected_increments(running.get(name), family)
            for name, family in pushed.items()
        }
        after = expected(Mode.ADD, held, increments)
        return after, expected(Mode.MERGE, running, counted)
    known = {name: family for name, family in counted.items() if name in running}
    if mode is Mode.UPDATE:
        running = {name: f for name, f in running.items() if name not in pushed}
    return expected(mode, held, pushed), expected(mode, running, known)


def expected_increments(last: Family | None, pushed: Family) -> Family:
    if last is None or last.type != pushed.type:
        return pushed
    series = {
        label: expected_increase(pushed.type, last.series.get(label), value)
        for label, value in pushed.series.items()
    }
    return pushed._replace(series=series)


def expected_increase(type_: str, last: Value, pushed: Value) -> Value:
    if last is None:
        return pushed
    if type_ == "counter":
        return pushed - last if 0 <= last <= pushed < inf else pushed
    count, total = pushed[0] - last[0], pushed[1] - last[1]
    if type_ == "summary":
        return pushed if count < 0 else (count, total, pushed[2])
    before, after = last[2], pushed[2]
    if inf in before or inf in after:
        before, after = {inf: last[0], **before}, {inf: pushed[0], **after}
    fell = count < 0 or any(after.get(bound, -1) < n for bound, n in before.items())
    if fell or set(before) != set(after):
        return pushed
    return count, total, {bound: after[bound] - before[bound] for bound in after}


def expected(mode: Mode, held: State, pushed: State) -> State:
    if mode is Mode.REPLACE:
        return pushed
    if mode is Mode.UPDATE:
        return held | pushed
    return held | {
        name: expected_family(mode, name, held.get(name), family)
        for name, family in pushed.items()
    }


def expected_family(
    mode: Mode, name: str, held: Family | None, pushed: Family
) -> Family:
    if held is not None and held.type != pushed.type:
        raise Refused
    if mode is Mode.ADD:
        if pushed.type == "counter" and name.endswith("_timestamp_seconds"):
            raise Refused
        if pushed.type == "untyped" and name.endswith("_total"):
            raise Refused
    series = dict(held.series) if held else {}
    for label, value in pushed.series.items():
        if mode is Mode.ADD and pushed.type in ADDED:
            value = expected_sum(pushed.type, series.get(label), value)
        series[label] = value
    return Family(pushed.type, pushed.help or (held.help if held else ""), series)


def expected_sum(type_: str, held: Value, pushed: Value) -> Value:
    if type_ == "counter":
        if not 0 <= pushed < inf or not isfinite(pushed + (held or 0)):
            raise Refused
        return pushed + (held or 0)
    if held is None:
        return pushed
    count, total = held[0] + pushed[0], held[1] + pushed[1]
    if type_ == "summary":
        return count, total, pushed[2]
    ours, theirs = held[2], pushed[2]
    if inf in ours or inf in theirs:
        ours, theirs = {inf: held[0], **ours}, {inf: pushed[0], **theirs}
    if set(ours) != set(theirs):
        raise Refused
    return count, total, {bound: ours[bound] + theirs[bound] for bound in sorted(ours)}


# Pushes, and what they leave.

numbers = st.one_of(
    st.integers(-2, 9).map(float), st.sampled_from([0.5, nan, inf, 1e308, 1.7e308])
)
sums = st.integers(-9, 9).map(float)
observations = st.integers(0, 9)
BOUNDS = ([1.0], [1.0, inf], [0.5, 1.0, inf], [inf], [])


@st.composite
def values(draw: st.DrawFn, type_: str) -> Value:
    if type_ == "summary":
        quantiles = draw(st.sampled_from([[], [0.5], [0.5, 0.9]]))
        shown = {quantile: float(draw(observations)) for quantile in quantiles}
        return draw(observations), draw(sums), shown
    if "histogram" in type_:
        bounds = draw(st.sampled_from(BOUNDS))
        return draw(observations), draw(sums), {b: draw(observations) for b in bounds}
    return draw(numbers)


@st.composite
def families(draw: st.DrawFn) -> Family:
    type_ = draw(st.sampled_from(TYPES))
    labels = draw(
        st.lists(st.sampled_from(["", "1", "2", "3"]), min_size=1, unique=True)
    )
    series = {label: draw(values(type_)) for label in labels}
    return Family(type_, draw(st.sampled_from(["", "Help.", "Other."])), series)


states = st.dictionaries(st.sampled_from(NAMES), families(), max_size=3)
modes = st.sampled_from([*Mode, Mode.ADD, *[Mode.ACCUMULATE] * 4])
pushes = st.lists(st.tuples(modes, states), max_size=8)


def text_of(pushed: State) -> str:
    """Return the body of a push."""
    lines = []
    for name, family in pushed.items():
        if family.help:
            lines.append(f"# HELP {name} {family.help}")
        if family.type != "untyped":
            lines.append(f"# TYPE {name} {family.type}")
        for label, value in family.series.items():
            own = f'l="{label}"' if label else ""
            lines += lines_of(name, family.type, own, value)
    return "\n".join(lines)


def lines_of(name: str, type_: str, own: str, value: Value) -> list[str]:
    if not isinstance(value, tuple):
        return [f"{name}{{{own}}} {value}"]
    count, total, parts = value
    line, bound = (name, "quantile") if type_ == "summary" else (f"{name}_bucket", "le")
    separator = "," if own else ""
    return [
        *[f'{line}{{{own}{separator}{bound}="{b}"}} {n}' for b, n in parts.items()],
        f"{name}_sum{{{own}}} {total}",
        f"{name}_count{{{own}}} {count}",
    ]


def state_of(payload: Payload) -> State:
    """Return what a group holds, as the model has it."""
    state: State = {}
    for stored in payload.families():
        family = from_stored(stored)
        type_ = family.type.name.lower().replace("_", "")
        series = {
            dict(metric.labels).get("l", ""): plain(metric.value)
            for metric in family.metrics
        }
        state[stored.name] = Family(type_, stored.help, series)
    return state


def plain(value: Any) -> Value:
    if isinstance(value, Summary):
        return value.sample_count, value.sample_sum, dict(value.quantiles)
    if isinstance(value, Histogram):
        return value.sample_count, value.sample_sum, dict(value.buckets)
    return value


def in_order(state: State) -> str:
    """Return what tells apart states that differ in an order, but takes NaN for NaN."""
    return repr(
        [
            (name, family.type, family.help, list(family.series.items()))
            for name, family in state.items()
        ]
    )


def is_timestamp(name: str) -> bool:
    return "_timestamp_" in name


@pytest.mark.system
@pytest.mark.no_cover
@settings(max_examples=500)
@given(pushes)
def test_sequences_of_pushes(sequence: list[tuple[Mode, State]]) -> None:
    held, state, running = NOTHING_HELD, State(), State()
    for at, (mode, pushed) in enumerate(sequence, start=1):
        payload = group_of(text_of(pushed), pushed_at=at).payload
        try:
            state, running = expected_of_both(mode, state, running, pushed)
        except Refused:
            with pytest.raises(InconsistentPush):
                push_onto(held, mode, payload, is_timestamp)
            continue
        held = push_onto(held, mode, payload, is_timestamp)
        assert in_order(state_of(held.payload)) == in_order(state)
        assert in_order(state_of(held.running_totals or EMPTY)) == in_order(running)
        for name in pushed:
            stored = held.payload.get(name)
            assert stored is not None
            assert stored.pushed_at == at
