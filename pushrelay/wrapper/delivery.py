"""Brings reports of runs to a relay, or what they come to to a Pushgateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pushrelay.client import RelayClient, readable
from pushrelay.errors import RelayRefused, RelayUnavailable
from pushrelay.wrapper.peers import Peer
from pushrelay.wrapper.reports import Report

if TYPE_CHECKING:
    from pushrelay.wrapper.pushgateway import Pushgateway

_NOT_OF_THE_DOCUMENT = frozenset({401, 403, 404, 405, 407, 421})
"""Refusals that mending the URL, the token or the relay may end."""

_NO_RUNS = frozenset({404, 405})
"""How a server answers that has no API for runs."""

_NO_PUSHGATEWAY = frozenset({400, 404, 405})
"""How one answers to gauges that is no Pushgateway any more; a relay with 400."""

_EXPECTATION = "expectation"


class Delivery:
    """Brings reports to the relay at `url`, one after the other on one connection;
    for one thread at a time.

    Where a stock Pushgateway answers, gauges of the last run are pushed instead.

    token: for `Authorization: Bearer`; None for none. connect_seconds, answer_seconds:
        as for RelayClient; a report takes one request, or a few where what answers is
        not known yet. directories: where may be kept what was found out, see
        `wrapper.state`. clock: tells Unix seconds.

    Raises InvalidURL, also for a token that cannot be sent, or not beside a user.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        connect_seconds: float = 5.0,
        answer_seconds: float = 5.0,
        directories: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._relay = RelayClient(
            url,
            token=token,
            connect_seconds=connect_seconds,
            answer_seconds=answer_seconds,
        )
        self._peer = Peer(self._relay.url, directories, clock)
        self._clock = clock
        self._refused: list[tuple[object, str]] = []

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return self._relay.url

    def close(self) -> None:
        """Close the connection; the next report opens one."""
        self._relay.close()

    def deliver(self, report: Report, *, spooled: bool = False) -> list[str]:
        """Report it, and return what the relay has to say of it, as sentences for a
        person: warnings, and what is wrong with its metrics.

        What is expected of the job is left out, with a sentence, if the relay refuses
        it, so that the run is not lost for it; from then on without asking again.

        spooled: whether it comes from the spool, which the relay counts.

        Raises RelayUnavailable, and RelayRefused, of which `is_final` tells more.
        """
        if self._peer.is_pushgateway():
            try:
                return self._pushgateway().push(report)
            except RelayRefused as refusal:
                if refusal.status not in _NO_PUSHGATEWAY:
                    raise
                self._peer.forget()
        try:
            return self._report(report, spooled)
        except RelayRefused as refusal:
            if refusal.status not in _NO_RUNS or not self._pushgateway().answers():
                raise
        return self._pushgateway().push(report)

    def _pushgateway(self) -> Pushgateway:
        # Most servers are relays, and the job should not wait for more than they need.
        from pushrelay.wrapper.pushgateway import Pushgateway

        return Pushgateway(self._relay, self._peer, self._clock)

    def _report(self, report: Report, spooled: bool) -> list[str]:
        told = self._refusal_of(report.document.get(_EXPECTATION))
        if told is None:
            try:
                return self._put(report, report.document, spooled)
            except RelayRefused as refusal:
                if not _is_of_expectation(refusal, report.document):
                    raise
                told = refusal.problem["detail"]
                self._refused.append((report.document[_EXPECTATION], told))
        document = {**report.document, _EXPECTATION: None}
        others = self._put(report, document, spooled)
        return [f"what is expected of the job was refused: {told}", *others]

    def _refusal_of(self, expectation: object) -> str | None:
        """Return why the relay refused `expectation`; None if it did not so far."""
        for refused, told in self._refused:
            if refused == expectation:
                return told
        return None

    def _put(
        self, report: Report, document: dict[str, Any], spooled: bool
    ) -> list[str]:
        target = f"/api/v1/runs/{report.run_id}"
        headers = {"Content-Type": "application/json"}
        if spooled:
            headers["X-Pushrelay-Spooled"] = "true"
        # As ASCII, for what is in it may come from bytes that are no UTF-8.
        body = json.dumps(document).encode()
        with _told_of_the_relay(target):
            answered = self._relay.data("PUT", target, body, headers)
        try:
            return _sentences(answered)
        except (LookupError, TypeError):
            raise RelayUnavailable(
                f"{self.url} answers what no relay does; is the URL right?"
            ) from None


@contextmanager
def _told_of_the_relay(target: str) -> Iterator[None]:
    """Let errors name the relay and not the `target`, which is another for each run."""
    try:
        yield
    except RelayUnavailable as error:
        told = str(error).replace(target, "")
        raise RelayUnavailable(told, error.status) from error
    except RelayRefused as error:
        told = str(error).replace(target, "")
        raise RelayRefused(told, error.status, error.problem) from error


def is_final(refusal: RelayRefused) -> bool:
    """Return whether the relay will never take what it refused."""
    is_redirect = refusal.status < 400
    return not is_redirect and refusal.status not in _NOT_OF_THE_DOCUMENT


def reason_of(refusal: RelayRefused) -> str:
    """Return why the relay refused, without its URL, which the spool has beside it."""
    detail = refusal.problem.get("detail")
    return f"{detail} (status {refusal.status})" if detail else str(refusal)


def _is_of_expectation(refusal: RelayRefused, document: dict[str, Any]) -> bool:
    """Return whether `document` would perhaps be taken without its expectation."""
    field = str(refusal.problem.get("field", ""))
    return (
        refusal.status == 400
        and document.get(_EXPECTATION) is not None
        and field.partition(".")[0] == _EXPECTATION
    )


def _sentences(answered: Any) -> list[str]:
    """Return what the answer to a report says for people. Raises LookupError and
    TypeError if it is none."""
    problems = [
        f"metrics of the run were refused: {readable(str(problem))}"
        for problem in answered["metrics_problems"]
    ]
    return [*[readable(str(each)) for each in answered["warnings"]], *problems]
