from __future__ import annotations

from typing import NamedTuple

import pytest
from builders import families_of, group_of, key_of
from google.protobuf import text_format
from hypothesis import example, given
from hypothesis import strategies as st

from pushrelay import soundness
from pushrelay.aggregation import Mode, combine
from pushrelay.changes import Changes, Position
from pushrelay.config import Limits
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.errors import REFUSAL, InconsistentPush, InvalidGroupingKey
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.protobuf_encoder import delimit
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.stored import to_payload
from pushrelay.findings import MAX_PROBLEMS
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import EMPTY
from pushrelay.model import PUSH_EVIDENCE, Metric, MetricFamily, MetricType, Summary
from pushrelay.soundness import check_alone
from pushrelay.view.overlay import Overlay
from pushrelay.view.view import View

A, B = key_of("a"), key_of("b")
A_I = key_of("a", instance="i")
GAUGE = "# TYPE x gauge\nx 1"
COUNTER = "# TYPE x counter\nx 1"
SUMMARY = "# TYPE x summary\nx_sum 1\nx_count 1"
HISTOGRAM = '# TYPE x histogram\nx_bucket{le="+Inf"} 1\nx_sum 1\nx_count 1'
OWN = {"own_gauge": MetricType.GAUGE, "own_sizes": MetricType.SUMMARY}

Before = list[tuple[GroupingKey, str]]


def overlay_of(before: Before) -> Overlay:
    view = View()
    groups = [group_of(body, key) for key, body in before]
    view.apply(Changes(None, Position(1, b""), list(groups)))
    return Overlay(view, OWN)


def check(
    before: Before,
    key: GroupingKey,
    body: str | list[MetricFamily],
    mode: Mode = Mode.REPLACE,
) -> None:
    """Check a push of `body` to the group `key` where `before` is stored."""
    pushed = families_of(body, key) if isinstance(body, str) else body
    check_alone(pushed, key)
    pushed = [family for family in pushed if family.name not in PUSH_EVIDENCE]
    overlay = overlay_of(before)
    held = overlay.group(key)
    payload = to_payload(pushed, 1)
    before = held.payload if held else EMPTY
    kept = combine(mode, before, payload, lambda _name: False)
    check_against(overlay, key, payload, kept, lambda at: pushed[at].metrics)


def from_protobuf(
    key: GroupingKey, *texts: str | pb.MetricFamily
) -> list[MetricFamily]:
    """Return families as parsed from protobuf; texts: in its text format."""
    families = [
        text_format.Parse(text, pb.MetricFamily()) if isinstance(text, str) else text
        for text in texts
    ]
    encoded = [family.SerializeToString() for family in families]
    body = b"".join(delimit(len(message)) + message for message in encoded)
    return parse_protobuf(body, key, Limits())


class Refused(NamedTuple):
    """A push that must be refused: the reason that is counted, and words that must be
    in the text. Stored before: `before`."""

    before: Before
    key: GroupingKey
    body: str
    reason: str
    words: tuple[str, ...]
    mode: Mode = Mode.REPLACE


REFUSED = {
    # Types.
    "another type in another group": Refused(
        [(A, GAUGE)],
        B,
        COUNTER,
        "type",
        ('"x" {instance="", job="b"} is not a GAUGE', "COUNTER", '{job="a"}'),
    ),
    "untyped against typed": Refused(
        [(A, "x 1")], B, GAUGE, "type", ("is not a UNTYPED", "GAUGE")
    ),
    "typed against untyped": Refused(
        [(A, GAUGE)], B, "x 1", "type", ("is not a GAUGE", "UNTYPED")
    ),
    "an own type that another group shares": Refused(
        [(A, GAUGE), (B, GAUGE)], A, COUNTER, "type", ('{job="b"}',)
    ),
    "a type of the relay's own metrics": Refused(
        [],
        A,
        "# TYPE own_gauge counter\nown_gauge 1",
        "type",
        ("gathered metric family own_gauge has type COUNTER but should have GAUGE",),
    ),
    # Duplicates.
    "a series twice in a push": Refused(
        [],
        A,
        'x{l="v"} 1\nx{l="v"} 2',
        "duplicate",
        (
            'collected metric "x" {instance="", job="a", l="v"} '
            "was collected before with the same name and label values",
        ),
    ),
    "series that the grouping labels make equal": Refused(
        [], A, 'x{job="1"} 1\nx{job="2"} 2', "duplicate", ('job="a"',)
    ),
    "an explicit and an implied empty instance": Refused(
        [], A, 'x{instance=""} 1\nx 2', "duplicate", ('instance=""',)
    ),
    "a body's instance is another group's": Refused(
        [(A_I, "x 1")],
        A,
        'x{instance="i"} 2',
        "duplicate",
        ('x{instance="i",job="a"}', 'in group {job="a",instance="i"}'),
    ),
    "a group's instance is in another group's body": Refused(
        [(A, 'x{instance="i"} 1')], A_I, "x 2", "duplicate", ('in group {job="a"}',)
    ),
    "each group's key is in the other's body": Refused(
        [(key_of("a", k="1"), 'x{l="2"} 1')],
        key_of("a", l="2"),
        'x{k="1"} 2',
        "duplicate",
        ('in group {job="a",k="1"}',),
    ),
    "a longer key within the labels": Refused(
        [(key_of("a", k="1", l="2", m="3"), "x 1")],
        A,
        'x{k="1",l="2",m="3"} 2',
        "duplicate",
        ('m="3"',),
    ),
    "a shorter key within the key": Refused(
        [(A, 'x{k="1",l="2",m="3"} 2')],
        key_of("a", k="1", l="2", m="3"),
        "x 1",
        "duplicate",
        ('in group {job="a"}',),
    ),
    "an empty label in key and body": Refused(
        [(key_of("a", k=""), "x 1")], A, 'x{k=""} 1', "duplicate", ('k=""',)
    ),
    "an explicitly empty instance in a key": Refused(
        [(key_of("a", instance=""), "x 1")], A, "x 1", "duplicate", ('instance=""',)
    ),
    "one series among many": Refused(
        [(A_I, "\n".join(f'x{{l="{n}"}} 1' for n in range(50)))],
        A,
        'x{instance="j"} 1\nx{instance="i",l="33"} 2',
        "duplicate",
        ('l="33"',),
    ),
    "POST of a duplicate": Refused(
        [(A_I, "x 1"), (A, "y 1")],
        A,
        'x{instance="i"} 2',
        "duplicate",
        ('instance="i"',),
        Mode.UPDATE,
    ),
    # Labels.
    "a label name of Prometheus": Refused(
        [], A, 'x{__l="v"} 1', "label", ('"x"', '"__l"')
    ),
    "a quantile on a summary": Refused(
        [],
        key_of("a", quantile="0.5"),
        SUMMARY,
        "label",
        ('must not have an explicit "quantile" label',),
    ),
    "a bound on a histogram": Refused(
        [], key_of("a", le="1"), HISTOGRAM, "label", ('explicit "le" label',)
    ),
    # Suffixes.
    "a count beside a summary": Refused(
        [(A, SUMMARY)],
        B,
        "x_count 1",
        "suffix",
        (
            'collected metric named "x_count" collides with previously collected '
            'summary named "x"',
            '{job="a"}',
        ),
    ),
    "a summary beside a count": Refused(
        [(A, "x_count 1")],
        B,
        SUMMARY,
        "suffix",
        (
            'collected summary named "x" collides with previously collected metric '
            'named "x_count"',
            "UNTYPED",
            '{job="a"}',
        ),
    ),
    "a sum beside a summary": Refused(
        [(A, SUMMARY)], B, "x_sum 1", "suffix", ('"x_sum"',)
    ),
    "a summary beside a sum": Refused(
        [(A, "x_sum 1")], B, SUMMARY, "suffix", ('"x_sum"',)
    ),
    "a count beside a histogram": Refused(
        [(A, HISTOGRAM)], B, "x_count 1", "suffix", ("histogram",)
    ),
    "a sum beside a histogram": Refused(
        [(A, HISTOGRAM)], B, "x_sum 1", "suffix", ("histogram",)
    ),
    "a bucket beside a histogram": Refused(
        [(A, HISTOGRAM)], B, "x_bucket 1", "suffix", ("histogram",)
    ),
    "a histogram beside a bucket": Refused(
        [(A, "x_bucket 1")], B, HISTOGRAM, "suffix", ('"x_bucket"',)
    ),
    "a count and a summary in one push": Refused(
        [], A, "x_count 1\n# TYPE x summary\nx_sum 1", "suffix", ("this group",)
    ),
    "POST of a count beside the group's own summary": Refused(
        [(A, SUMMARY)], A, "x_count 1", "suffix", ("this group",), Mode.UPDATE
    ),
    "POST of a summary beside the group's own count": Refused(
        [(A, "x_count 1")], A, SUMMARY, "suffix", ("this group",), Mode.UPDATE
    ),
    "a count beside the relay's own summary": Refused(
        [], A, "own_sizes_count 1", "suffix", ("the relay's own metrics",)
    ),
    "a summary that takes the relay's own name": Refused(
        [],
        A,
        "# TYPE own summary\nown_sum 1\nown_count 1\n"
        "# TYPE own_sizes_sum gauge\nown_sizes_sum 1",
        "suffix",
        ('"own_sizes"',),
    ),
    # Names.
    "a name of the relay": Refused(
        [], A, "pushrelay_groups 1", "reserved_name", ('"pushrelay_groups"', "rename")
    ),
    "a name that the relay may want": Refused(
        [], A, "pushrelay_x 1", "reserved_name", ('"pushrelay_x"',)
    ),
    # Timestamps.
    "a timestamp": Refused(
        [], A, "x 1 1700000000000", "timestamps", ("must not have timestamps",)
    ),
    "a timestamp of zero": Refused([], A, "y 1\nx 1 0", "timestamps", ()),
    "a timestamp on a push time": Refused(
        [], A, "push_time_seconds 1 5", "timestamps", ()
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_refused(case: Refused) -> None:
    with pytest.raises(InconsistentPush) as raised:
        check(case.before, case.key, case.body, case.mode)
    text = str(raised.value)
    assert raised.value.reason == case.reason
    assert text.startswith(
        "pushed metrics are invalid or inconsistent with existing metrics: "
    )
    for words in case.words:
        assert words in text


class Accepted(NamedTuple):
    """A push that must be accepted where `before` is stored."""

    before: Before
    key: GroupingKey
    body: str
    mode: Mode = Mode.REPLACE


ACCEPTED = {
    "nothing": Accepted([], A, ""),
    "the same type in another group": Accepted([(A, GAUGE)], B, GAUGE),
    "another type of the group's own": Accepted([(A, GAUGE)], A, COUNTER),
    "another type of the group's own by POST": Accepted(
        [(A, GAUGE)], A, COUNTER, Mode.UPDATE
    ),
    "another help": Accepted([(A, "# HELP x One.\nx 1")], B, "# HELP x Two.\nx 1"),
    "the same series again": Accepted([(A, "x 1")], A, "x 2"),
    "the same series by POST": Accepted([(A, "x 1")], A, "x 2", Mode.UPDATE),
    "other values of the labels": Accepted([(A, 'x{l="1"} 1')], A_I, 'x{l="2"} 1'),
    "an absent and an empty label": Accepted([], A, 'x{l=""} 1\nx 2'),
    "an absent and an empty label across groups": Accepted(
        [(key_of("a", k=""), "x 1")], A, "x 1"
    ),
    "the instance of another group on another name": Accepted(
        [(A_I, "x 1")], A, 'y{instance="i"} 1'
    ),
    "the instance of another job's group": Accepted(
        [(A_I, "x 1")], B, 'x{instance="i"} 1'
    ),
    "what a PUT takes away": Accepted([(A, SUMMARY)], A, "x_count 1"),
    "what a PUT takes away, the other way": Accepted([(A, "x_count 1")], A, SUMMARY),
    "a bucket beside a summary": Accepted([(A, SUMMARY)], B, "x_bucket 1"),
    "a summary beside a bucket": Accepted([(A, "x_bucket 1")], B, SUMMARY),
    "a count beside a gauge": Accepted([(A, GAUGE)], B, "x_count 1"),
    "only a suffix": Accepted([(A, SUMMARY)], B, "_count 1\n_sum 1\n_bucket 1"),
    "the type of the relay's own metric": Accepted(
        [], A, "# TYPE own_gauge gauge\nown_gauge 1"
    ),
    "the bound of another type": Accepted(
        [], key_of("a", quantile="0.5", le="1"), GAUGE
    ),
    "le on a summary": Accepted([], key_of("a", le="1"), SUMMARY),
    "push times of any type": Accepted(
        [(B, "x 1")],
        A,
        "# TYPE push_time_seconds counter\npush_time_seconds 1\n"
        "# TYPE push_failure_time_seconds summary\npush_failure_time_seconds_sum"
        '{__l=""} 1',
    ),
    "push times twice": Accepted([], A, "push_time_seconds 1\npush_time_seconds 2"),
    "names beside push times": Accepted(
        [(A, "x 1")],
        B,
        "push_time_seconds_count 1\n# TYPE push_time summary\npush_time_sum 1",
    ),
}


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=list(ACCEPTED))
def test_accepted(case: Accepted) -> None:
    check(case.before, case.key, case.body, case.mode)


METRIC = 'metric { label { name: "l" value: "v" } %s }'
PROTOBUF_REFUSED = {
    "a value of another type": (
        'name: "x" type: GAUGE ' + METRIC % "counter { value: 1 }",
        "type",
        "is not a GAUGE",
    ),
    "no value": ('name: "x" type: HISTOGRAM ' + METRIC % "", "type", "not a HISTOGRAM"),
    "a label name twice": (
        'name: "x" metric { label { name: "l" value: "1" } '
        'label { name: "l" value: "2" } counter { value: 1 } }',
        "label",
        "two or more labels with the same name: l",
    ),
    "the job twice": (
        'name: "x" metric { label { name: "job" value: "1" } '
        'label { name: "job" value: "2" } counter { value: 1 } }',
        "label",
        "two or more labels with the same name: job",
    ),
    "an empty label name": (
        'name: "x" metric { label { value: "1" } counter { value: 1 } }',
        "label",
        'a label with an invalid name: ""',
    ),
    "a value that is not UTF-8": (
        'name: "x" metric { label { name: "l" value: "\\377" } counter { value: 1 } }',
        "label",
        'has a label named "l" whose value is not utf8: "\\xff"',
    ),
    "a name that is not UTF-8": (
        'name: "x" metric { label { name: "\\377" value: "" } counter { value: 1 } }',
        "label",
        'a label with an invalid name: "\\xff"',
    ),
    "a quantile on a summary": (
        'name: "x" type: SUMMARY metric { label { name: "quantile" value: "1" } '
        "summary { sample_count: 1 } }",
        "label",
        'must not have an explicit "quantile" label',
    ),
    "a timestamp": (
        'name: "x" metric { timestamp_ms: -1 counter { value: 1 } }',
        "timestamps",
        "must not have timestamps",
    ),
}


@pytest.mark.parametrize(
    ("text", "reason", "words"), PROTOBUF_REFUSED.values(), ids=list(PROTOBUF_REFUSED)
)
def test_refused_in_protobuf(text: str, reason: str, words: str) -> None:
    with pytest.raises(InconsistentPush) as raised:
        check([], A, from_protobuf(A, text))
    assert raised.value.reason == reason
    assert words in str(raised.value)


def test_names_outside_of_the_legacy_set_are_accepted() -> None:
    text = 'name: "x.y" metric { label { name: "l-é" value: "" } counter { value: 1 } }'
    check([], A, from_protobuf(A, text))


def test_the_other_groups_label_sets_are_compared_whole() -> None:
    check([(A_I, 'x{l="1"} 1')], A, 'x{instance="i"} 1\nx{instance="i",l="2"} 1')


def test_several_problems_are_all_told() -> None:
    with pytest.raises(InconsistentPush) as raised:
        check([(A, GAUGE)], B, COUNTER + '\nx{__l=""} 1\npushrelay_x 1\ny 1\ny 2')
    assert (
        str(raised.value).removeprefix(REFUSAL).startswith("3 error(s) occurred:\n* ")
    )
    assert len(raised.value.problems) == 3
    assert str(raised.value).count("\n* ") == 3


def test_the_number_of_problems_is_bounded() -> None:
    body = "\n".join(["x 1"] * 10_000)
    with pytest.raises(InconsistentPush) as raised:
        check([], A, body)
    assert len(raised.value.problems) == MAX_PROBLEMS + 1
    assert raised.value.problems[-1].detail == "further problems are not listed"


@pytest.mark.parametrize(
    ("before", "key", "body", "told"),
    [
        ([], A, "x 1\nx 2", {"family": "x", "series": 'x{instance="",job="a"}'}),
        (
            [],
            A,
            '{"x.y",__l="\\n"} 1',
            {"family": "x.y", "series": '{"x.y",__l="\\n",instance="",job="a"}'},
        ),
        (
            [(A, GAUGE)],
            B,
            COUNTER,
            {
                "family": "x",
                "other_group": '{job="a"}',
                "type": "COUNTER",
                "other_type": "GAUGE",
            },
        ),
        (
            [],
            A,
            "own_gauge 1",
            {
                "family": "own_gauge",
                "other_group": "the relay's own metrics",
                "type": "UNTYPED",
                "other_type": "GAUGE",
            },
        ),
        (
            [(A_I, "x 1")],
            A,
            'x{instance="i"} 1',
            {
                "family": "x",
                "series": 'x{instance="i",job="a"}',
                "other_group": '{job="a",instance="i"}',
            },
        ),
        (
            [(A, "x_count 1")],
            B,
            SUMMARY,
            {
                "family": "x",
                "other_group": '{job="a"}',
                "type": "SUMMARY",
                "other_type": "UNTYPED",
            },
        ),
        (
            [(B, SUMMARY)],
            A,
            "x_count 1",
            {
                "family": "x_count",
                "other_group": '{job="b"}',
                "type": "UNTYPED",
                "other_type": "SUMMARY",
            },
        ),
        ([], A, "pushrelay_x 1", {"family": "pushrelay_x"}),
        ([], A, "x 1 5", {}),
    ],
)
def test_a_problem_says_what_it_is_about(
    before: Before, key: GroupingKey, body: str, told: dict[str, str]
) -> None:
    with pytest.raises(InconsistentPush) as raised:
        check(before, key, body)
    (problem,) = raised.value.problems
    common = {"reason": raised.value.reason, "group": str(key)}
    assert problem.members() == {**common, "detail": problem.detail, **told}
    assert str(raised.value) == REFUSAL + problem.detail


def test_a_collision_within_a_push_names_its_own_group() -> None:
    with pytest.raises(InconsistentPush) as raised:
        check([], A, f"x_count 1\n{SUMMARY.replace('x_count 1', 'x 1')}")
    assert {problem.other_group for problem in raised.value.problems} == {str(A)}
    assert "(in this group)" in str(raised.value)


@pytest.mark.parametrize(
    ("stored", "pushed"),
    [
        (A, key_of("a", instance="")),
        (key_of("a", instance=""), A),
        (key_of("a", zone="1"), key_of("a", zone="1", instance="")),
    ],
)
def test_a_key_with_the_evidence_of_another_group_is_refused(
    stored: GroupingKey, pushed: GroupingKey
) -> None:
    overlay = overlay_of([(stored, "")])
    with pytest.raises(InvalidGroupingKey) as raised:
        require_unambiguous(pushed, overlay)
    assert str(stored) in str(raised.value)
    assert str(pushed) in str(raised.value)


@pytest.mark.parametrize("pushed", [A, A_I, key_of("a", zone="1"), B])
def test_other_keys_are_not_ambiguous(pushed: GroupingKey) -> None:
    require_unambiguous(pushed, overlay_of([(A, ""), (A_I, "")]))


def test_a_key_is_not_ambiguous_to_itself() -> None:
    empty = key_of("a", instance="")
    require_unambiguous(empty, overlay_of([(empty, "")]))


pushed_families = st.lists(
    st.builds(
        MetricFamily,
        st.sampled_from(["x", "y", "pushrelay_z", *PUSH_EVIDENCE]),
        st.sampled_from([MetricType.GAUGE, MetricType.SUMMARY]),
        metrics=st.lists(
            st.builds(
                Metric,
                st.lists(
                    st.tuples(
                        st.sampled_from(
                            ["", "a", "b,__c", "__d", "quantile", "\udcff"]
                        ),
                        st.sampled_from(["", "1", "é", "\udcff"]),
                    ),
                    max_size=2,
                ).map(lambda pairs: tuple(sorted(pairs))),
                st.sampled_from([1.0, None, Summary()]),
            ),
            max_size=3,
        ),
    ),
    max_size=4,
)


def problems_of(pushed: list[MetricFamily]) -> str:
    try:
        check_alone(pushed, A)
    except InconsistentPush as error:
        return f"{error.reason} {error}"
    return ""


@given(pushed_families)
@example([MetricFamily("x", MetricType.GAUGE)])
def test_a_push_is_never_taken_for_sound_when_problems_would_be_found(
    pushed: list[MetricFamily],
) -> None:
    found = problems_of(pushed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundness, "_is_sound", lambda _: False)
        assert problems_of(pushed) == found
