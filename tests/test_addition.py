"""What the text format cannot say about sums; the rest is in test_aggregation."""

from __future__ import annotations

import pytest

from pushrelay.addition import add_values
from pushrelay.errors import InvalidRequest
from pushrelay.model import Histogram, Summary

MOST = 2**64 - 1


def test_counts_are_added_exactly() -> None:
    """A float has no digits for 2^53+1."""
    held, pushed = Histogram(2**53, 0.0, [(1.0, 2**53)]), Histogram(1, 0.0, [(1.0, 1)])
    total = Histogram(2**53 + 1, 0.0, [(1.0, 2**53 + 1)])
    assert add_values(held, pushed) == total
    assert add_values(Summary(2**53), Summary(1)) == Summary(2**53 + 1)


def test_a_count_has_64_bits() -> None:
    assert add_values(Summary(MOST - 1), Summary(1)) == Summary(MOST)
    with pytest.raises(
        InvalidRequest, match=f"a count of {MOST} is held and one of 1 "
    ):
        add_values(Summary(MOST), Summary(1))
