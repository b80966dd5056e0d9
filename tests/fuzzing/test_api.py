"""Whatever is sent to the API, as the OpenAPI document allows or not, is answered as
the document says, and never with a fault of the relay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from fuzz_profile import fuzzing
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from openapi_use import (
    DOCUMENT,
    OPERATIONS,
    PREFIX,
    Operation,
    check,
    instances_of,
)
from relay_process import ANSWER_DEADLINE, RelayProcess, Response, StartRelay
from run_http import finish, report
from run_reports import ID
from schemathesis import Case, GenerationMode

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
FAULTS = (500, 503)
LINES = st.lists(
    st.sampled_from(
        [
            *("# TYPE x counter", "# TYPE x gauge", "# TYPE h histogram", "# HELP x X"),
            *('x{job="a"} 1', 'x{job="a",a="1"} NaN', 'x{job="b"} 1', 'x{a="1"} 1'),
            *('h_bucket{job="a",le="1"} 1', 'h_sum{job="a"} 1', 'h_count{job="a"} 2'),
            *('x{job="a"} 1 1', 'y{job="a"} -1', 'push_time_seconds{job="a"} 1'),
        ]
    )
).map(lambda lines: "".join(f"{line}\n" for line in lines))
IMPORTS = st.lists(instances_of("ImportLine").map(json.dumps)).map("\n".join)
BODIES = {"/groups": {"PUT": LINES, "POST": LINES}, "/admin/import": {"POST": IMPORTS}}


@pytest.fixture(scope="module")
def fuzzed(start_relay: StartRelay) -> RelayProcess:
    """A relay that knows a job and a run."""
    relay = start_relay("--web.enable-admin-api")
    report(relay, finish("ka", expectation={"every": "1h"}), str(ID))
    return relay


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def cases(operation: Operation) -> st.SearchStrategy[Case]:
    """Return requests, of which half are as the document wants them."""
    described: Any = SCHEMA[operation.path][operation.method]
    return st.one_of(
        described.as_strategy(generation_mode=mode) for mode in GenerationMode
    )


def requests_of(operation: Operation) -> st.SearchStrategy[Case]:
    """Return requests of which some are about what there is, and some have a body and a
    query that mean something."""
    accepts = st.sampled_from(["*/*", "application/json", "text/plain"])
    found = cases(operation) | st.builds(with_known, cases(operation))
    bodies = BODIES.get(operation.path, {}).get(operation.method)
    if bodies is not None:
        found |= st.builds(with_body, cases(operation), bodies)
    return st.builds(with_accept, found, accepts)


def with_known(case: Case) -> Case:
    known = {"job": "a2E" if "@base64" in case.path else "ka", "id": str(ID)}
    for name in case.path_parameters or ():
        case.path_parameters[name] = known[name]
    return case


def with_accept(case: Case, accept: str) -> Case:
    case.headers["Accept"] = accept
    return case


def with_body(case: Case, body: str) -> Case:
    if "by" in case.query:
        case.query["by"] = "job,a"
    case.headers.pop("Content-Encoding", None)
    case.body = body.encode()
    return case


def send(case: Case, relay: RelayProcess, session: requests.Session) -> Response:
    answered = case.call(
        base_url=f"http://{relay.address}{PREFIX}",
        session=session,
        timeout=ANSWER_DEADLINE,
        allow_redirects=False,
    )
    headers = [(n, ", ".join(values)) for n, values in answered.headers.items()]
    return Response(answered.status_code, headers, answered.content)


@pytest.mark.system
@pytest.mark.hypothesis
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_whatever_is_asked_is_answered_as_described(
    operation: Operation, fuzzed: RelayProcess, session: requests.Session
) -> None:
    @fuzzing(12, suppress_health_check=list(HealthCheck))
    @given(requests_of(operation))
    def test(case: Case) -> None:
        response = send(case, fuzzed, session)
        assert response.status not in FAULTS, response.text
        check(operation, response)

    test()
    assert "internal error" not in fuzzed.log
