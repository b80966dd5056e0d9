from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from pushrelay.store.shared_call import SecondChance, SharedCall

PATIENCE = 5.0


class Gate:
    """A call that says when it began and ends when it is let."""

    def __init__(self) -> None:
        self.began: SimpleQueue[None] = SimpleQueue()
        self.may_end = threading.Semaphore(0)
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.calls += 1
        self.began.put(None)
        assert self.may_end.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def shared(gate: Gate) -> Iterator[SharedCall]:
    shared = SharedCall(gate, "test")
    yield shared
    gate.may_end.release(100)
    shared.stop()


def test_a_call_is_made_when_asked(gate: Gate, shared: SharedCall) -> None:
    assert gate.calls == 0
    gate.may_end.release()
    shared.request().result(PATIENCE)
    assert gate.calls == 1


def test_a_call_that_has_begun_is_not_shared(gate: Gate, shared: SharedCall) -> None:
    first = shared.request()
    gate.began.get(timeout=PATIENCE)
    second = shared.request()
    assert second is not first
    gate.may_end.release()
    first.result(PATIENCE)
    assert not second.done()
    gate.may_end.release()
    second.result(PATIENCE)
    assert gate.calls == 2


def test_a_call_that_waits_is_shared_by_all_who_ask(
    gate: Gate, shared: SharedCall
) -> None:
    shared.request()
    gate.began.get(timeout=PATIENCE)
    waiting = {shared.request() for _ in range(50)}
    assert len(waiting) == 1
    gate.may_end.release(2)
    waiting.pop().result(PATIENCE)
    assert gate.calls == 2


def test_an_error_reaches_all_who_asked_and_no_one_later(
    gate: Gate, shared: SharedCall
) -> None:
    gate.error = OSError("gone")
    failing = shared.request()
    gate.may_end.release()
    with pytest.raises(OSError, match="gone"):
        failing.result(PATIENCE)
    gate.error = None
    gate.may_end.release()
    shared.request().result(PATIENCE)


def test_a_call_under_way_for_too_long_is_stalled(
    gate: Gate, shared: SharedCall
) -> None:
    assert not shared.stalled(0)
    call = shared.request()
    gate.began.get(timeout=PATIENCE)
    assert not shared.stalled(60)
    while not shared.stalled(0):
        pass
    gate.may_end.release()
    call.result(PATIENCE)
    assert not shared.stalled(0)


def test_stop_drops_what_has_not_begun(gate: Gate, shared: SharedCall) -> None:
    shared.request()
    gate.began.get(timeout=PATIENCE)
    waiting = shared.request()
    shared.stop()
    assert waiting.cancelled()


@pytest.fixture
def hangs() -> list[bool]:
    """Whether a call that takes long is known to hang."""
    return [True]


@pytest.fixture
def chance(gate: Gate, hangs: list[bool]) -> Iterator[SecondChance]:
    chance = SecondChance(gate, "test", lambda: hangs[0])
    yield chance
    gate.may_end.release(100)
    chance.stop()


def test_a_call_that_hangs_is_passed_by(gate: Gate, chance: SecondChance) -> None:
    first = chance.request(0)
    gate.began.get(timeout=PATIENCE)
    while not chance._current.stalled(0):
        pass
    assert not chance.stalled(0)
    second = chance.request(0)
    gate.began.get(timeout=PATIENCE)
    while not chance.stalled(0):
        pass
    # There is no third one: it waits for the second.
    third = chance.request(0)
    gate.may_end.release(3)
    for call in (first, second, third):
        call.result(PATIENCE)
    assert gate.calls == 3


@pytest.mark.parametrize(("seconds", "is_hanging"), [(60, True), (0, False)])
def test_a_call_that_only_takes_long_is_waited_for(
    gate: Gate,
    chance: SecondChance,
    hangs: list[bool],
    seconds: float,
    is_hanging: bool,
) -> None:
    hangs[0] = is_hanging
    first = chance.request(seconds)
    gate.began.get(timeout=PATIENCE)
    while not chance._current.stalled(0):
        pass
    assert chance.stalled(seconds) is not is_hanging
    chance.request(seconds)
    assert gate.began.empty()
    gate.may_end.release(2)
    first.result(PATIENCE)
