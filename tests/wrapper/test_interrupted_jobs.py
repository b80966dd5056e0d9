"""What goes wrong around a job in Python: what is ours is told, what is its own is
raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from noting_relay import NotingRelay
from python_jobs import silent_relay

from pushrelay import run
from pushrelay.wrapper import job_run
from pushrelay.wrapper.documents import Run
from pushrelay.wrapper.job_metrics import JobMetrics
from pushrelay.wrapper.reporter import Reporter
from pushrelay.wrapper.spool import Spool

pytestmark = pytest.mark.usefixtures("job_state")


class OutOfTime(Exception):
    """As that of Celery for tasks which take too long."""


@contextmanager
def alarm(error: Exception) -> Iterator[None]:
    """Let SIGALRM raise `error`."""

    def handle(*_: object) -> NoReturn:
        raise error

    before = signal.signal(signal.SIGALRM, handle)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ring(*_: object) -> None:
    signal.raise_signal(signal.SIGALRM)


def spooled(state: Path) -> list[dict[str, Any]]:
    return [entry.report.document for entry in Spool([str(state)]).waiting()]


@pytest.mark.parametrize("error", [OutOfTime("x"), TimeoutError("x")], ids=repr)
def test_what_a_signal_raises_while_the_end_waits_is_raised_and_the_report_kept(
    error: Exception, job_state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        silent_relay() as url,
        alarm(error),
        pytest.raises(type(error), match=r"^x$"),
        run("waiting", url=url, report_timeout=60),
    ):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    [document] = spooled(job_state)
    assert (document["job"], document["state"]) == ("waiting", "finished")
    [told] = caplog.messages
    assert "the report is kept for later" in told


@pytest.mark.parametrize("name", ["report", "close"])
def test_what_a_signal_raises_while_the_end_is_reported_is_raised(
    name: str, job_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(Reporter, name)
    rings = iter([ring])

    def ringing(*arguments: Any) -> None:
        function(*arguments)
        next(rings, lambda: None)()

    with alarm(OutOfTime()), pytest.raises(OutOfTime), run("ending"):
        monkeypatch.setattr(Reporter, name, ringing)
    assert [document["outcome"] for document in spooled(job_state)] == ["success"]


@pytest.mark.parametrize("error", [OutOfTime(), TimeoutError()], ids=repr)
def test_what_a_signal_raises_before_a_run_begins_is_raised_and_its_end(
    error: Exception, noting_relay: NotingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a network disk that is slow.
    monkeypatch.setattr(job_run, "read_token", ring)
    job = run("beginning")
    with alarm(error), pytest.raises(type(error)):
        job.__enter__()
    end = noting_relay.end()
    assert (end["outcome"], end["exit_code"]) == ("failure", 1)


def test_what_a_signal_raises_while_the_start_is_reported_is_raised(
    noting_relay: NotingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Thread.start
    rings = iter([ring])

    def ringing(thread: threading.Thread) -> None:
        started(thread)
        if thread.name == "reporter":
            next(rings, lambda: None)()

    monkeypatch.setattr(threading.Thread, "start", ringing)
    job = run("beginning")
    with alarm(OutOfTime()), pytest.raises(OutOfTime):
        job.__enter__()
    assert noting_relay.end()["outcome"] == "failure"
    with job:
        pass
    assert noting_relay.ends()[1]["outcome"] == "success"


@pytest.mark.parametrize(
    ("owner", "name"), [(Run, "start"), (Reporter, "report"), (Reporter, "close")]
)
def test_what_is_wrong_with_reporting_is_told_and_not_raised(
    owner: type,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OutOfTime("ours")

    monkeypatch.setattr(owner, name, fail)
    with run("unlucky"):
        pass
    [told] = caplog.messages
    assert told.startswith("unlucky: ")
    assert told.count("internal error: OutOfTime: ours") == 1


def test_an_end_that_cannot_be_told_in_full_is_told_in_short(
    noting_relay: NotingRelay,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: object) -> NoReturn:
        raise MemoryError("all of it")

    monkeypatch.setattr(JobMetrics, "rendered", fail)
    with pytest.raises(SystemExit), run("large"):
        raise SystemExit(3)
    end = noting_relay.end()
    assert (end["outcome"], end["exit_code"]) == ("failure", 3)
    assert end["duration_seconds"] >= 0
    assert caplog.messages == ["large: internal error: MemoryError: all of it"]


@pytest.mark.parametrize(
    ("reason", "tail"),
    [
        (ValueError("no table"), {"stderr": "no table\n"}),
        (5, {"stderr": "5\n"}),
        (b"no", {"stderr": "b'no'\n"}),
        ("\udcff", {"stderr": "?\n"}),
        ("", None),
        (None, None),
    ],
    ids=repr,
)
def test_the_reason_of_a_failure_may_be_anything(
    noting_relay: NotingRelay, reason: object, tail: dict[str, str] | None
) -> None:
    with run("failing") as r:
        r.fail(reason)
    end = noting_relay.end()
    assert (end["outcome"], end["exit_code"]) == ("failure", 1)
    assert end["output_tail"] == tail
