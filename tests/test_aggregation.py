from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from builders import group_of

from pushrelay.accumulation import push_onto
from pushrelay.aggregation import MERGING, Mode, combine
from pushrelay.contents import Contents
from pushrelay.errors import REFUSAL, InconsistentPush
from pushrelay.exposition.stored import from_stored
from pushrelay.findings import MAX_PROBLEMS
from pushrelay.groups import EMPTY, Payload

HISTOGRAM = "# TYPE h histogram\n"
SUMMARY = "# TYPE s summary\n"
COUNTER = "# TYPE c counter\n"


def is_timestamp(name: str) -> bool:
    return name.endswith("_timestamp_seconds")


def meet(mode: Mode, held: str, pushed: str) -> Payload:
    """Return what a group without running totals holds after a push of `pushed` at 2
    to what `held` left at 1."""
    before = Contents(group_of(held, pushed_at=1).payload)
    body = group_of(pushed, pushed_at=2).payload
    return push_onto(before, mode, body, is_timestamp).payload


def lines_of(payload: Payload) -> list[str]:
    """Return the lines of the series, without the labels of the group."""
    text = payload.text.decode()
    for written, shown in [
        ('{instance="",job="a"}', ""),
        ('instance="",job="a",', ""),
        (',instance="",job="a"', ""),
    ]:
        text = text.replace(written, shown)
    return text.splitlines()


@pytest.mark.parametrize(
    ("mode", "names", "order"),
    [
        (Mode.REPLACE, {"b": 2, "c": 2}, ["b", "c"]),
        (Mode.UPDATE, {"a": 1, "b": 2, "c": 2}, ["a", "b", "c"]),
        (Mode.MERGE, {"a": 1, "b": 2, "c": 2}, ["a", "b", "c"]),
        (Mode.ADD, {"a": 1, "b": 2, "c": 2}, ["a", "b", "c"]),
        (Mode.ACCUMULATE, {"a": 1, "b": 2, "c": 2}, ["a", "b", "c"]),
    ],
)
def test_a_push_meets_what_is_held(
    mode: Mode, names: dict[str, int], order: list[str]
) -> None:
    after = list(meet(mode, "a 1\nb 1", "b 2\nc 2").families())
    assert {family.name: family.pushed_at for family in after} == names
    assert [family.name for family in after] == order
    assert {family.name: family.series.split()[-1] for family in after} == {
        name: str(at).encode() for name, at in names.items()
    }


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        (Mode.REPLACE, []),
        (Mode.UPDATE, ["a"]),
        (Mode.MERGE, ["a"]),
        (Mode.ADD, ["a"]),
        (Mode.ACCUMULATE, ["a"]),
    ],
)
def test_a_push_of_nothing(mode: Mode, left: list[str]) -> None:
    assert [family.name for family in meet(mode, "a 1", "").families()] == left


class Met(NamedTuple):
    """A push that is accepted where `held` is held, and what the group then holds by
    mode: after merge, and after add or accumulate if that differs."""

    held: str
    pushed: str
    merged: str
    added: str | None = None


MET = {
    "gauges are replaced": Met(
        '# TYPE g gauge\ng 1\ng{l="1"} 2',
        '# TYPE g gauge\ng{l="1"} 5\ng{l="2"} 6',
        'g 1\ng{l="1"} 5\ng{l="2"} 6',
    ),
    "untyped series are replaced": Met(
        'u 1\nu{l="1"} 2', 'u{l="1"} NaN', 'u 1\nu{l="1"} NaN'
    ),
    "gauge histograms are replaced": Met(
        '# TYPE h gaugehistogram\nh_bucket{le="1"} 1\nh_bucket{l="1",le="1"} 5',
        '# TYPE h gaugehistogram\nh_bucket{le="2"} 2\nh_sum 3\nh_count 4',
        'h_bucket{le="2"} 2\nh_bucket{le="+Inf"} 4\nh_sum 3\nh_count 4\n'
        'h_bucket{l="1",le="1"} 5\nh_bucket{l="1",le="+Inf"} 0\n'
        'h_sum{l="1"} 0\nh_count{l="1"} 0',
    ),
    "counters are added": Met(
        COUNTER + 'c 1\nc{l="1"} 2',
        COUNTER + 'c{l="1"} 5\nc{l="2"} 6.5',
        'c 1\nc{l="1"} 5\nc{l="2"} 6.5',
        'c 1\nc{l="1"} 7\nc{l="2"} 6.5',
    ),
    "counters are added as floats are": Met(
        COUNTER + "c 9007199254740991",
        COUNTER + "c 1",
        "c 1",
        "c 9.007199254740992e+15",
    ),
    "nothing is added": Met(COUNTER + "c 1", COUNTER + "c 0", "c 0", "c 1"),
    "a counter that was below zero": Met(
        COUNTER + "c -5", COUNTER + "c 2", "c 2", "c -3"
    ),
    "a counter named like a timestamp is merged": Met(
        "",
        "# TYPE a_timestamp_seconds gauge\na_timestamp_seconds 1",
        "a_timestamp_seconds 1",
    ),
    "summaries": Met(
        SUMMARY + 's{quantile="0.5"} 1\ns{quantile="0.9"} 2\ns_sum 3.5\ns_count 4\n'
        's_count{l="1"} 1',
        SUMMARY + 's{quantile="0.5"} 7\ns_sum -1\ns_count 2',
        's{quantile="0.5"} 7\ns_sum -1\ns_count 2\ns_sum{l="1"} 0\ns_count{l="1"} 1',
        's{quantile="0.5"} 7\ns_sum 2.5\ns_count 6\ns_sum{l="1"} 0\ns_count{l="1"} 1',
    ),
    "histograms": Met(
        HISTOGRAM + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 3\nh_sum 7\nh_count 3\n'
        'h_count{l="1"} 1',
        HISTOGRAM + 'h_bucket{le="1.0"} 2\nh_bucket{le="+Inf"} 2\nh_sum -9\nh_count 2',
        'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 2\nh_sum -9\nh_count 2\n'
        'h_bucket{l="1",le="+Inf"} 1\nh_sum{l="1"} 0\nh_count{l="1"} 1',
        'h_bucket{le="1"} 3\nh_bucket{le="+Inf"} 5\nh_sum -2\nh_count 5\n'
        'h_bucket{l="1",le="+Inf"} 1\nh_sum{l="1"} 0\nh_count{l="1"} 1',
    ),
    "buckets in another order": Met(
        HISTOGRAM + 'h_bucket{le="+Inf"} 3\nh_bucket{le="1"} 1\nh_count 3',
        HISTOGRAM + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_count 1',
        'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 0\nh_count 1',
        'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 4\nh_sum 0\nh_count 4',
    ),
    "only one side says how many are below infinity": Met(
        HISTOGRAM + 'h_bucket{le="1"} 1\nh_count 3',
        HISTOGRAM + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_count 2',
        'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 0\nh_count 2',
        'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 5\nh_sum 0\nh_count 5',
    ),
    "a histogram of floats": Met(
        HISTOGRAM + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 3\nh_sum 1\nh_count 3',
        HISTOGRAM + 'h_bucket{le="1"} 0.5\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1',
        'h_bucket{le="1"} 0.5\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1',
        'h_bucket{le="1"} 1.5\nh_bucket{le="+Inf"} 4\nh_sum 2\nh_count 4',
    ),
    "what an info says is no more true": Met(
        '# TYPE b_info gauge\nb_info{version="1"} 1',
        '# TYPE b_info gauge\nb_info{version="2"} 1',
        'b_info{version="1"} 1\nb_info{version="2"} 1',
        'b_info{version="2"} 1',
    ),
    "other families stay": Met(
        "a 1\n" + COUNTER + "c 1", COUNTER + "c 2", "a 1\nc 2", "a 1\nc 3"
    ),
    "new families": Met("", COUNTER + "c 2", "c 2"),
    "a total that is no counter, but says so": Met(
        "", "# TYPE x_total gauge\nx_total 1", "x_total 1"
    ),
    "names and labels of any kind": Met(
        '# TYPE "a.b" counter\n{"a.b","l.m"="\\"\\n"} 1',
        '# TYPE "a.b" counter\n{"a.b","l.m"="\\"\\n"} 2\n{"a.b"} 3',
        '{"a.b"} 3\n{"a.b","l.m"="\\"\\n"} 2',
        '{"a.b"} 3\n{"a.b","l.m"="\\"\\n"} 3',
    ),
}


@pytest.mark.parametrize("mode", MERGING)
@pytest.mark.parametrize("case", MET.values(), ids=list(MET))
def test_series_meet(case: Met, mode: Mode) -> None:
    added = case.merged if case.added is None else case.added
    expected = case.merged if mode is Mode.MERGE else added
    shown = [
        line.replace('{"a.b",instance="",job="a"', '{"a.b"')
        for line in lines_of(meet(mode, case.held, case.pushed))
    ]
    assert shown == expected.splitlines()


class Refused(NamedTuple):
    """A push that is refused where `held` is held, with words of the refusal."""

    held: str
    pushed: str
    words: tuple[str, ...]
    modes: tuple[Mode, ...] = (Mode.ADD, Mode.ACCUMULATE)


FULL_HISTOGRAM = HISTOGRAM + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_count 2'
REFUSED = {
    "another type": Refused(
        COUNTER + "c 1",
        "# TYPE c gauge\nc 2",
        ('"c" is pushed as GAUGE', "holds it as COUNTER", "PUT", "delete"),
        MERGING,
    ),
    "no type": Refused(
        COUNTER + "c 1",
        "c 2",
        (
            '"c" is pushed as UNTYPED',
            "holds it as COUNTER; declare its TYPE; to start anew instead, replace",
        ),
        MERGING,
    ),
    "a histogram of the other kind": Refused(
        FULL_HISTOGRAM,
        FULL_HISTOGRAM.replace("histogram", "gaugehistogram"),
        ("is pushed as GAUGE_HISTOGRAM", "holds it as HISTOGRAM"),
        MERGING,
    ),
    "a counter that goes down": Refused(
        COUNTER + 'c{l="1"} 5',
        COUNTER + 'c{l="1"} -1',
        ('counter "c" {instance="", job="a", l="1"}', "the pushed value -1"),
    ),
    "a new counter that goes down": Refused(
        "", COUNTER + "c -0.5", ('counter "c" {instance="", job="a"}', "-0.5")
    ),
    "a counter that is no number": Refused(
        COUNTER + "c 1", COUNTER + "c NaN", ("the pushed value NaN",)
    ),
    "a counter beyond all numbers": Refused(
        COUNTER + "c 1", COUNTER + "c +Inf", ("the pushed value +Inf",)
    ),
    "a counter that was no number": Refused(
        COUNTER + "c NaN",
        COUNTER + "c 1",
        ("NaN is held and 1 is pushed", "to start anew, replace the group with PUT"),
    ),
    "a counter that grows too large": Refused(
        COUNTER + "c 1.7e308",
        COUNTER + "c 1e308",
        ("1.7e+308 is held and 1e+308 is pushed, together +Inf",),
    ),
    "a timestamp": Refused(
        "",
        "# TYPE a_timestamp_seconds counter\na_timestamp_seconds 1",
        ('counter "a_timestamp_seconds"', "declare it as a gauge"),
    ),
    "a total without a type": Refused(
        "", "x_total 1", ('"x_total" has no type', "declare its TYPE")
    ),
    "other buckets": Refused(
        FULL_HISTOGRAM,
        FULL_HISTOGRAM.replace('"1"', '"2.5"'),
        (
            'histogram "h" {instance="", job="a"}',
            "only held are those up to 1, only pushed those up to 2.5",
            "replace the group with PUT or delete it",
        ),
    ),
    "one bucket less": Refused(
        FULL_HISTOGRAM,
        HISTOGRAM + 'h_bucket{le="+Inf"} 2\nh_count 2',
        ("only held are those up to 1, only pushed those up to none",),
    ),
    "a bucket twice": Refused(
        FULL_HISTOGRAM,
        FULL_HISTOGRAM + '\nh_bucket{le="1.0"} 1',
        ("only held are those up to none, only pushed those up to 1",),
    ),
    "many other buckets": Refused(
        FULL_HISTOGRAM,
        HISTOGRAM + "\n".join(f'h_bucket{{le="{n}"}} 1' for n in range(2, 50)),
        ("only pushed those up to 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...",),
    ),
    "a histogram's count that is no number": Refused(
        "",
        HISTOGRAM + 'h_bucket{le="+Inf"} NaN\nh_count 2',
        ("the pushed count NaN is not finite",),
    ),
    "a histogram's count that was no number": Refused(
        HISTOGRAM + 'h_bucket{le="+Inf"} 1\nh_count +Inf',
        HISTOGRAM + 'h_bucket{le="+Inf"} 1\nh_count 1',
        ("a count of +Inf is held and one of 1 pushed",),
    ),
    "more observations than 64 bits": Refused(
        HISTOGRAM + 'h_bucket{le="+Inf"} 1\nh_count 1.8446744073709549568e19',
        HISTOGRAM + 'h_bucket{le="+Inf"} 1\nh_count 2048',
        ("a count of 18446744073709549568 is held and one of 2048 pushed",),
    ),
    "more observations of a summary than 64 bits": Refused(
        SUMMARY + "s_count 1.8446744073709549568e19",
        SUMMARY + "s_count 2048",
        ('summary "s"', "a count of 18446744073709549568 is held"),
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_refused(case: Refused) -> None:
    for mode in case.modes:
        with pytest.raises(InconsistentPush) as raised:
            meet(mode, case.held, case.pushed)
        assert raised.value.reason == "mode"
        assert str(raised.value).startswith(REFUSAL)
        for words in case.words:
            assert words in str(raised.value)


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_what_a_mode_refuses_others_take(case: Refused) -> None:
    for mode in set(Mode) - set(case.modes):
        assert meet(mode, case.held, case.pushed).layout.size > 0


def test_all_problems_are_told() -> None:
    pushed = COUNTER + 'c{l="1"} -1\nc{l="2"} 1\nc{l="3"} NaN\nx_total 1'
    with pytest.raises(InconsistentPush) as raised:
        meet(Mode.ADD, "", pushed)
    assert len(raised.value.problems) == 3


def test_not_more_problems_than_a_person_reads() -> None:
    pushed = COUNTER + "".join(f'c{{l="{n}"}} -1\n' for n in range(MAX_PROBLEMS + 5))
    with pytest.raises(InconsistentPush) as raised:
        meet(Mode.ADD, "", pushed)
    assert len(raised.value.problems) == MAX_PROBLEMS + 1


@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.ADD])
@pytest.mark.parametrize(
    ("held", "pushed", "help_"),
    [
        ("# HELP c Old.\n", "# HELP c New.\n", "New."),
        ("# HELP c Old.\n", "", "Old."),
        ("", "# HELP c New.\n", "New."),
        ("", "", ""),
    ],
)
def test_the_newest_help_stays(mode: Mode, held: str, pushed: str, help_: str) -> None:
    after = meet(mode, f"{held}{COUNTER}c 1", f"{pushed}{COUNTER}c 1")
    assert [family.help for family in after.families()] == [help_]


@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.ADD])
def test_held_series_come_first_and_new_ones_as_pushed(mode: Mode) -> None:
    held = COUNTER + 'c{l="5"} 1\nc{l="3"} 1'
    pushed = COUNTER + 'c{l="9"} 1\nc{l="3"} 1\nc{l="1"} 1'
    (family,) = meet(mode, held, pushed).families()
    values = [dict(metric.labels)["l"] for metric in from_stored(family).metrics]
    assert values == ["5", "3", "9", "1"]
    assert family.series.index(b'l="1"') < family.series.index(b'l="3"')


@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.ADD])
def test_what_a_group_holds_nothing_of_is_kept_as_it_is(mode: Mode) -> None:
    pushed = group_of(FULL_HISTOGRAM + "\n" + COUNTER + "c 1\ng 1").payload
    after = combine(mode, EMPTY, pushed, is_timestamp)
    assert after.text == pushed.text
    assert after.layout is pushed.layout


@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.ADD])
@pytest.mark.parametrize(
    ("held", "is_alike"),
    [
        ("", True),
        (COUNTER + 'c 7\nc{l="1"} 7\n', True),
        (COUNTER + "c 7", True),
        (COUNTER + 'c{l="2"} 7', False),
        ("g 1", False),
    ],
)
def test_what_has_the_series_of_a_push_is_like_it(
    mode: Mode, held: str, is_alike: bool
) -> None:
    """So that the next push of its kind need not be checked again."""
    pushed = group_of(COUNTER + 'c 1\nc{l="1"} 1').payload
    pushed = replace(pushed, likeness=object())
    after = combine(mode, group_of(held).payload, pushed, is_timestamp)
    assert (after.likeness is pushed.likeness) is is_alike
    assert is_alike or after.likeness is None
