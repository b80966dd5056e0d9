"""Pushes that are read by a template are what they are when read whole."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushrelay import template_memo, templates
from pushrelay.aggregation import Mode
from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded, ParseError, PushrelayError
from pushrelay.exposition.negotiation import PushFormat
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Payload
from pushrelay.push_reader import PushReader

KEY = GroupingKey.of({"job": "a", "instance": "i"})
OTHER = GroupingKey.of({"job": 'b"\\\n', "instance": "100%s %d é🦆\x000\x00"})
ENDED = GroupingKey.of({"job": "a\x01", "instance": "\x01"})
NUMBERS = st.one_of(
    st.integers(-(10**7), 10**25).map(str),
    st.floats().map(repr),
    st.floats(-1e9, 1e9).map("{:.3f}".format),
    st.floats().map("{:e}".format),
    st.sampled_from("0 -0 -0.0 +0 +1 .5 5. -.5e-3 1E5 1e999 -1e999 00012".split()),  # noqa: SIM905  # easier to read
    st.sampled_from("100000 500000 1e5 5e5 9007199254740993 NaN +Inf".split()),  # noqa: SIM905  # easier to read
    st.sampled_from("1.5.2 1_0 e - + . --1 1e 0x1f".split()),  # noqa: SIM905  # easier to read
)
LINES = st.sampled_from(
    [
        "x %",
        "y %",
        'x{l="1"} %',
        'x{l="2"} %',
        'x{m="1"} %',
        'x{job="c",l="3"} %',
        "x  %",
        "x\t%",
        "x % ",
        "x 100000\t",
        "x\t500000",
        "x % 1",
        "x NaN",
        'x{l="% \\n"} %',
        'x{l="\x00"} %',
        'x{l="\x00" + "0\x00"} %',
        'x{l="\x01"} %',
        'x{l="%s%d"} %',
        'z{instance="é",l="\\\\ \\" "} %',
        "# a comment %",
        "# HELP x It is %",
        "# HELP x It is",
        "# TYPE x gauge",
        "# TYPE y counter",
        "# TYPE h histogram",
        'h_bucket{le="1"} %',
        'h_bucket{le="0.5"} %',
        'h_bucket{le="+Inf"} %',
        'h_bucket{l="1",le="+Inf"} %',
        "h_sum %",
        "h_sum\t100000",
        "h_count %",
        'h_count{l="1"} %',
        "# TYPE s summary",
        's{quantile="0.5"} %',
        "s_sum %",
        "s_count %",
        "push_time_seconds %",
        "pushrelay_x %",
        '{"ü","l"="1"} %',
        "",
        "\x0b %",
    ]
)
BODIES = st.lists(LINES, max_size=12).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def reader() -> PushReader:
    return PushReader(Limits(), utf8_names=True)


def outcome(read: Any, body: bytes, key: GroupingKey) -> object:
    """What becomes of a push, in a form that compares by value."""
    try:
        push = read(body, key)
    except PushrelayError as error:
        return type(error), str(error)
    if push.refusal is not None:
        return str(push.refusal)
    payload: Payload = push.payload
    return (
        [
            (family.shape, family.series, family.message)
            for family in payload.families()
        ],
        payload.layout,
        payload.pushed_at,
        [repr(push.metrics(at)) for at in range(len(payload.layout.families))],
    )


def read(reader: PushReader, body: str, key: GroupingKey = KEY, at: int = 1) -> Any:
    return reader.read(body.encode(), PushFormat.TEXT, key, Mode.REPLACE, at)


@settings(max_examples=400)
@given(body=BODIES, data=st.data())
def test_a_push_read_by_a_template_is_the_push_read_whole(body: str, data: Any) -> None:
    known = reader()
    for key in (KEY, OTHER, ENDED, KEY, OTHER):
        parts = body.split("%")
        values = data.draw(
            st.lists(NUMBERS, min_size=len(parts) - 1, max_size=len(parts) - 1)
        )
        pairs = zip(parts, [*values, ""], strict=True)
        pushed = "".join(part + value for part, value in pairs).encode()

        def usual(body: bytes, key: GroupingKey) -> Any:
            return known.read(body, PushFormat.TEXT, key, Mode.REPLACE, 1)

        def whole(body: bytes, key: GroupingKey) -> Any:
            return reader().read(body, PushFormat.TEXT, key, Mode.REPLACE, 1)

        assert outcome(usual, pushed, key) == outcome(whole, pushed, key)


PLAIN = """\
# HELP z Told last, shown last.
# TYPE z counter
z{l="2"} %d
z{l="1"} %d
# TYPE h histogram
h_bucket{le="1"} %d
h_bucket{le="+Inf"} %d
h_sum %d.5
h_count %d
x %d
"""


def plain(first: int) -> str:
    return PLAIN % tuple(range(first, first + 7))


def test_the_second_push_of_a_kind_is_read_by_a_template() -> None:
    known = reader()
    likenesses = [read(known, plain(n)).payload.likeness for n in range(4)]
    assert likenesses[0] is None
    assert likenesses[1] is not None
    assert likenesses[1:] == likenesses[1:2] * 3
    # The same series for another group; other label names of a key change all.
    assert read(known, plain(9), OTHER).payload.likeness is likenesses[1]
    job = GroupingKey.of({"job": "a"})
    assert read(known, plain(9), job).payload.likeness is None


@pytest.mark.parametrize(
    "body",
    [
        "x NaN\n",  # no number that changes
        "",
        "# HELP x In units of %d\nx 1\n",
        "x %d 1\n",  # a timestamp
        'x{l="\x00"} %d\n',
        'x{l="\x01"} %d\n',
        "# TYPE h histogram\nh_sum %d\nh_sum %d\nh_count %d\n",
        # What never changes takes the place of what does, and looks like its mark.
        '# TYPE h histogram\nh_sum %d\nh_sum\t100000\nh_bucket{le="+Inf"}\t1\n',
        'x %d\nx{l="1"} %d\n',  # the group's labels decide which is shown first
        '{"ü"} %d\n',
        "push_time_seconds %d\n",
        "x %d\nx %d\n",  # refused
    ],
)
def test_what_a_template_could_get_wrong_is_read_whole(body: str) -> None:
    known = reader()
    for number in range(3):
        places = body.count("%d")
        push = read(known, body % tuple(range(number, number + places)))
        assert push.payload.likeness is None


def test_values_that_decide_something_are_read_whole() -> None:
    known = reader()
    body = '# TYPE h histogram\nh_bucket{{le="+Inf"}} {0}\nh_sum {1}\nh_count {0}\n'
    for _ in range(2):
        assert read(known, body.format(1, 1)).refusal is None
    assert read(known, body.format(2, 3)).payload.likeness is not None
    assert read(known, body.format("2.5", 3)).payload.likeness is None
    assert read(known, body.format(2, "-0")).payload.messages is not None
    with pytest.raises(ParseError, match="line 2: negative bucket population"):
        read(known, body.format(-1, 3))
    with pytest.raises(ParseError, match="line 3: expected float as value"):
        read(known, body.format(2, "1e999"))


def test_the_time_is_that_of_each_push() -> None:
    known = reader()
    assert [read(known, plain(n), at=n).payload.pushed_at for n in (5, 6, 7)] == [
        5,
        6,
        7,
    ]


def test_limits_hold_for_templates_too() -> None:
    limits = Limits(body_bytes=1_000)
    known = PushReader(limits, utf8_names=False)
    for n in range(3):
        read(known, plain(n))
    long = GroupingKey.of({"job": "a" * 2_000, "instance": "i"})
    with pytest.raises(LimitExceeded, match="labels of their group"):
        read(known, plain(4), long)


def test_a_push_is_too_large_for_a_template_where_it_is_when_read_whole() -> None:
    body = '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\nx %d\n'
    outcomes = []
    for most in range(1, 2 * len(KEY.canonical)):
        known = PushReader(Limits(body_bytes=most), utf8_names=False)
        first, _, third = [is_small_enough(known, body % n) for n in range(3)]
        assert first == third
        outcomes.append(first)
    assert set(outcomes) == {False, True}


def test_a_template_with_more_lines_than_the_body_is_too_large_all_the_same() -> None:
    buckets = "".join(f'h_bucket{{l="{n}",le="+Inf"}} %d\n' for n in range(20))
    body = "# TYPE h histogram\n" + buckets  # whose sums and counts are shown, too
    long = GroupingKey.of({"job": "a" * 150})
    for key, fits in ((long, False), (GroupingKey.of({"job": "a"}), True)):
        known = PushReader(Limits(body_bytes=1_000), utf8_names=False)
        for n in range(3):
            pushed = body % ((n,) * 20)
            assert is_small_enough(known, pushed, key) == fits
            assert is_small_enough(known, pushed, long) is False


def is_small_enough(reader: PushReader, body: str, key: GroupingKey = KEY) -> bool:
    try:
        read(reader, body, key)
    except LimitExceeded:
        return False
    return True


def test_long_grouping_labels_on_many_lines_have_no_templates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(template_memo, "LARGEST_LABELS", 1_000)
    known = reader()
    long = GroupingKey.of({"job": "a" * 1_000, "instance": "i"})
    assert [read(known, plain(n), long).payload.likeness for n in range(3)] == [
        None
    ] * 3
    assert read(known, plain(3)).payload.likeness is None
    assert read(known, plain(4)).payload.likeness is not None


@pytest.mark.parametrize("body", ["x 1\n", "x 1\nnonsense\n"])
def test_long_names_of_grouping_labels_take_their_part_of_the_memory(body: str) -> None:
    known = reader()
    for name in "ab":
        key = GroupingKey.of({"job": "a", name * 100_000: "v"})
        for _ in range(2):
            with suppress(ParseError):
                read(known, body, key)
    assert known.templates.size > 200_000


def test_what_cannot_be_kept_is_not_made_for_each_push(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = "".join(f"x{line} %d\n" for line in range(10))
    known = reader()
    made: list[bytes] = []

    def read_marked(body: bytes, key: GroupingKey) -> Payload:
        made.append(body)
        push: Any = known.read(body, PushFormat.TEXT, key, Mode.REPLACE, 1)
        return push.payload

    # Enough for the skeleton alone.
    monkeypatch.setattr(template_memo, "MEMO_BYTES", 1_000)
    kept = template_memo.Templates(read_marked)
    for n in range(5):
        pushed = body.replace("%d", str(n)).encode()
        assert kept.fill(pushed, KEY, 1) is None
    assert len(made) == len(templates._FIRST_MARKS)


@pytest.mark.no_cover
def test_series_that_never_come_again_are_not_remembered() -> None:
    known = reader()
    for n in range(20_000):
        read(known, f'x{{run="{n}"}} {n}\n')
    assert known.templates.size == 0
    assert known.templates.seen <= template_memo.SEEN


@pytest.mark.no_cover
def test_templates_stay_within_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_memo, "MEMO_BYTES", 100_000)
    known = reader()
    largest = 0
    for n in range(5_000):
        body = "".join(f'x{{run="{n}",l="{line}"}} %d\n' for line in range(10))
        for value in range(2):
            read(known, body.replace("%d", str(value)))
        largest = max(largest, known.templates.size)
    assert 50_000 < largest <= 100_000
    # The latest is there, the first was dropped.
    assert read(known, body.replace("%d", "7")).payload.likeness is not None


@pytest.mark.no_cover
@pytest.mark.parametrize("line", ["f%d_%d ", 'x{l="%d %d 🦆"} '])
def test_templates_take_about_what_they_say(line: str) -> None:
    known = reader()
    tracemalloc.start()
    for n in range(20):
        body = "".join(f"{line % (n, at)}%d\n" for at in range(500))
        for value in range(2):
            read(known, body.replace("%d", str(value)))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.6 * taken < known.templates.size < 1.5 * taken


def test_a_template_larger_than_the_memory_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(template_memo, "MEMO_BYTES", 100)
    known = reader()
    for n in range(3):
        assert read(known, plain(n)).payload.layout.size == 4
    assert known.templates.size == 0


def test_large_bodies_have_no_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_memo, "LARGEST_BODY", 100)
    known = reader()
    assert [read(known, plain(n)).payload.likeness for n in range(3)] == [None] * 3
