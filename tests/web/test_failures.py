"""How often an address may fail."""

from __future__ import annotations

import pytest

from pushrelay.errors import TooManyFailures
from pushrelay.web import failures
from pushrelay.web.failures import BURST, SECONDS, Failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(counted: Failures, address: str, times: int = 1) -> None:
    for _ in range(times):
        counted.require_patience(address)
        counted.note(address)


def test_after_a_burst_one_more_is_free_from_time_to_time() -> None:
    clock = Clock()
    counted = Failures(clock)
    fail(counted, "192.0.2.1", BURST)
    with pytest.raises(TooManyFailures, match=r"in 3 s$") as refusal:
        counted.require_patience("192.0.2.1")
    assert refusal.value.seconds == SECONDS
    clock.now += SECONDS
    fail(counted, "192.0.2.1")
    with pytest.raises(TooManyFailures):
        counted.require_patience("192.0.2.1")
    clock.now += BURST * SECONDS
    fail(counted, "192.0.2.1", BURST)


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::1%eth0", "2001:db8::2", True),
        ("what:is", "no:address", False),
        ("", "192.0.2.1", False),
    ],
)
def test_failures_are_counted_by_who_can_have_the_address(
    one: str, other: str, are_one: bool
) -> None:
    counted = Failures(Clock())
    fail(counted, one, BURST)
    if are_one:
        with pytest.raises(TooManyFailures):
            counted.require_patience(other)
    else:
        counted.require_patience(other)


def test_addresses_are_forgotten_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "_ADDRESSES", 2)
    counted = Failures(Clock())
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        fail(counted, address, BURST)
    counted.require_patience("192.0.2.1")
    with pytest.raises(TooManyFailures):
        counted.require_patience("192.0.2.2")
