"""Runs that are reported over HTTP."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode

from relay_process import HTTPClient, Response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ping(relay: HTTPClient, job: str, **fields: str) -> None:
    """Report what these parameters say of a run of `job`, as curl's -d does."""
    form = urlencode({"job": job, **fields})
    answered(relay.post("/api/v1/ping", form, FORM))


def run_once(relay: HTTPClient, job: str, **fields: str) -> None:
    """Report a run of `job` that succeeds at once; its start has the parameters."""
    ping(relay, job, status="start", **fields)
    ping(relay, job, status="success")


def report(relay: HTTPClient, id_: uuid.UUID, **document: Any) -> None:
    """Report what a document says of the run `id_`."""
    answered(relay.put(f"/api/v1/runs/{id_}", json.dumps(document)))


def answered(response: Response) -> None:
    """See that a request was taken."""
    assert response.status in (200, 201, 202), response.text
