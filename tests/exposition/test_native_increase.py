from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_histograms import add, count_of, histogram, histograms, made

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import is_native, native_buckets
from pushrelay.exposition.native_increase import native_increase


def increase(last: pb.Histogram, pushed: pb.Histogram) -> pb.Histogram | None:
    return native_increase(last, pushed, count_of(pushed) - count_of(last))


@given(histograms(), histograms())
def test_what_was_observed_since_is_the_increase(
    last: pb.Histogram, more: pb.Histogram
) -> None:
    """Whatever that does to the resolution and to the zero bucket."""
    pushed = add(last, more)
    grown = increase(last, pushed)
    assert grown is not None
    total = add(last, grown)
    assert native_buckets(total) == native_buckets(pushed)
    assert count_of(total) == count_of(pushed)
    assert (total.schema, total.zero_threshold) == (pushed.schema, grown.zero_threshold)


@given(histograms())
def test_the_same_again_is_no_increase(last: pb.Histogram) -> None:
    nothing = increase(last, last)
    assert nothing is not None
    assert native_buckets(nothing) == []
    assert count_of(nothing) == 0
    assert is_native(nothing)


@given(histograms(), st.data())
def test_a_bucket_that_fell_is_a_restart(
    last: pb.Histogram, data: st.DataObject
) -> None:
    buckets = [(side, at) for side in SIDES for at in populated(last, side)]
    if last.zero_count >= 1:
        buckets.append(("zero_count", 0))
    if not buckets:
        return
    fewer = pb.Histogram()
    fewer.CopyFrom(last)
    side, at = data.draw(st.sampled_from(buckets))
    if side == "zero_count":
        fewer.zero_count -= 1
    else:
        take_one(getattr(fewer, side), at, is_delta=side.endswith("delta"))
    assert increase(last, fewer) is None
    assert increase(fewer, last) is not None


SIDES = ("positive_delta", "negative_delta", "positive_count", "negative_count")


def populated(one: pb.Histogram, side: str) -> list[int]:
    """Return the positions of what is not empty."""
    counts = list(getattr(one, side))
    if side.endswith("delta"):
        counts = [sum(counts[: at + 1]) for at in range(len(counts))]
    return [at for at, count in enumerate(counts) if count]


def take_one(values: list[float], at: int, *, is_delta: bool) -> None:
    values[at] -= 1
    if is_delta and at + 1 < len(values):
        values[at + 1] += 1


RESTARTS: dict[str, tuple[pb.Histogram, pb.Histogram]] = {
    "a bucket is empty again": (made(0, {1: 1}), made(0, {2: 5})),
    "a bucket fell, and joined with its neighbours it did not": (
        made(1, {1: 2, 2: 2}),
        made(1, {1: 1, 2: 9}),
    ),
    "a coarser bucket fell": (made(1, {1: 2, 2: 2}), made(0, {1: 3, 2: 9})),
    "a finer resolution": (made(0, {1: 1}), made(1, {2: 5})),
    "a finer resolution, and nothing observed before": (made(0, {}), made(1, {2: 5})),
    "a narrower zero bucket": (
        made(0, {}, threshold=0.5, zero=1),
        made(0, {}, threshold=0.25, zero=1),
    ),
    "a wider zero bucket with less in it": (
        made(0, {-1: 3}, zero=2, threshold=0.25),
        made(0, {1: 9}, zero=4, threshold=0.5),
    ),
    "a zero bucket that ends within a bucket": (
        made(0, {0: 1}),
        made(0, {5: 9}, zero=9, threshold=0.75),
    ),
    "a negative bucket fell": (made(0, {}, {1: 2}), made(0, {1: 5}, {1: 1})),
}


@pytest.mark.parametrize(("last", "pushed"), RESTARTS.values(), ids=RESTARTS)
def test_a_restart(last: pb.Histogram, pushed: pb.Histogram) -> None:
    assert increase(last, pushed) is None


def test_a_lower_resolution_is_no_restart() -> None:
    grown = increase(made(1, {1: 2, 2: 2, 5: 1}), made(0, {1: 5, 3: 1, 4: 2}))
    assert grown is not None
    assert native_buckets(grown) == [(0, 1.0, 2.0, 1), (0, 8.0, 16.0, 2)]


def test_a_wider_zero_bucket_takes_in_what_was_beside_it() -> None:
    last = made(0, {-1: 3, 1: 1}, zero=2, threshold=0.25)
    grown = increase(last, made(0, {1: 2}, zero=6, threshold=0.5))
    assert grown is not None
    assert native_buckets(grown) == [(3, -0.5, 0.5, 1), (0, 1.0, 2.0, 1)]


def test_floats_go_on_from_integers() -> None:
    grown = increase(made(0, {1: 1}), made(0, {1: 3}, floats=True))
    assert grown == made(0, {1: 2}, floats=True)


def test_what_has_no_exponential_buckets_is_not_compared() -> None:
    custom = pb.Histogram(schema=-53, sample_count=1)
    with pytest.raises(InvalidRequest, match="schema -53"):
        increase(custom, histogram("sample_count: 1 schema: 0"))
