"""Delivers what waits in the spool."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pushrelay.errors import RelayRefused, RelayUnavailable, internal
from pushrelay.wrapper.delivery import is_final, reason_of
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Entry, Spool

_MOST_IN_A_ROW = 3
"""So many reports are tried at a relay that fails at each."""

_NOT_WITH_THIS_TOKEN = 403

# Reports are none the worse for it: no memory, no files, or an update just now.
_OF_THIS_HOST = (MemoryError, ImportError, OSError)


class Deliverer(Protocol):
    """What brings reports to a relay, as `wrapper.delivery.Delivery` does."""

    def deliver(self, report: Report, *, spooled: bool = False) -> list[str]: ...


class Flushed(NamedTuple):
    """What became of the reports that waited for a relay.

    delivered, set_aside, left: how many the relay took, how many it refused for good or
        we failed at, and how many still wait. error: why the relay did not take
        one that still waits, the last time that it did not. is_busy: whether another
        process delivers them just now.
    """

    delivered: int = 0
    set_aside: int = 0
    left: int = 0
    error: RelayUnavailable | RelayRefused | None = None
    is_busy: bool = False


def _tell_nobody(_entry: Entry, _told: list[str]) -> None:
    pass


def flush(
    spool: Spool,
    delivery: Deliverer,
    url: str,
    *,
    until: float,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[Entry, list[str]], None] = _tell_nobody,
    former_url: str | None = None,
) -> Flushed:
    """Deliver what waits for the relay at `url`, what happened first at first.

    What the relay refuses for good is set aside, and so is what makes us fail. Where it
    cannot take one for now, others are tried, from another place on; a few such in a
    row, no answer at all, and refusals that would meet all of them end it.

    until: when to begin no further report, on `clock`; stop: whether to, asked before
        each. tell: called for each report that does not wait any more, with what the
        relay had to say of it; the entry has a reason if it was set aside. former_url:
        of the relay that the reports wait for, if that is another one.
    """
    awaited = url if former_url is None else former_url
    if not (found := spool.paths(awaited)):
        return Flushed()
    with spool.locked() as is_ours:
        if not is_ours:
            return Flushed(left=len(found), is_busy=True)
        # Another process may have delivered some before it was ours.
        paths = deque(spool.paths(awaited))
        delivered = set_aside = skipped = in_a_row = 0
        error: RelayUnavailable | RelayRefused | None = None
        while paths and not stop() and clock() < until:
            entry = spool.read(paths.popleft())
            if entry is None or not spool.is_for(entry, awaited):
                continue
            try:
                told, reason = _deliver(entry.report, delivery)
            except (RelayUnavailable, RelayRefused) as failure:
                error = failure
                skipped, in_a_row = skipped + 1, in_a_row + 1
                if in_a_row == _MOST_IN_A_ROW or not _may_be_of_the_report(failure):
                    break
                _begin_elsewhere(paths)
                continue
            in_a_row = 0
            if reason:
                if former_url is not None:
                    entry = entry._replace(url=url)
                spool.set_aside(entry, reason)
                set_aside += 1
            else:
                spool.delivered(entry)
                delivered += 1
            tell(entry._replace(reason=reason), told)
        return Flushed(delivered, set_aside, skipped + len(paths), error)


def _deliver(report: Report, delivery: Deliverer) -> tuple[list[str], str]:
    """Return what the relay has to say of `report`, and why it is to be set aside,
    empty if it was delivered. Raises RelayUnavailable and RelayRefused if it may be
    delivered later."""
    try:
        return delivery.deliver(report, spooled=True), ""
    except RelayUnavailable:
        raise
    except RelayRefused as refusal:
        if not is_final(refusal):
            raise
        return [], reason_of(refusal)
    except _OF_THIS_HOST as error:
        raise RelayUnavailable(internal(error)) from error
    except Exception as error:  # noqa: BLE001  # else it holds up all behind it
        return [], internal(error)


def _may_be_of_the_report(failure: RelayUnavailable | RelayRefused) -> bool:
    """Return whether the relay, which fails, may do so because of one report."""
    # What one token may not report, another may: jobs with tokens of their own share
    # the spool of their user.
    if isinstance(failure, RelayRefused):
        return failure.status == _NOT_WITH_THIS_TOKEN
    return failure.status is not None


def _begin_elsewhere(paths: deque[str]) -> None:
    """Let another file be the first, by chance: reports that the relay always fails at
    gather at the front, and those behind would never be reached."""
    if paths:
        paths.rotate(-int.from_bytes(os.urandom(4), "big") % len(paths))
