from __future__ import annotations

import pytest

from pushrelay.web.errors import HTTPError
from pushrelay.web.rate_limit import Rate, RateLimit


class Limited:
    """Requests at the times that it is told."""

    def __init__(self, rate: Rate) -> None:
        self.now = 1000.0
        self.limit = RateLimit(rate, lambda: self.now)

    def wait(self, seconds: float = 0.0) -> str | None:
        """Ask so many seconds later; return when to try again, None if it was taken."""
        self.now += seconds
        try:
            self.limit.take()
        except HTTPError as error:
            return error.headers["Retry-After"]
        return None


def test_what_is_too_much_is_told_as_go_tells_it() -> None:
    limit = RateLimit(Rate(5.0, 1))
    limit.take()
    with pytest.raises(HTTPError, match=r"^Too Many Requests$") as caught:
        limit.take()
    assert caught.value.status == 429


def test_a_burst_is_taken_and_then_one_each_interval() -> None:
    limited = Limited(Rate(2.0, 3))
    assert [limited.wait() for _ in range(5)] == [None, None, None, "2", "2"]
    assert limited.wait(1.5) == "1"
    assert limited.wait(0.5) is None
    assert limited.wait() == "2"


def test_what_was_refused_takes_nothing_away() -> None:
    limited = Limited(Rate(1.0, 1))
    assert limited.wait() is None
    for _ in range(9):
        assert limited.wait(0.1) == "1"
    assert limited.wait(0.2) is None


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    limited = Limited(Rate(0.5, 2))
    assert [limited.wait(3600) for _ in range(3)] == [None] * 3
    assert limited.wait() is None
    assert limited.wait() == "1"


@pytest.mark.parametrize("interval", [1e-9, 0.001, 3600.0])
def test_in_the_long_run_the_interval_counts(interval: float) -> None:
    limited = Limited(Rate(interval, 5))
    taken = sum(limited.wait(interval / 2) is None for _ in range(100))
    assert 50 <= taken <= 56
