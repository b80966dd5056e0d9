"""Runs over HTTP: what tests send of them, and what they read."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from relay_process import HTTPClient, Response

JSON = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def new_id() -> str:
    return str(uuid.uuid4())


def start(job: str = "nightly", *, ago: float = 10, **fields: Any) -> dict[str, Any]:
    """Return the document of a run of `job` that started so many seconds ago."""
    started_at = round(time.time() - ago, 3)
    return {"job": job, "state": "started", "started_at": started_at, **fields}


def finish(
    job: str = "nightly",
    outcome: str = "success",
    *,
    ago: float = 10,
    seconds: float = 4,
    **fields: Any,
) -> dict[str, Any]:
    """Return the document of such a run at its end, which took so many seconds."""
    begun = start(job, ago=ago)
    return {
        **begun,
        "state": "finished",
        "finished_at": begun["started_at"] + seconds,
        "outcome": outcome,
        **fields,
    }


def send(
    relay: HTTPClient,
    document: object,
    id_: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Send a run document, of a new run if there is no id."""
    body = document if isinstance(document, bytes) else json.dumps(document)
    return relay.put(f"/api/v1/runs/{id_ or new_id()}", body, headers)


def data_of(response: Response) -> Any:
    """Return the data of an answer, which must be a success."""
    assert response.status == 200, response.text
    assert response.header("content-type") == "application/json"
    answer = json.loads(response.body)
    assert answer.keys() == {"status", "data"}
    assert answer["status"] == "success"
    return answer["data"]


def report(relay: HTTPClient, document: object, id_: str | None = None) -> Any:
    """Return the answer to a run document that must be taken."""
    return data_of(send(relay, document, id_))


def problem_of(response: Response) -> dict[str, Any]:
    """Return the problem document that a client which asked for JSON was sent."""
    assert response.header("content-type") == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.body)
    assert problem["status"] == response.status
    return problem


def ping(relay: HTTPClient, job: str, **fields: str) -> None:
    """Report what these parameters say of a run of `job`, as curl's -d does."""
    form = urlencode({"job": job, **fields})
    response = relay.post("/api/v1/ping", form, FORM)
    assert response.status == 200, response.text


def run_once(relay: HTTPClient, job: str, **fields: str) -> None:
    """Report a run of `job` that succeeds at once; its start has the parameters."""
    ping(relay, job, status="start", **fields)
    ping(relay, job, status="success")


def run_of(relay: HTTPClient, id_: str) -> Any:
    return data_of(relay.get(f"/api/v1/runs/{id_}"))


def runs_of(relay: HTTPClient, query: str = "") -> Any:
    return data_of(relay.get(f"/api/v1/runs{query}"))


def job_of(relay: HTTPClient, job: str = "nightly") -> Any:
    return data_of(relay.get(f"/api/v1/jobs/{job}"))


def jobs_of(relay: HTTPClient, query: str = "") -> list[str]:
    """Return the names of the jobs that a list has."""
    listed = data_of(relay.get(f"/api/v1/jobs{query}"))
    return [job["job"] for job in listed["jobs"]]
