"""`POST /api/v1/ping`, as shells send it."""

from __future__ import annotations

import gzip
import shutil
import subprocess

import pytest
from relay_process import HTTPClient, StartRelay
from run_http import FORM, JSON, data_of, job_of, jobs_of, problem_of, run_of, runs_of

PING = "/api/v1/ping"

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


def ping(relay: HTTPClient, form: str, query: str = "") -> str:
    """Return the text of the answer to a ping, which must be taken."""
    response = relay.post(PING + query, form, FORM)
    assert response.status == 200, response.text
    assert response.header("content-type") == "text/plain; charset=utf-8"
    return response.text


def test_a_ping_is_a_form(relay: HTTPClient) -> None:
    form = "job=a%2Fb&status=success&label.db=x+y&schedule=0 3 * * *&tz=Europe/Berlin"
    assert ping(relay, form) == "OK\n"
    [run] = runs_of(relay)["runs"]
    assert (run["job"], run["labels"]) == ("a/b", {"db": "x y"})
    assert (run["outcome"], run["duration_seconds"]) == ("success", None)
    job = job_of(relay, "a%2Fb")
    assert job["expectation"]["tz"] == "Europe/Berlin"
    assert job["expectation_from"] == "report"


def test_a_ping_is_a_query_string(relay: HTTPClient) -> None:
    response = relay.request("POST", PING + "?job=a&exit_code=3")
    assert (response.status, response.text) == (200, "OK\n")
    assert job_of(relay, "a")["last_run"]["exit_code"] == 3


def test_a_ping_may_be_both(relay: HTTPClient) -> None:
    assert ping(relay, "status=start\n", "?job=a") == "OK\n"
    assert job_of(relay, "a")["running"] == 1
    response = relay.post(PING + "?job=a&status=start", "job=b", FORM)
    assert response.status == 400
    assert "job: is given more than once" in response.text
    compressed = gzip.compress(b"status=fail")
    headers = {**FORM, "Content-Encoding": "gzip"}
    assert relay.post(PING + "?job=a", compressed, headers).status == 200
    assert job_of(relay, "a")["state"] == "failed"


def test_a_body_without_a_type_is_a_form(relay: HTTPClient) -> None:
    assert relay.post(PING, "job=é&status=start").status == 200
    assert jobs_of(relay) == ["é"]
    assert relay.post(PING + "?job=ü&status=start".encode().decode("latin-1")).status
    response = relay.post(PING, '{"job": "a"}', {"Content-Type": "application/json"})
    assert response.status == 400
    assert 'the body is "application/json"; write parameters' in response.text


def test_an_end_without_a_name_belongs_to_the_last_start(relay: HTTPClient) -> None:
    ping(relay, "job=a&status=start")
    [begun] = runs_of(relay)["runs"]
    answer = data_of(relay.post(PING, "job=a&status=success", {**FORM, **JSON}))
    assert answer == {
        "id": begun["id"],
        "replayed": False,
        "warnings": [],
        "metrics_problems": [],
    }
    run = run_of(relay, begun["id"])
    assert run["outcome"] == "success"
    assert run["duration_seconds"] > 0
    ping(relay, "job=a&status=success")
    assert len(runs_of(relay)["runs"]) == 2


def test_a_named_run_is_reported_once(relay: HTTPClient) -> None:
    ping(relay, "job=a&status=start&rid=7&min_interval=10m")
    [begun] = runs_of(relay)["runs"]
    assert ping(relay, "job=a&status=start&rid=7") == "OK\n"
    ping(relay, "job=b&status=start&rid=7")
    ping(relay, "job=a&status=success&rid=7")
    assert [run["job"] for run in runs_of(relay)["runs"]] == ["b", "a"]
    # An end is of the run that its name says, with all that was said at its start.
    run = run_of(relay, begun["id"])
    assert run["started_at"] == begun["started_at"]
    assert run["duration_seconds"] > 0
    assert run["expectation"] == {"min_interval": "10m"}
    response = relay.post(PING, "job=a&status=fail&rid=7", FORM)
    assert response.status == 409


def test_warnings_are_lines_of_the_answer(relay: HTTPClient) -> None:
    form = "job=a&status=start&schedule=0 3 * * *&tz=Europe/Berlim"
    assert ping(relay, form) == (
        'OK\nwarning: tz: "Europe/Berlim" is not a time zone known here, '
        "so that the schedule is read as UTC; did you mean Europe/Berlin?\n"
    )


def test_a_plus_that_nobody_encoded_is_asked_for(relay: HTTPClient) -> None:
    form = "job=a&status=start&schedule=0 3 * * *&tz=Etc/GMT+1"
    assert ping(relay, form) == (
        'OK\nwarning: tz: "Etc/GMT 1" is not a time zone known here, so that the '
        "schedule is read as UTC; did you mean Etc/GMT+1? write + as %2B, or use "
        "--data-urlencode\n"
    )


@pytest.mark.parametrize(
    ("form", "field", "text"),
    [
        ("", "job", "job: is missing"),
        ("job=a", "status", "status: is missing; write start, success or fail"),
        ("job=a&status=done", "status", 'not "done"'),
        ("job=a&stauts=fail", None, "did you mean status?"),
        ("job=%ff&status=start", "job", 'must be UTF-8 text, not "\\xff"'),
        ("job=a&status=start&every=1", "every", 'every: "1" is not a duration'),
    ],
)
def test_a_ping_that_cannot_be_understood_is_refused(
    relay: HTTPClient, form: str, field: str | None, text: str
) -> None:
    response = relay.post(PING, form, FORM)
    assert response.status == 400
    assert text in response.text
    assert response.text.count("\n") == 1
    problem = problem_of(relay.post(PING, form, {**FORM, **JSON}))
    assert (problem.get("field"), problem["status"]) == (field, 400)


def test_a_form_is_limited_like_a_query_string(start_relay: StartRelay) -> None:
    relay = start_relay("--limit.target-bytes=100")
    assert relay.post(PING, "job=a&status=start&rid=" + "x" * 100, FORM).status == 413
    assert relay.post(PING, "&".join(["a=1"] * 20), FORM).status == 400


def test_only_post_is_a_ping(relay: HTTPClient) -> None:
    for method in ("GET", "HEAD", "PUT"):
        response = relay.request(method, PING + "?job=a&status=start")
        assert response.status == 405
        assert response.header("Allow") == "OPTIONS, POST"
        if method != "HEAD":
            assert response.text == "Method Not Allowed; use POST\n"
    assert jobs_of(relay) == []


@needs_curl
def test_curl_pings(relay: HTTPClient) -> None:
    url = f"http://{relay.address}{PING}"
    curl = ["curl", "-fsS", url, "-d", "job=nightly"]
    said = ["-d", "status=start", "--data-urlencode", "schedule=0 3 * * 1+2"]
    failed = subprocess.run([*curl, *said], capture_output=True, text=True)
    assert failed.returncode == 22
    said[-1] = "schedule=0 3 * * 1-5"
    done = subprocess.run([*curl, *said], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "OK\n", "")
    assert job_of(relay)["expectation"]["schedule"] == "0 3 * * 1-5"
