"""Delivers what waits in the spool."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pushrelay.errors import RelayRefused, RelayUnavailable
from pushrelay.wrapper.delivery import is_final, reason_of
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Entry, Spool


class Deliverer(Protocol):
    """What brings reports to a relay, as `wrapper.delivery.Delivery` does."""

    def deliver(self, report: Report, *, spooled: bool = False) -> list[str]: ...


class Flushed(NamedTuple):
    """What became of the reports that waited for a relay.

    delivered, set_aside, left: how many the relay took, how many it refused for good,
        and how many still wait. error: what ended it early, if the relay did. is_busy:
        whether another process delivers them just now.
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

    What the relay refuses for good is set aside; any other failure ends it.

    until: when to begin no further report, on `clock`; stop: whether to, asked before
        each. tell: called for each report that does not wait any more, with what the
        relay had to say of it; the entry has a reason if it was refused. former_url: of
        the relay that the reports wait for, if that is another one.
    """
    awaited = url if former_url is None else former_url
    if not (paths := spool.paths(awaited)):
        return Flushed()
    with spool.locked() as is_ours:
        if not is_ours:
            return Flushed(left=len(paths), is_busy=True)
        # Another process may have delivered some before it was ours.
        paths = spool.paths(awaited)
        delivered = set_aside = 0
        for done, path in enumerate(paths):
            if stop() or clock() >= until:
                return Flushed(delivered, set_aside, len(paths) - done)
            entry = spool.read(path)
            if entry is None or not spool.is_for(entry, awaited):
                continue
            try:
                told = delivery.deliver(entry.report, spooled=True)
            except (RelayUnavailable, RelayRefused) as error:
                if not isinstance(error, RelayRefused) or not is_final(error):
                    return Flushed(delivered, set_aside, len(paths) - done, error)
                reason = reason_of(error)
                if former_url is not None:
                    entry = entry._replace(url=url)
                spool.set_aside(entry, reason)
                set_aside += 1
                tell(entry._replace(reason=reason), [])
            else:
                spool.delivered(entry)
                delivered += 1
                tell(entry, told)
        return Flushed(delivered, set_aside)
