"""Running totals of processes that start anew, and what other modes do to them. All
modes in any order are in test_aggregation_model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from builders import families_of_messages, group_of, key_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.accumulation import push_onto
from pushrelay.aggregation import Mode, without_series
from pushrelay.config import Limits
from pushrelay.contents import NOTHING_HELD, Contents
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import native_buckets
from pushrelay.exposition.negotiation import PushFormat
from pushrelay.exposition.stored import to_payload
from pushrelay.groups import Payload
from pushrelay.push_reader import PushReader
from pushrelay.selector_parser import parse_selector

ACC, ADD, MERGE, POST, PUT = (
    Mode.ACCUMULATE,
    Mode.ADD,
    Mode.MERGE,
    Mode.UPDATE,
    Mode.REPLACE,
)
C, S = "# TYPE c counter\n", "# TYPE s summary\n"
KEY = key_of()


def push(held: Contents, mode: Mode, pushed: Payload) -> Contents:
    return push_onto(held, mode, pushed, lambda name: False)


def after(*pushes: tuple[Mode, str]) -> Contents:
    """Return what a group has after all `pushes`."""
    held = NOTHING_HELD
    for mode, body in pushes:
        held = push(held, mode, group_of(body).payload)
    return held


def shown(payload: Payload | None) -> str | None:
    """Return the series, without the labels of the group."""
    if payload is None:
        return None
    text = payload.text.decode().replace('{instance="",job="a"}', "")
    return text.replace('instance="",job="a",', "").strip().replace("\n", "; ")


class Case(NamedTuple):
    """Pushes, and what the group holds and remembers then."""

    pushes: list[tuple[Mode, str]]
    held: str
    running: str | None


CASES = {
    "the first push counts whole": Case([(ACC, f"{C}c 5")], "c 5", "c 5"),
    "what grew is added": Case([(ACC, f"{C}c 5"), (ACC, f"{C}c 7")], "c 7", "c 7"),
    "all that a new process counted is added": Case(
        [(ACC, f"{C}c 5"), (ACC, f"{C}c 3"), (ACC, f"{C}c 4")], "c 9", "c 4"
    ),
    "the same again adds nothing": Case([(ACC, f"{C}c 5")] * 3, "c 5", "c 5"),
    "the first push counts whole beside what others left": Case(
        [(PUT, f"{C}c 5"), (ACC, f"{C}c 7")], "c 12", "c 7"
    ),
    "a series that is not pushed keeps what it has": Case(
        [
            (ACC, f'{C}c{{l="1"}} 5\nc{{l="2"}} 5'),
            (ACC, f'{C}c{{l="2"}} 6'),
            (ACC, f'{C}c{{l="1"}} 7'),
        ],
        'c{l="1"} 7; c{l="2"} 6',
        'c{l="1"} 7; c{l="2"} 6',
    ),
    "a family that is not pushed keeps what it has": Case(
        [(ACC, f"{C}c 5"), (ACC, f"{S}s_count 1"), (ACC, f"{C}c 7")],
        "c 7; s_sum 0; s_count 1",
        "c 7; s_sum 0; s_count 1",
    ),
    "only what counts is remembered": Case(
        [(ACC, f"# TYPE g gauge\ng 5\n{C}c 1\nu 3")] * 2, "g 5; c 1; u 3", "c 1"
    ),
    "nothing is remembered of gauges": Case([(ACC, "u 1")], "u 1", None),
    "nothing is remembered in other modes": Case(
        [(PUT, f"{C}c 5"), (POST, f"{C}c 5"), (MERGE, f"{C}c 5"), (ADD, f"{C}c 5")],
        "c 10",
        None,
    ),
    "a PUT is what was pushed last": Case(
        [(ACC, f"{C}c 5"), (ACC, f"{C}c 4"), (PUT, f"{C}c 6"), (ACC, f"{C}c 7")],
        "c 7",
        "c 7",
    ),
    "a POST is what was pushed last": Case(
        [(ACC, f"{C}c 5"), (ACC, f"{C}c 4"), (POST, f"{C}c 6"), (ACC, f"{C}c 7")],
        "c 7",
        "c 7",
    ),
    "a new process after a PUT": Case(
        [(ACC, f"{C}c 5"), (PUT, f"{C}c 6"), (ACC, f"{C}c 2")], "c 8", "c 2"
    ),
    "a PUT of something else forgets": Case(
        [(ACC, f"{C}c 5"), (PUT, "x 1"), (ACC, f"{C}c 7")], "x 1; c 7", "c 7"
    ),
    "a PUT of nothing forgets": Case([(ACC, f"{C}c 5"), (PUT, "")], "", None),
    "a PUT of a family that was not accumulated is not remembered": Case(
        [(ACC, f"{C}c 5"), (PUT, f"{C}c 5\n{S}s_count 1")],
        "c 5; s_sum 0; s_count 1",
        "c 5",
    ),
    "a POST of other families leaves it": Case(
        [(ACC, f"{C}c 5"), (POST, "x 1"), (ACC, f"{C}c 7")], "c 7; x 1", "c 7"
    ),
    "a POST of another type forgets": Case(
        [(ACC, f"{C}c 5"), (POST, "# TYPE c gauge\nc 1")], "c 1", None
    ),
    "a POST of other series of the family forgets the rest": Case(
        [(ACC, f'{C}c{{l="1"}} 5'), (POST, f'{C}c{{l="2"}} 5')],
        'c{l="2"} 5',
        'c{l="2"} 5',
    ),
    "a merge is what was pushed last of its series": Case(
        [
            (ACC, f'{C}c{{l="1"}} 5\nc{{l="2"}} 5'),
            (MERGE, f'{C}c{{l="1"}} 6'),
            (ACC, f'{C}c{{l="1"}} 7\nc{{l="2"}} 7'),
        ],
        'c{l="1"} 7; c{l="2"} 7',
        'c{l="1"} 7; c{l="2"} 7',
    ),
    "an increment is counted on": Case(
        [(ACC, f"{C}c 5"), (ADD, f"{C}c 2"), (ACC, f"{C}c 8")], "c 8", "c 8"
    ),
    "a new process after an increment": Case(
        [(ACC, f"{C}c 5"), (ADD, f"{C}c 2"), (ACC, f"{C}c 6")], "c 13", "c 6"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_group_has_after_pushes(case: Case) -> None:
    held, running = after(*case.pushes)
    assert shown(held) == case.held
    assert shown(running) == case.running


def test_deleted_series_are_not_remembered() -> None:
    held = after((ACC, f'{C}c{{l="1"}} 5\nc{{l="2"}} 5\n{S}s_count 1'))
    for selector, left in [('{l="1"}', 'c{l="2"} 5; s_sum 0; s_count 1'), ("c", "")]:
        held = without_series(held, [parse_selector(selector, of_series=True)])
        left = left or "s_sum 0; s_count 1"
        assert (shown(held.payload), shown(held.running_totals)) == (left, left)
    held = without_series(held, [parse_selector('{job="a"}', of_series=True)])
    assert held.running_totals is None
    held = after((PUT, "x 1\ny 1"))
    held = without_series(held, [parse_selector("x", of_series=True)])
    assert held.running_totals is None


def test_pushes_that_are_read_by_a_template_are_accumulated_as_others_are() -> None:
    """They are known to have the same series, of which these are what counts."""
    reader = PushReader(Limits(), utf8_names=False)
    held = read = NOTHING_HELD
    likenesses = set()
    for total in (3, 5, 9, 2, 4):
        body = f'# TYPE g gauge\ng {total}\n{C}c{{l="1"}} {total}\nc{{l="2"}} {total}\n'
        arguments = (body.encode(), PushFormat.TEXT, KEY, ACC, 10**9)
        pushed = reader.read(*arguments).payload
        likenesses.add(pushed.likeness)
        held = push(held, ACC, pushed)
        read = push(read, ACC, group_of(body).payload)
        assert shown(held.payload) == shown(read.payload)
        assert shown(held.running_totals) == shown(read.running_totals)
    assert len(likenesses - {None}) == 1
    assert shown(held.payload) == 'g 4; c{l="1"} 13; c{l="2"} 13'


# Processes that come and go.


@dataclass
class Process:
    """What a process that observes numbers holds. began: seconds."""

    began: int
    observed: list[int] = field(default_factory=list)

    def text(self, label: str) -> str:
        """Return it as a body in the text format, for the series `label`."""
        low, mid, all_ = self._cumulative()
        own = f'l="{label}"'
        return (
            f"# TYPE c counter\nc{{{own}}} {all_}\n# TYPE h histogram\n"
            f'h_bucket{{{own},le="1"}} {low}\nh_bucket{{{own},le="4"}} {mid}\n'
            f'h_bucket{{{own},le="+Inf"}} {all_}\nh_sum{{{own}}} {sum(self.observed)}\n'
            f"h_count{{{own}}} {all_}\n# TYPE s summary\n"
            f"s_sum{{{own}}} {sum(self.observed)}\ns_count{{{own}}} {all_}\n"
        )

    def families(self, label: str) -> Iterator[str]:
        """Return it as families in protobuf's text format, with its beginning."""
        low, mid, all_ = self._cumulative()
        own = f'label {{ name: "l" value: "{label}" }}'
        began = f"created_timestamp {{ seconds: {self.began} }}"
        counts = f"sample_count: {all_} sample_sum: {sum(self.observed)} {began}"
        # The buckets of schema -1 end at 1, 4 and 16.
        native = (
            f"{counts} schema: -1 zero_threshold: 0.5 "
            f"positive_span {{ length: 3 }} "
            f"positive_delta: [{low}, {mid - 2 * low}, {all_ - 2 * mid + low}]"
        )
        for name, type_, value in [
            ("c", "COUNTER", f"counter {{ value: {all_} {began} }}"),
            ("s", "SUMMARY", f"summary {{ {counts} }}"),
            ("n", "HISTOGRAM", f"histogram {{ {native} }}"),
        ]:
            yield f'name: "{name}" type: {type_} metric {{ {own} {value} }}'

    def _cumulative(self) -> tuple[int, int, int]:
        counts = [sum(n <= bound for n in self.observed) for bound in (1, 4)]
        return counts[0], counts[1], len(self.observed)

    def payload(self, label: str, *, as_protobuf: bool) -> Payload:
        if not as_protobuf:
            return group_of(self.text(label)).payload
        return to_payload(families_of_messages(self.families(label), KEY), 1)


PROCESSES = st.lists(
    st.tuples(
        st.sampled_from("12"),
        # What is observed between two pushes.
        st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@given(PROCESSES, st.booleans(), st.integers(1, 2))
def test_the_totals_are_what_all_processes_observed_together(
    processes: list[tuple[str, list[list[int]]]], as_protobuf: bool, times: int
) -> None:
    """Restarts are seen: in text, a process pushes when it has observed nothing yet; in
    protobuf, it says when it began. Each push may be sent twice."""
    held = NOTHING_HELD
    earlier: dict[str, list[int]] = {}
    for began, (label, portions) in enumerate(processes, start=1):
        process = Process(began)
        for portion in portions if as_protobuf else [[], *portions]:
            process.observed += portion
            for _ in range(times):
                held = push(held, ACC, process.payload(label, as_protobuf=as_protobuf))
            together = earlier | {label: earlier.get(label, []) + process.observed}
            expected: dict[str, object] = {}
            for each, observed in together.items():
                alone = Process(0, observed).payload(each, as_protobuf=as_protobuf)
                expected |= values_of(alone)
            assert values_of(held.payload) == expected
        earlier = together


def values_of(payload: Payload) -> dict[str, object]:
    """Return the value of each line, and the buckets of native histograms."""
    lines = payload.text.decode().splitlines()
    values: dict[str, object] = dict(line.rpartition(" ")[::2] for line in lines)
    native = payload.get("n")
    if native is not None and native.message is not None:
        for metric in pb.MetricFamily.FromString(native.message).metric:
            values[f"n {metric.label}"] = native_buckets(metric.histogram)
    return values
