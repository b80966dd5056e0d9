"""The spool: reports that could not be delivered, in files of this user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pushrelay.wrapper.reports import Report


@dataclass(frozen=True, slots=True)
class Entry:
    """A report in the spool.

    path: its file. url: of the relay it is for, without user and password. reason: why
        the relay refused it for good; empty if it still may be delivered. spooled_at:
        Unix seconds.
    """

    path: str
    url: str
    report: Report
    spooled_at: float
    reason: str = ""


class Spool:
    """The spool in `directories` (see `wrapper.state`), the first that can be written
    to for what is new."""

    def __init__(self, directories: list[str]) -> None:
        raise NotImplementedError

    def keep(self, report: Report, url: str, now: float) -> None:
        """Keep `report` for the relay at `url`. A finish takes the place of a start
        that is kept of the same run. Raises OSError; then it is not kept."""
        raise NotImplementedError

    def drop(self, run_id: str) -> None:
        """Forget what is kept of the run `run_id`, which was reported otherwise."""
        raise NotImplementedError

    def waiting(self, url: str | None = None) -> list[Entry]:
        """Return what is to be delivered, or of it what is for the relay at `url`; in
        the order in which it happened."""
        raise NotImplementedError

    def refused(self) -> list[Entry]:
        """Return what was refused for good, the oldest first."""
        raise NotImplementedError

    def delivered(self, entry: Entry) -> None:
        """Forget `entry`."""
        raise NotImplementedError

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Keep `entry` as refused, for people to see."""
        raise NotImplementedError

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yield whether no other process is delivering what is in the spool; none will
        while it is True."""
        raise NotImplementedError
        yield
