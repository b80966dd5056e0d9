"""Tells a stock Pushgateway of runs, which knows none: as gauges of the last one.

They are pushed with POST, so that other families of the group stay: those of earlier
runs, and what the job itself pushed.
"""

from __future__ import annotations

from collections.abc import Callable

from pushrelay.client import RelayClient, readable
from pushrelay.errors import PushrelayError, RelayRefused
from pushrelay.grouping_key import GroupingKey
from pushrelay.wrapper.gauges import (
    LAST_FINISH,
    TIMES,
    exposition,
    is_skipped,
    labels_of,
    metrics_of,
    news,
)
from pushrelay.wrapper.peers import Peer
from pushrelay.wrapper.reports import Report

# A Pushgateway does not read this. A relay that took the place of one refuses it before
# it books a failed push of the group, so that nothing but a request is lost.
_HEADERS = {"X-Pushrelay-Mode": "pushgateway"}
_REFUSED_METRICS = (400, 413)


class Pushgateway:
    """The Pushgateway that may be where `client` sends to, and what is known of it.
    clock: tells Unix seconds."""

    def __init__(
        self, client: RelayClient, peer: Peer, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._peer = peer
        self._clock = clock

    def answers(self) -> bool:
        """Ask whether there is one."""
        try:
            status = self._client.data("GET", "/api/v1/status")
        except PushrelayError:
            return False
        if not isinstance(status, dict) or "build_information" not in status:
            return False
        # A relay says the same, and more.
        return "database.url" not in (status.get("flags") or ())

    def push(self, report: Report) -> list[str]:
        """Push what is new in `report`, and the metrics of its run with its finish;
        return what was refused of these, as sentences. A run that was skipped is none.

        What is older than what was pushed before is left out, so that neither a late
        report nor the end of a run that others overtook turns time back.

        Raises RelayUnavailable and RelayRefused.
        """
        key = GroupingKey.of(labels_of(report))
        times = self._peer.times(key)
        changed = {} if is_skipped(report) else news(report, times, self._clock())
        if not changed:
            return []
        # What is not known is pushed as NaN: else the value of an earlier run stays.
        gauges = exposition(changed)
        metrics = metrics_of(report) if LAST_FINISH in changed else ""
        told = self._push_all(f"/metrics/{key.path}", gauges, metrics)
        self._peer.note_pushgateway()
        newest = {name: at for name in TIMES if (at := changed.get(name)) is not None}
        self._peer.note_times(key, {**times, **newest})
        return told

    def _push_all(self, target: str, gauges: str, metrics: str) -> list[str]:
        """Push both in one; without the metrics, and return why, if they are refused.

        The metrics come first, for the lines in refusals are counted from there.
        """
        if not metrics:
            self._post(target, gauges)
            return []
        problem = _truncation(metrics)
        if not problem:
            try:
                self._post(target, metrics + gauges)
                return []
            except RelayRefused as refusal:
                if refusal.status not in _REFUSED_METRICS:
                    raise
                problem = refusal.problem["detail"] or str(refusal)
        self._post(target, gauges)
        return [f"metrics of the run were refused: {readable(problem)}"]

    def _post(self, target: str, body: str) -> None:
        self._client.request("POST", target, body.encode(), _HEADERS, repeatable=True)


def _truncation(metrics: str) -> str:
    """Return what a Pushgateway says where the last line has no end; empty if it has.
    With the gauges behind it, that could not be told any more."""
    if metrics.endswith("\n"):
        return ""
    line = metrics.count("\n") + 1
    return f"text format parsing error in line {line}: unexpected end of input stream"
