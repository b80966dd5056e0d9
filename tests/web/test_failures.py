"""How often an address may fail."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

import pytest

from pushrelay.errors import NotAuthenticated, StoreUnavailable, TooManyFailures
from pushrelay.web import failures
from pushrelay.web.failures import BURST, SECONDS, Failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(counted: Failures, address: str, times: int = 1) -> None:
    for _ in range(times):
        with suppress(NotAuthenticated), counted.attempt(address, "wrong"):
            raise NotAuthenticated("wrong")


def succeed(counted: Failures, address: str, tried: object = "right") -> None:
    with counted.attempt(address, tried):
        pass


def test_after_a_burst_one_more_is_free_from_time_to_time() -> None:
    clock = Clock()
    counted = Failures(clock)
    fail(counted, "192.0.2.1", BURST)
    with pytest.raises(TooManyFailures, match=r"in 3 s$") as refusal:
        succeed(counted, "192.0.2.1")
    assert refusal.value.seconds == SECONDS
    clock.now += SECONDS
    fail(counted, "192.0.2.1")
    with pytest.raises(TooManyFailures):
        succeed(counted, "192.0.2.1")
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
            succeed(counted, other)
    else:
        succeed(counted, other)


def test_addresses_are_forgotten_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "_ADDRESSES", 2)
    counted = Failures(Clock())
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        fail(counted, address, BURST)
    succeed(counted, "192.0.2.1")
    with pytest.raises(TooManyFailures):
        succeed(counted, "192.0.2.2")


def test_what_is_tried_at_the_same_time_counts_as_failed_until_it_is_known() -> None:
    counted = Failures(Clock())
    with ExitStack() as at_once:
        for number in range(BURST):
            at_once.enter_context(counted.attempt("192.0.2.1", number))
        with pytest.raises(TooManyFailures, match=r"in 3 s$"):
            succeed(counted, "192.0.2.1")
        # Many clients of one proxy may begin with the same credentials.
        succeed(counted, "192.0.2.1", 0)
        succeed(counted, "192.0.2.2")
    fail(counted, "192.0.2.1", BURST)


def test_what_could_not_be_told_is_no_failure() -> None:
    counted = Failures(Clock())
    for _ in range(BURST + 1):
        with suppress(StoreUnavailable), counted.attempt("192.0.2.1", "x"):
            raise StoreUnavailable("no answer")


def test_of_one_address_one_has_its_turn_and_others_do_not_wait() -> None:
    async def take_turns() -> list[str]:
        counted, order = Failures(), []

        async def take(name: str, address: str) -> None:
            async with counted.turn(address):
                order.append(f"{name} begins")
                await asyncio.sleep(0)
                order.append(f"{name} ends")

        await asyncio.gather(
            take("one", "2001:db8::1"),
            take("two", "2001:db8::2"),
            take("other", "192.0.2.1"),
        )
        return order

    assert asyncio.run(take_turns()) == [
        *("one begins", "other begins", "one ends", "other ends"),
        *("two begins", "two ends"),
    ]
