"""Limits of all clients together are told of, and the machine sets some of its own."""

from __future__ import annotations

import logging
import resource
import time

import pytest

from pushrelay.telemetry import Telemetry
from pushrelay.web import server
from pushrelay.web.limit_hits import LOG_EVERY_SECONDS, LimitHits


def test_overload_is_logged_once_a_minute_from_the_first_hit_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A machine that has just started.
    now = 1.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    telemetry = Telemetry()
    hits = LimitHits(telemetry)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            hits.note("queued_writes")
        assert len(caplog.records) == 1
        assert "--limit.queued-writes" in caplog.text
        hits.note("requests")
        hits.note("series")
        assert len(caplog.records) == 2
        now += LOG_EVERY_SECONDS
        hits.note("queued_writes")
        assert len(caplog.records) == 3
    assert telemetry.limits_exceeded[("queued_writes",)] == 4
    assert telemetry.limits_exceeded[("series",)] == 1


@pytest.mark.parametrize("error", [ValueError, PermissionError])
def test_a_machine_that_lets_nobody_raise_limits_is_served_on(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: object) -> None:
        raise error("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    server._allow_open_files()
