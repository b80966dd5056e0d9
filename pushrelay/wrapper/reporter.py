"""Reports runs beside them, in a thread, so that no run ever waits for a relay.

What delivers is imported in the thread, while the command runs.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from pushrelay.errors import InvalidURL, PushrelayError, RelayRefused, internal
from pushrelay.wrapper.reports import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pushrelay.wrapper.delivery import Delivery
    from pushrelay.wrapper.spool import Spool

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_FLUSH_SECONDS = 5.0
"""So long may old reports hold up the first report of a run."""

_LOOK_AGAIN = 0.1
_SPOOL_SECONDS = 1.0
"""An end that is not delivered by then is kept meanwhile: somebody may kill us."""

_LAST_FLUSH_SECONDS = 1.0
"""So long may they hold up the exit: what was over at once had no time for them."""


class Reporter:
    """Reports to the relay at `url`, and keeps in the spool what it does not take.

    token: for the relay; None for none. directories: of the state, see `wrapper.state`.

    After `close`: delivered, whether the relay took the end of each run; remarks, what
    a person should know, as sentences; kept, what is to be said of reports that lie in
    the spool and will come later, empty if there are none.
    """

    def __init__(self, url: str, token: str | None, directories: list[str]) -> None:
        self.delivered = True
        self.kept = ""
        self.remarks: list[str] = []
        self._url = url
        self._token = token
        self._directories = directories
        self._changed = threading.Condition()
        self._waiting: list[Report] = []
        self._spooled: dict[str, Report] = {}
        self._closing = False
        self._delivery: Delivery | None = None
        self._idle = False
        self._trouble = ""
        try:
            threading.Thread(target=self._run, name="reporter", daemon=True).start()
        except RuntimeError as error:
            # There are too many of them. What is reported goes to the spool.
            self._trouble, self._idle = str(error), True

    def report(self, report: Report) -> None:
        """Deliver `report` soon. A finish takes the place of a start of the same run
        that is not delivered yet."""
        with self._changed:
            if report.is_finish:
                self._waiting = [r for r in self._waiting if r.run_id != report.run_id]
            self._waiting.append(report)
            self._changed.notify_all()

    def close(
        self, seconds: float, is_enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait for so many seconds at most until all is delivered; keep in the spool
        what is not. is_enough: whether not to wait any more, asked now and then."""
        began = time.monotonic()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while not self._idle and not is_enough():
                waited = time.monotonic() - began
                if waited >= seconds:
                    break
                if waited >= _SPOOL_SECONDS:
                    self._spool_waiting()
                self._changed.wait(min(seconds - waited, _LOOK_AGAIN))
            left = [report for report in self._waiting if report.is_finish]
        if left:
            self.delivered = False
            # Not the URL that was given: it may have a password.
            relay = "the relay" if self._delivery is None else self._delivery.url
            reason = self._trouble or f"{relay} does not answer in time"
            self._keep(left, reason)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001  # whatever it is, the exit waits
            self._trouble = internal(error)
        finally:
            if self._delivery is not None:
                self._delivery.close()
            with self._changed:
                self._idle = True
                self._changed.notify_all()

    def _work(self) -> None:
        from pushrelay.wrapper.delivery import Delivery
        from pushrelay.wrapper.flush import flush
        from pushrelay.wrapper.spool import Spool

        spool = Spool(self._directories)
        try:
            delivery = Delivery(self._url, self._token, directories=self._directories)
            self._delivery = delivery
        except InvalidURL as error:
            self._trouble = str(error)
            return
        url, until = delivery.url, time.monotonic() + _FLUSH_SECONDS
        flush(spool, delivery, url, until=until, stop=lambda: self._closing)
        if self._deliver_all(delivery, spool):
            until = time.monotonic() + _LAST_FLUSH_SECONDS
            flush(spool, delivery, url, until=until)

    def _deliver_all(self, delivery: Delivery, spool: Spool) -> bool:
        """Deliver what comes until no more will; return whether all is delivered."""
        pause = _FIRST_PAUSE
        while (report := self._next()) is not None:
            was_closing = self._closing
            if self._deliver(report, delivery, spool):
                pause = _FIRST_PAUSE
                continue
            if was_closing:
                return False
            if not self._closing:
                self._spool_meanwhile(report, delivery, spool)
            with self._changed:
                if report in self._waiting and not self._closing:
                    self._changed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True

    def _next(self) -> Report | None:
        """Return the next report, as soon as there is one; None if none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting[0] if self._waiting else None

    def _deliver(self, report: Report, delivery: Delivery, spool: Spool) -> bool:
        """Return whether `report` need not be delivered again."""
        from pushrelay.wrapper.delivery import is_final

        try:
            remarks = delivery.deliver(report)
        except PushrelayError as error:
            if not (isinstance(error, RelayRefused) and is_final(error)):
                self._trouble = str(error)
                return False
            remarks = [self._refused(report, error, delivery, spool)]
        if report.run_id in self._spooled and report.is_finish:
            spool.drop(report.run_id)
        with self._changed:
            self._waiting = [other for other in self._waiting if other is not report]
            self.remarks += [each for each in remarks if each not in self.remarks]
        return True

    def _refused(
        self, report: Report, error: RelayRefused, delivery: Delivery, spool: Spool
    ) -> str:
        """Set aside `report`, which was refused for good, and return what a person
        should know; of a start only that, for its finish has all of it."""
        if not report.is_finish:
            return str(error)
        self.delivered = False
        from pushrelay.wrapper.delivery import reason_of

        try:
            path = spool.keep(report, delivery.url, time.time())
            if (entry := spool.read(path)) is not None:
                spool.set_aside(entry, reason_of(error))
        except OSError as reason:
            return f"the report is lost, for it cannot be kept ({reason}): {error}"
        return f"the report is set aside, see pushrelay spool list: {error}"

    def _spool_waiting(self) -> None:
        if self._delivery is not None:
            from pushrelay.wrapper.spool import Spool

            for report in self._waiting:
                self._spool_meanwhile(report, self._delivery, Spool(self._directories))

    def _spool_meanwhile(
        self, report: Report, delivery: Delivery, spool: Spool
    ) -> None:
        """Keep `report` until it is delivered, in case that we do not live so long."""
        if self._spooled.get(report.run_id) is not report:
            self._spooled[report.run_id] = report
            with suppress(OSError):
                spool.keep(report, delivery.url, time.time())

    def _keep(self, reports: list[Report], reason: str) -> None:
        """Keep `reports`, which were not delivered for this reason."""
        from pushrelay.relay_url import parse_relay_url
        from pushrelay.wrapper.spool import Spool

        try:
            spool, url = Spool(self._directories), parse_relay_url(self._url).shown
            for report in reports:
                spool.keep(report, url, time.time())
        except InvalidURL:
            self.remarks.append(f"the report is lost: {reason}")
        except OSError as error:
            lost = f"the report is lost, for it cannot be kept ({error})"
            self.remarks.append(f"{lost}: {reason}")
        else:
            self.kept = f"the report is kept for later: {reason}"
