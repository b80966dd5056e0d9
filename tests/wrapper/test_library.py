from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from compat.exposition_page import value
from noting_relay import NotingRelay
from relay_process import HTTPClient
from run_http import run_of
from waiting import wait_until

from pushrelay import run

pytestmark = pytest.mark.usefixtures("job_state")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_run_is_on_the_relay(
    relay: HTTPClient, caplog: pytest.LogCaptureFixture
) -> None:
    with run("library", labels={"team": "a"}, url=f"http://{relay.address}") as r:
        wait_until(lambda: relay.get(f"/api/v1/runs/{r.run_id}").status == 200)
        assert run_of(relay, r.run_id)["state"] == "started"
        r.gauge("library_rows", 5, help='The "rows"\nof it.', table="a\\b")
        r.counter("library_reads_total", 1.5)
        r.metrics("library_text 7")
    shown = run_of(relay, r.run_id)
    assert (shown["state"], shown["outcome"]) == ("finished", "success")
    assert (shown["exit_code"], shown["attempt"]) == (0, 1)
    assert shown["labels"] == {"instance": socket.gethostname(), "team": "a"}
    page, own = relay.page(), {"job": "library", "team": "a"}
    assert value(page, "library_rows", table="a\\b", **own) == 5
    assert value(page, "library_reads_total", **own) == 1.5
    assert value(page, "library_text", **own) == 7
    assert 'HELP library_rows The "rows"\\nof it.' in page
    assert caplog.messages == []


def test_a_start_and_an_end_are_of_one_run(noting_relay: NotingRelay) -> None:
    before = time.time()
    with run("nightly") as r:
        wait_until(noting_relay.reports)
        time.sleep(0.01)
    gc.collect()  # what is left open would be a warning here
    start, end = noting_relay.reports()
    assert (start["id"], end["id"]) == (r.run_id, r.run_id)
    assert (start["state"], start["host"]) == ("started", socket.gethostname())
    assert before <= end["started_at"] == start["started_at"] < end["finished_at"]
    assert 0.01 <= end["duration_seconds"] < 30
    assert end["expectation"] is end["output_tail"] is end["metrics"] is None


@pytest.mark.parametrize(
    ("error", "outcome", "exit_code", "signal"),
    [
        (None, "success", 0, None),
        (ValueError("no"), "failure", 1, None),
        (SystemExit(), "success", 0, None),
        (SystemExit(0), "success", 0, None),
        (SystemExit(3), "failure", 3, None),
        (SystemExit("no file"), "failure", 1, None),
        (KeyboardInterrupt(), "signal", None, 2),
        (GeneratorExit(), "failure", 1, None),
    ],
    ids=repr,
)
def test_an_exception_goes_on_and_says_how_the_run_ended(
    noting_relay: NotingRelay,
    error: BaseException | None,
    outcome: str,
    exit_code: int | None,
    signal: int | None,
) -> None:
    raised = None
    try:
        with run("ending"):
            if error is not None:
                raise error
    except BaseException as caught:  # noqa: BLE001  # all of them
        raised = caught
    assert raised is error
    end = noting_relay.end()
    assert (end["outcome"], end["exit_code"]) == (outcome, exit_code)
    assert (end["signal"], end["output_tail"]) == (signal, None)


@pytest.mark.parametrize(
    "code", ["None", "True", "7", "256", "-1", "2**63", "-2**64", "'text'", "[0]"]
)
def test_exit_codes_are_those_that_python_ends_with(
    noting_relay: NotingRelay, code: str
) -> None:
    program = f"import sys; sys.exit({code})"
    status = subprocess.run([sys.executable, "-c", program], stderr=-3).returncode
    with pytest.raises(SystemExit), run("ending"):
        exec(program)  # noqa: S102 - what was run before
    assert noting_relay.end()["exit_code"] == status


def test_a_run_may_fail_without_an_exception(noting_relay: NotingRelay) -> None:
    with run("failing") as r:
        r.fail("two of nine tables are missing")
    end = noting_relay.end()
    assert (end["outcome"], end["exit_code"]) == ("failure", 1)
    assert end["output_tail"] == {"stderr": "two of nine tables are missing\n"}


def test_a_traceback_is_reported_if_that_is_wanted(noting_relay: NotingRelay) -> None:
    @run("failing", report_traceback=True)
    def fail() -> None:
        raise ValueError("no table \udcff" + "é" * 20_000)

    with pytest.raises(ValueError, match="no table"):
        fail()
    tail = noting_relay.end()["output_tail"]["stderr"]
    assert 9_990 < len(tail.encode()) <= 10_000
    assert tail.endswith("éé\n")


def test_what_was_used_before_a_run_is_not_its_own(noting_relay: NotingRelay) -> None:
    before = time.process_time()
    with run("using") as r:
        burn = "import time\nwhile time.process_time() < 0.3: pass"
        subprocess.run([sys.executable, "-c", burn], check=True)
        r.gauge("x", 1)
    own = time.process_time() - before
    usage = noting_relay.end()["usage"]
    used = usage["user_seconds"] + usage["system_seconds"]
    assert 0.25 < used < 0.3 + own + 2
    assert usage["max_rss_bytes"] > 10_000_000
    assert min(usage.values()) >= 0


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ({}, {"instance": socket.gethostname()}),
        ({"instance": "db1"}, {"instance": "db1"}),
        ({"instance": ""}, {}),
        ({"instance": "", "labels": {"a": "b", "c": ""}}, {"a": "b"}),
        ({"labels": {"instance": "pod"}}, {"instance": "pod"}),
    ],
)
def test_the_instance_is_the_host_unless_it_is_given(
    noting_relay: NotingRelay, given: dict[str, Any], labels: dict[str, str]
) -> None:
    with run("labelled", **given):
        pass
    assert noting_relay.end()["labels"] == labels


def test_what_is_expected_is_reported_with_the_zone_of_the_host(
    noting_relay: NotingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    cron = "0 3 * * *"
    with run("a", schedule=cron, grace="10m", max_runtime="2h", attempt=2):
        pass
    with run("b", on_calendar="daily", tz="UTC"), run("c", every="1d"):
        pass
    found = {end["job"]: end["expectation"] for end in noting_relay.ends()}
    assert found == {
        "a": {
            "schedule": cron,
            "grace": "10m",
            "tz": "Europe/Berlin",
            "max_runtime": "2h",
        },
        "b": {"on_calendar": "daily", "tz": "UTC"},
        "c": {"every": "1d"},
    }
    assert noting_relay.ends()[0]["attempt"] == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"job": ""}, 'job: must be text such as "nightly-report", not ""'),
        ({"job": 5}, "job: must be text"),
        ({"instance": 5}, "labels.instance: must be text, not 5"),
        ({"labels": {"__a": "b"}}, "labels.__a: is no label name"),
        ({"labels": {"job": "b"}}, "labels.job: is the job"),
        ({"labels": {"outcome": "b"}}, "labels.outcome: is a label of the relay's own"),
        ({"url": "ftp://relay"}, "url: ftp://relay is no URL of a relay"),
        ({"token": "a b"}, "url and token: the token cannot be sent"),
        ({"token": "a", "token_file": "b"}, "token and token_file: give one of them"),
        ({"token_file": 5}, "token_file: must be the path of a file, not 5"),
        ({"token_file": "a\0"}, "token_file: must be the path of a file"),
        ({"schedule": "0 3 * *"}, "schedule: "),
        ({"on_calendar": "0 3 * * *"}, "on_calendar: .* It can be read as schedule"),
        ({"every": "1 h"}, 'every: "1 h" is not a duration'),
        ({"every": 5}, "every: must be text such as "),
        ({"every": "1h", "schedule": "0 3 * * *"}, "every: .* stands beside schedule"),
        ({"grace": "1h"}, "grace: .* needs schedule, on_calendar or every"),
        ({"tz": "UTC"}, "tz: .* needs schedule or on_calendar"),
        ({"max_runtime": ""}, 'max_runtime: "" is not a duration'),
        ({"min_interval": "0"}, "min_interval: .* out of bounds"),
        ({"report_timeout": -1}, "report_timeout: must be seconds from 0, not -1"),
        ({"report_timeout": "5s"}, "report_timeout: must be seconds from 0"),
        ({"report_timeout": float("nan")}, "report_timeout: must be seconds from 0"),
        ({"attempt": 0}, "attempt: must be a whole number from 1, not 0"),
        ({"attempt": 1.5}, "attempt: must be a whole number from 1, not 1.5"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_cannot_be_right_is_said_at_once(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        run(**{"job": "wrong", **wrong})


def test_url_and_token_come_from_the_environment_or_are_given(
    noting_relay: NotingRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-a-file\n")
    monkeypatch.setenv("PUSHRELAY_TOKEN", "of-the-environment")
    with run("a"):
        pass
    with run("b", token_file=str(tmp_path / "token")), run("c", token="given"):
        pass
    monkeypatch.setenv("PUSHRELAY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("PUSHRELAY_URL", "http://127.0.0.1:1")
    with run("d", url=noting_relay.url):
        pass
    authorized = [each.headers["authorization"] for each in noting_relay.asked]
    jobs = [each["job"] for each in noting_relay.reports()]
    assert dict(zip(jobs, authorized, strict=True)) == {
        "a": "Bearer of-the-environment",
        "b": "Bearer of-a-file",
        "c": "Bearer given",
        "d": "Bearer of-a-file",
    }


def test_the_trace_of_the_environment_is_reported(
    noting_relay: NotingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run("untraced") as r:
        assert r.trace_id is None
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-00f067aa0ba902b7-01")
    with run("traced") as r:
        assert r.trace_id == TRACE
    assert [end["trace_id"] for end in noting_relay.ends()] == [None, TRACE]


def test_runs_at_the_same_time_are_runs_of_their_own(noting_relay: NotingRelay) -> None:
    together = threading.Barrier(4, timeout=30)

    def job(number: int) -> str:
        with run("parallel", instance="") as r:
            together.wait()
            r.gauge("number", number)
            together.wait()
        return r.run_id

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(job, range(4)))
    metrics = {end["id"]: end["metrics"] for end in noting_relay.ends()}
    assert metrics == {
        id_: f"# TYPE number gauge\nnumber {number}\n" for number, id_ in enumerate(ids)
    }


def test_one_may_be_entered_again_but_not_twice_at_a_time(
    noting_relay: NotingRelay,
) -> None:
    job = run("again")
    with job as first:
        pass
    with job as second:
        with pytest.raises(RuntimeError, match="a run of again has begun"), job:
            pass
        second.gauge("x", 1)
    assert [end["id"] for end in noting_relay.ends()] == [first.run_id, second.run_id]
    assert noting_relay.ends()[1]["outcome"] == "success"
