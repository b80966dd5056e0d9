from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from canned_server import problem
from compat.exposition_page import value
from noting_relay import NotingRelay
from python_jobs import silent_relay
from relay_process import HTTPClient, RelayProcess
from run_http import run_of
from spooled import files
from waiting import wait_until

from pushrelay import run
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.flush import flush
from pushrelay.wrapper.job_run import JobRun
from pushrelay.wrapper.spool import Spool

pytestmark = pytest.mark.usefixtures("job_state")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said to people."""
    assert all(
        (each.name, each.levelno) == ("pushrelay", logging.WARNING)
        for each in caplog.records
    )
    return caplog.messages


def spooled(state: Path) -> list[dict[str, Any]]:
    return [entry.report.document for entry in Spool([str(state)]).waiting()]


def test_a_password_in_the_url_is_never_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with silent_relay() as url:
        secret = url.replace("://", "://user:secret@")
        with run("job", url=secret, report_timeout=0.05):
            pass
    assert "does not answer in time" in caplog.text
    assert "secret" not in caplog.text


def test_a_run_goes_on_without_a_token_that_cannot_be_read(
    noting_relay: NotingRelay, caplog: pytest.LogCaptureFixture
) -> None:
    with run("tokenless", token_file="/nowhere/token"):
        pass
    assert noting_relay.end()["outcome"] == "success"
    told = "tokenless: cannot read /nowhere/token: No such file or directory"
    assert warnings(caplog) == [told]


@pytest.mark.system
def test_what_a_relay_missed_is_kept_and_delivered_later(
    tmp_path: Path, job_state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    relay = RelayProcess(tmp_path)
    url = f"http://{relay.address}"
    with run("missed", url=url) as r:
        r.gauge("missed_rows", 5)
    [told] = warnings(caplog)
    assert told.startswith("missed: ")
    assert f"no answer from {url}: Connection refused" in told
    assert "the report is kept for later" in told
    [document] = spooled(job_state)
    with relay:
        spool, delivery = Spool([str(job_state)]), Delivery(url)
        flushed = flush(spool, delivery, delivery.url, until=time.monotonic() + 30)
        delivery.close()
        assert (flushed.delivered, flushed.left) == (1, 0)
        shown = run_of(relay, r.run_id)
        assert value(relay.page(), "missed_rows", job="missed") == 5
    assert shown["outcome"] == "success"
    assert shown["finished_at"] == pytest.approx(document["finished_at"], abs=1e-5)


def test_a_relay_that_does_not_answer_costs_no_more_than_the_timeout(
    job_state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with silent_relay() as url:
        with run("unanswered", url=url, report_timeout=0.2):
            pass
        # What asks the relay has not given up.
        assert "reporter" in [thread.name for thread in threading.enumerate()]
        [document] = spooled(job_state)
        with run("unasked", url=url, report_timeout=0):
            pass
    assert document["job"] == "unanswered"
    assert len(spooled(job_state)) == 2
    for line in warnings(caplog):
        assert f"{url} does not answer in time" in line
        assert "the report is kept for later" in line


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://relay", "ftp://relay is no URL of a relay"),
        ("http://127.0.0.1:1", "no answer from"),
    ],
)
def test_no_reporting_that_fails_ends_a_job(
    url: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PUSHRELAY_STATE_DIR", str(tmp_path / "file" / "none"))
    monkeypatch.setenv("PUSHRELAY_URL", url)
    with run("unlucky") as r:
        assert r.run_id
    [line] = warnings(caplog)
    assert line.startswith("unlucky: ")
    assert told in line
    assert "the report is lost" in line


def test_no_thread_that_cannot_be_started_ends_a_job(
    job_state: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def job() -> None:
        async with run("threadless"):
            pass

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with run("threadless"):
            pass
        asyncio.run(job())
    for line in warnings(caplog):
        assert "can't start new thread" in line
        assert "the report is kept for later" in line
    assert len(spooled(job_state)) == 2


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_no_end_that_fails_beside_the_loop_is_awaited_for_ever(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    async def job() -> None:
        async with run("failing"):
            pass

    monkeypatch.setattr(JobRun, "end", fail)
    with pytest.raises(type(error)):
        asyncio.run(asyncio.wait_for(job(), 30))


def test_a_report_that_is_refused_is_set_aside(
    job_state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        NotingRelay(lambda _: problem(400, detail="no such label")) as server,
        run("refused", url=server.url),
    ):
        wait_until(server.reports)
    assert "no such label" in warnings(caplog)[0]
    assert spooled(job_state) == []
    assert len(files(job_state / "spool")) >= 1


def test_what_the_relay_says_of_metrics_is_a_warning(
    relay: HTTPClient, caplog: pytest.LogCaptureFixture
) -> None:
    # Quoted names are for relays that take UTF-8 names, which this one does not.
    with run("told", url=f"http://{relay.address}") as r:
        r.metrics('{"a.b"} 5')
    assert run_of(relay, r.run_id)["outcome"] == "success"
    assert "told: metrics of the run were refused: " in warnings(caplog)[0]


def test_metrics_after_the_end_are_lost_and_said_so(
    noting_relay: NotingRelay, caplog: pytest.LogCaptureFixture
) -> None:
    with run("late") as r:
        r.gauge("rows", 1)
    r.gauge("rows", 2)
    told = ["late: a metric came after the end of the run; it is lost"]
    assert warnings(caplog) == told
    assert noting_relay.end()["metrics"] == "# TYPE rows gauge\nrows 1\n"


def test_too_many_metrics_are_not_reported(
    noting_relay: NotingRelay, caplog: pytest.LogCaptureFixture
) -> None:
    with run("large") as r:
        r.metrics("# HELP rows " + 8 * 1024 * 1024 * "x" + "\nrows 1")
    assert noting_relay.end()["metrics"] is None
    assert warnings(caplog) == ["large: its metrics are more than 8388608 bytes"]
