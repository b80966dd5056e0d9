"""The OpenAPI document says what the code does: its routes, parameters and words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from uuid import uuid4

import pytest
from in_process import InProcessRelay
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_use import DOCUMENT, OPERATIONS, PREFIX, Operation, check, resolved
from relay_use import Clock

from pushrelay import pings, run_documents
from pushrelay.aggregation import Mode
from pushrelay.config import Settings
from pushrelay.expectations import Source
from pushrelay.group_list import Order
from pushrelay.group_list import State as GroupState
from pushrelay.model import MetricType
from pushrelay.problems import MEMBERS
from pushrelay.run_states import State as JobState
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.store.run_list import STATES
from pushrelay.web import importing
from pushrelay.web.answers import MOST_ENTRIES, USUAL_LIMIT
from pushrelay.web.errors import _LIMIT_STATUS, _STATUS
from pushrelay.web.jobs import MOST_KEYS
from pushrelay.web.parameters import _FLAGS
from pushrelay.web.push_request import LONGEST_IDEMPOTENCY_KEY
from pushrelay.web.query_api import READ_CORS_HEADERS
from pushrelay.web.routing import Found, Router

each_operation = pytest.mark.parametrize(
    "operation", OPERATIONS.values(), ids=OPERATIONS.keys()
)
ROUTER = Router(Settings(enable_admin_api=True))
PLACES = {"id": str(uuid4()), "job": "eA"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessRelay]:
    """A relay with a route prefix."""
    settings = Settings(enable_admin_api=True, route_prefix="/p")
    directory = tmp_path_factory.mktemp("relay")
    with InProcessRelay(directory, Clock(), settings=settings) as relay:
        yield relay


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_relay_serves_it_to_pages_of_any_origin(asked: InProcessRelay) -> None:
    response = asked.get(f"/p{PREFIX}/openapi.json")
    assert check(OPERATIONS["GET /openapi.json"], response) == DOCUMENT
    options = asked.request("OPTIONS", f"/p{PREFIX}/openapi.json")
    for name, value in READ_CORS_HEADERS:
        assert response.header(name) == options.header(name) == value


def test_its_server_is_where_it_is_served_from() -> None:
    # What a browser makes of it, with any prefix and without a final slash.
    assert DOCUMENT["servers"][0]["url"] == "../" + PREFIX.rsplit("/", 1)[1]


@each_operation
def test_every_operation_has_a_route(operation: Operation) -> None:
    assert isinstance(
        ROUTER.resolve(operation.method, operation.target(**PLACES)), Found
    )


def test_every_route_has_an_operation() -> None:
    described = {
        (ROUTER.resolve(each.method, each.target(**PLACES)), each.method)
        for each in OPERATIONS.values()
    }
    names = {(found.name, method) for found, method in described}
    routes = [*ROUTER._api, *ROUTER._parts_of_jobs]
    assert names == {(route.name, m) for route in routes for m in route.methods}


@each_operation
def test_an_operation_asks_for_the_right_of_its_route(operation: Operation) -> None:
    found = ROUTER.resolve(operation.method, operation.target(**PLACES))
    assert isinstance(found, Found)
    security = operation.described.get("security", DOCUMENT["security"])
    assert security == [{"bearer": [found.right]}, {"basic": [found.right]}, {}]


def test_jobs_have_the_same_operations_by_both_ways_to_name_them() -> None:
    for name, operation in OPERATIONS.items():
        if "/jobs/{job}" in name:
            other = OPERATIONS[name.replace("/jobs/", "/jobs@base64/")]
            differing = {"operationId"}
            described, also = operation.described, other.described
            assert {k for k in described if described[k] != also[k]} == differing


def test_operations_have_names_of_their_own() -> None:
    ids = [each.described["operationId"] for each in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


# --- parameters ---

IGNORING = {
    "GET /status",
    "GET /metrics",
    "GET /openapi.json",
    "GET /runs/{id}",
    "PUT /runs/{id}",
    "GET /jobs/{job}",
    "GET /jobs@base64/{job}",
    "PUT /admin/wipe",
}
"""Operations without parameters in the query, which ignore all."""


@each_operation
def test_the_parameters_of_the_document_are_those_that_are_taken(
    operation: Operation, asked: InProcessRelay
) -> None:
    headers = {
        "Accept": "application/json",
        "Content-Type": next(iter(operation.body), ""),
    }
    target = f"/p{operation.target(**PLACES)}?qqqqqq=1"
    response = asked.request(operation.method, target, "", headers)
    documented = set(operation.names("query"))
    if str(operation) in IGNORING:
        assert not documented
        return
    assert response.status == 400
    named = re.fullmatch(
        r".*(?:what can be given here is|; write) (.*)",
        json.loads(response.body)["detail"],
    )
    assert named
    taken = set(re.split(r", (?:or )?", named[1])) - {"nothing"}
    renamed = {"label.NAME": "labels"}
    assert {renamed.get(name, name) for name in taken} == documented


HELD = {
    "RunState": STATES,
    "GroupState": [state.value for state in GroupState],
    "Sort": [order.value for order in Order],
    "Mode": [mode.value for mode in Mode if mode is not Mode.REPLACE],
    "ModeHeader": [mode.value for mode in Mode if mode is not Mode.REPLACE],
    "PutMode": [Mode.REPLACE.value],
    "PutModeHeader": [Mode.REPLACE.value],
    "DryRun": list(_FLAGS),
    "PerInstance": ["true", "false"],
    "Spooled": ["true"],
    "ContentEncoding": ["gzip", "snappy"],
}
"""What the parameters of the document may be, where it is one of some words."""


def test_parameters_may_be_what_the_code_takes() -> None:
    described = {
        name: resolved(parameter["schema"]).get("enum")
        for name, parameter in DOCUMENT["components"]["parameters"].items()
    }
    assert described.pop("JobState") == [state.value for state in JobState]
    assert described.pop("PingStatus") == [status.value for status in pings._Status]
    found = {name: enum for name, enum in described.items() if enum}
    assert {n: sorted(e) for n, e in found.items()} == {
        n: sorted(e) for n, e in HELD.items()
    }


def test_members_may_be_what_the_code_has() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Outcome"]["enum"] == [outcome.value for outcome in Outcome]
    types = schemas["Family"]["properties"]["type"]["enum"]
    assert types == [type_.name for type_ in MetricType]
    sources = schemas["Job"]["properties"]["expectation_from"]["enum"]
    assert sources == [*[source.value for source in Source], None]
    states = schemas["Group"]["properties"]["state"]["enum"]
    assert states == [state.value for state in GroupState]


def test_limits_are_those_of_the_code() -> None:
    parameters = DOCUMENT["components"]["parameters"]
    limit = parameters["Limit"]["schema"]
    assert (limit["maximum"], limit["default"]) == (MOST_ENTRIES, USUAL_LIMIT)
    assert (
        parameters["IdempotencyKey"]["schema"]["maxLength"] == LONGEST_IDEMPOTENCY_KEY
    )
    keys = DOCUMENT["components"]["schemas"]["Job"]["properties"]["keys"]
    assert keys["maxItems"] == MOST_KEYS


def test_every_operation_says_what_errors_there_are() -> None:
    kinds = [*_STATUS.values(), *_LIMIT_STATUS.values(), 401, 403, 417, 429, 431]
    of_some = {404, 409, 410, 413}
    for operation in OPERATIONS.values():
        described = {int(status) for status in operation.described["responses"]}
        assert set(kinds) - of_some <= described


# --- fields ---


def test_fields_of_documents_are_those_that_are_taken() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    expectation = {field.name for field in fields(Expectation)}
    assert schemas["Expectation"]["properties"].keys() == expectation
    ping = set(pings._KNOWN)
    assert schemas["Ping"]["properties"].keys() == ping
    run = {*run_documents._START_FIELDS, *run_documents._END_FIELDS}
    document = schemas["RunDocument"]
    assert document["properties"].keys() == run
    assert document["else"]["properties"].keys() == set(run_documents._END_FIELDS)
    usage = {"user_seconds", "system_seconds", *run_documents._COUNTS}
    assert document["properties"]["usage"]["properties"].keys() == usage
    assert schemas["ImportLine"]["properties"].keys() == importing._FIELDS
    assert schemas["PushProblem"]["properties"].keys() == set(MEMBERS)
