from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from waiting import wait_until

from pushrelay.errors import StoreUnavailable
from pushrelay.hurried_calls import HurriedCalls

THREADS = 2


class Gate:
    """A call that ends when it is let."""

    def __init__(self) -> None:
        self.began = 0
        self.ended = 0
        self.is_open = threading.Event()

    def __call__(self) -> None:
        self.began += 1
        self.is_open.wait()
        self.ended += 1


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.is_open.set()


@pytest.fixture
def calls() -> Iterator[HurriedCalls]:
    calls = HurriedCalls("test", 0.05, THREADS)
    yield calls
    calls.stop()


def patient(do: object) -> str:
    return f"{do} done"


@pytest.mark.parametrize("argument", ["a", "b"])
def test_what_is_called_is_answered(argument: str) -> None:
    calls = HurriedCalls("test", 30, 1)
    assert calls.make(patient, argument) == f"{argument} done"
    calls.stop()


def test_what_is_raised_is_raised() -> None:
    calls = HurriedCalls("test", 30, 1)
    # It is not taken for the end of the time.
    with pytest.raises(TimeoutError, match="of its own"):
        calls.make(fail, TimeoutError("of its own"))
    calls.stop()


def fail(error: Exception) -> None:
    raise error


def test_a_call_that_is_late_is_given_up(calls: HurriedCalls, gate: Gate) -> None:
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.05 s"):
        calls.make(gate)


def test_while_calls_hang_others_are_refused_at_once_and_take_no_thread(
    calls: HurriedCalls, gate: Gate
) -> None:
    for _ in range(THREADS):
        with pytest.raises(StoreUnavailable, match="within"):
            calls.make(gate)
    for _ in range(10):
        with pytest.raises(StoreUnavailable, match="earlier requests still wait"):
            calls.make(gate)
    assert gate.began == THREADS
    gate.is_open.set()
    wait_until(lambda: gate.ended == THREADS, "the end of what hung")
    wait_until(lambda: not calls._late, "that it is known")
    # On a busy machine, it may be late.
    wait_until(lambda: _made(calls), "a call in time")


def _made(calls: HurriedCalls) -> bool:
    try:
        return calls.make(patient, "now") == "now done"
    except StoreUnavailable:
        return False


def test_a_call_that_could_not_begin_in_time_never_does(gate: Gate) -> None:
    calls = HurriedCalls("test", 0.05, 1)
    other = threading.Thread(target=_make, args=(calls, gate))
    other.start()
    wait_until(lambda: gate.began, "the first call")
    late = Gate()
    with pytest.raises(StoreUnavailable):
        calls.make(late)
    gate.is_open.set()
    other.join()
    calls.stop()
    assert late.began == 0


def _make(calls: HurriedCalls, do: Gate) -> None:
    # On a busy machine, it may notice the end of its time after the call has ended.
    with suppress(StoreUnavailable):
        calls.make(do)
