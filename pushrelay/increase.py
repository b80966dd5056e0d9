"""What a pushed running total counts beyond the one that was pushed before it."""

from __future__ import annotations

from math import inf, isnan

from pushrelay.addition import Value, of_one_kind, paired_buckets
from pushrelay.model import Histogram, Summary


def increase_of(last: Value, pushed: Value) -> Value | None:
    """Return how much `pushed`, of a counter, summary or histogram, is above `last`;
    None if it does not go on from there, but has begun anew.

    It has begun anew if a count of it fell; a sum may fall. What is not finite, or is
    negative, is no count that anything goes on from. Quantiles are those of `pushed`.
    Raises InvalidRequest for histograms with unlike buckets.
    """
    if isinstance(last, float) and isinstance(pushed, float):
        return increase_of_counter(last, pushed)
    if isinstance(last, Summary) and isinstance(pushed, Summary):
        count = pushed.sample_count - last.sample_count
        total = _increase_of_sum(last.sample_sum, pushed.sample_sum)
        return None if count < 0 else Summary(count, total, pushed.quantiles)
    assert isinstance(last, Histogram)  # noqa: S101  # they are of one type
    assert isinstance(pushed, Histogram)  # noqa: S101  # they are of one type
    return _increase_of_histogram(last, pushed)


def increase_of_counter(last: float, pushed: float) -> float | None:
    """Do `increase_of` for the values of a counter."""
    return pushed - last if _goes_on(last, pushed) else None


def _increase_of_histogram(last: Histogram, pushed: Histogram) -> Histogram | None:
    buckets = paired_buckets(last, pushed)
    counts = [(last.sample_count, pushed.sample_count), *[pair[1:] for pair in buckets]]
    if not all(_goes_on(before, after) for before, after in counts):
        return None
    return of_one_kind(
        Histogram(
            pushed.sample_count - last.sample_count,
            _increase_of_sum(last.sample_sum, pushed.sample_sum),
            [(bound, after - before) for bound, before, after in buckets],
        )
    )


def _goes_on(before: int | float, after: int | float) -> bool:
    return 0 <= before <= after < inf


def _increase_of_sum(before: float, after: float) -> float:
    # So that nothing is added to an infinite sum, or one that is no number, by a push
    # without observations.
    if before == after or (isnan(before) and isnan(after)):
        return 0.0
    return after - before
