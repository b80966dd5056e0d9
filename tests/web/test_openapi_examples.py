"""What the OpenAPI document shows as examples is true: requests are taken, and answers
are as they are described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from in_process import InProcessRelay
from openapi_use import DOCUMENT, OPERATIONS, Operation, check, resolved, validator
from relay_process import Response
from relay_use import Clock
from run_reports import ID, NOW

from pushrelay.web.exchange import Exchange

PLACES = {"id": str(ID), "job": "nightly-report"}
PLACES_IN_BASE64 = {"job": "bmlnaHRseS1yZXBvcnQ"}
NEEDED = {
    "DELETE /groups": {"older_than": "7d"},
    "POST /ping": {"job": "x", "status": "success"},
    "POST /jobs/{job}/pause": {"until": "1h"},
    "POST /jobs@base64/{job}/pause": {"until": "1h"},
}
"""Parameters that must be there, though any one of them need not."""

BESIDE = {
    "tz": {"schedule": "0 3 * * *"},
    "grace": {"every": "1h"},
    "per_instance": {"every": "1h"},
}
"""Parameters that belong to others."""

INSTEAD = {"exit_code": "status"}

RUN_DOCUMENT = OPERATIONS["PUT /runs/{id}"].body["application/json"]

each_operation = pytest.mark.parametrize(
    "operation", OPERATIONS.values(), ids=OPERATIONS.keys()
)


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessRelay]:
    with InProcessRelay(tmp_path_factory.mktemp("relay"), Clock(NOW)) as relay:
        yield relay


@pytest.fixture
def known(in_process: InProcessRelay) -> InProcessRelay:
    """A relay that knows what the examples are about."""
    job = PLACES["job"]
    for path, body in {
        f"/metrics/job/{job}/instance/db1": "x 1\n",
        f"/api/v1/runs/{ID}": json.dumps(examples_of(RUN_DOCUMENT)[-1]),
        f"/api/v1/jobs/{job}/expectation": json.dumps({"every": "1h"}),
    }.items():
        assert in_process.put(path, body).status == 200
    return in_process


def send(
    relay: InProcessRelay,
    operation: Operation,
    query: dict[str, Any],
    body: tuple[str, str] | None = None,
    **headers: str,
) -> Response:
    """Send a request; body: its type, and what is in it."""
    kind, text = body or (next(iter(operation.body), ""), "")
    if text == "" and kind == "application/json":
        text = json.dumps(examples_of(operation.body[kind])[-1])
    fields = {"Content-Type": kind, "Accept": "application/json", **headers}
    places = PLACES | (PLACES_IN_BASE64 if "@base64" in operation.path else {})
    target = f"{operation.target(**places)}?{urlencode(query, doseq=True)}"
    return relay.request(operation.method, target, text, fields)


def examples_of(described: dict[str, Any]) -> list[Any]:
    """Return the examples of a parameter, of a body or of an answer."""
    named = [each["value"] for each in described.get("examples", {}).values()]
    return [*named, *([described["example"]] if "example" in described else [])]


def needed(operation: Operation) -> dict[str, Any]:
    """Return the parameters without which the query means nothing."""
    required = {
        each["name"]: each["example"]
        for each in operation.parameters
        if each["in"] == "query" and each.get("required")
    }
    return required | NEEDED.get(str(operation), {})


@each_operation
def test_a_request_is_answered_as_described_and_its_headers_are_those(
    operation: Operation, known: InProcessRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    header = Exchange.header

    def noted(exchange: Exchange, name: str) -> str | None:
        asked.add(name)
        return header(exchange, name)

    monkeypatch.setattr(Exchange, "header", noted)
    response = send(known, operation, needed(operation))
    assert response.status in (200, 202), response.text
    check(operation, response)
    documented = {name.lower() for name in operation.names("header")}
    assert ("content-encoding" in documented) == bool(operation.body)
    own = {"idempotency-key", *(n for n in asked if n.startswith("x-pushrelay-"))}
    assert asked & own == documented - {"content-encoding"}


def parameter_examples() -> Iterator[Any]:
    for name, operation in OPERATIONS.items():
        for parameter in operation.parameters:
            values = examples_of(parameter) or parameter["schema"].get("enum", [])
            for value in values:
                if (
                    parameter["in"] != "path"
                    and parameter["name"] != "Content-Encoding"
                ):
                    yield pytest.param(
                        operation,
                        parameter,
                        value,
                        id=f"{name} {parameter['name']}={value}",
                    )


@pytest.mark.parametrize(("operation", "parameter", "value"), [*parameter_examples()])
def test_parameters_may_be_as_they_are_shown(
    operation: Operation, parameter: dict[str, Any], value: Any, known: InProcessRelay
) -> None:
    validator(parameter["schema"]).validate(value)
    query, headers, name = needed(operation), {}, parameter["name"]
    if parameter["in"] == "header":
        headers = {name: value}
    else:
        query.pop(INSTEAD.get(name, ""), None)
        given = value if isinstance(value, dict) else {name: value}
        query |= BESIDE.get(name, {}) | given
    check(operation, response := send(known, operation, query, **headers))
    assert response.status == 200, response.text


def body_examples() -> Iterator[Any]:
    for name, operation in OPERATIONS.items():
        for kind, described in operation.body.items():
            for position, value in enumerate(examples_of(described)):
                yield pytest.param(
                    operation, kind, value, id=f"{name} {kind} {position}"
                )


@pytest.mark.parametrize(("operation", "kind", "value"), [*body_examples()])
def test_bodies_may_be_as_they_are_shown(
    operation: Operation, kind: str, value: Any, known: InProcessRelay
) -> None:
    validator(operation.body[kind]["schema"], closed=True).validate(value)
    written = {
        "application/json": json.dumps,
        "application/x-www-form-urlencoded": urlencode,
    }.get(kind, str)(value)
    query = needed(operation)
    if kind == "application/x-www-form-urlencoded":
        query = {}
    response = send(known, operation, query, (kind, written))
    assert response.status == 200, response.text
    check(operation, response)


def response_examples() -> Iterator[Any]:
    for name, response in DOCUMENT["components"]["responses"].items():
        for kind, described in response.get("content", {}).items():
            for value in examples_of(described):
                yield pytest.param(described["schema"], value, id=f"{name} {kind}")
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if "example" in schema:
            yield pytest.param(schema, schema["example"], id=f"schema {name}")


@pytest.mark.parametrize(("schema", "value"), [*response_examples()])
def test_answers_are_shown_as_they_are_described(
    schema: dict[str, Any], value: Any
) -> None:
    validator(resolved(schema), closed=True).validate(value)
