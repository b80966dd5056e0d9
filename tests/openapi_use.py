"""The OpenAPI document, as tests hold it against relays."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import schemathesis
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from relay_process import Response
from schemathesis import GenerationMode

from pushrelay.web.openapi import openapi_json

PREFIX = "/api/v1"
DOCUMENT: dict[str, Any] = json.loads(openapi_json())


@dataclass(frozen=True)
class Operation:
    """What the document says of a method of a path, which has placeholders."""

    method: str
    path: str
    described: dict[str, Any]
    parameters: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def target(self, **values: str) -> str:
        """Return the path below the host, with `values` for its placeholders."""
        return PREFIX + self.path.format(**values)

    def names(self, where: str) -> list[str]:
        """Return the names of its parameters in the `query`, `header` or `path`."""
        return [each["name"] for each in self.parameters if each["in"] == where]

    @property
    def body(self) -> dict[str, Any]:
        """What its body is by media type; empty if it has none."""
        described = resolved(self.described.get("requestBody", {}))
        content: dict[str, Any] = described.get("content", {})
        return content

    def answer(self, status: int) -> dict[str, Any]:
        """Return what an answer with this status is."""
        responses = self.described["responses"]
        assert str(status) in responses, f"{self} does not say that it may be {status}"
        return resolved(responses[str(status)])


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """Return what `described` refers to, or itself."""
    while "$ref" in described:
        found: Any = DOCUMENT
        for name in described["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        described = found
    return described


def operations() -> Iterator[Operation]:
    """Yield all that the document describes."""
    for path, item in DOCUMENT["paths"].items():
        shared = item.get("parameters", [])
        for method, described in item.items():
            if method != "parameters":
                parameters = [*shared, *described.get("parameters", [])]
                found = [resolved(each) for each in parameters]
                yield Operation(method.upper(), path, described, found)


OPERATIONS = {str(operation): operation for operation in operations()}


def validator(schema: dict[str, Any], *, closed: bool = False) -> Draft202012Validator:
    """Return what holds instances against `schema`, which may refer to components.

    closed: whether objects may have no members but those that their schemas name.
    """
    return _validator(json.dumps(schema), closed)


@cache
def _validator(written: str, closed: bool) -> Draft202012Validator:
    # The dialect of OpenAPI has beyond that of the draft only what says nothing of
    # instances.
    schema, components = json.loads(written), DOCUMENT["components"]
    if closed:
        schema, components = _closed(schema), _closed(components)
    # What else stands there are no schemas.
    named = {"schemas": components["schemas"]}
    return Draft202012Validator({**schema, "components": named}, validate_formats=True)


def schema_named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def check(operation: Operation, response: Response) -> Any:
    """Assert that the document says of `response` what it is; return its body."""
    described = operation.answer(response.status)
    for name in described.get("headers", {}):
        header = validator(resolved(described["headers"][name])["schema"])
        for field, value in response.headers:
            if field.lower() == name.lower():
                header.validate(value)
    content = described.get("content", {})
    kind = (response.header("content-type") or "").partition(";")[0]
    if not kind:
        assert not response.body
        return None
    assert kind in content, f"{operation} does not say that it answers {kind}"
    if "json" not in kind:
        return response.text
    body = json.loads(response.body)
    validator(content[kind]["schema"], closed=True).validate(body)
    return body


def _closed(schema: Any) -> Any:
    """Return `schema` with all objects that have `properties` closed to others."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return copy.copy(schema)
    closed = {name: _closed(value) for name, value in schema.items()}
    # A condition looks at some members only.
    for condition in {"if", "then", "else"} & closed.keys():
        closed[condition] = schema[condition]
    if isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def instances_of(name: str) -> st.SearchStrategy[Any]:
    """Return JSON values that the schema `name` allows."""
    content = {"application/json": {"schema": schema_named(name)}}
    operation = {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "taken"}},
    }
    document = {
        **{"openapi": "3.1.0", "info": {"title": name, "version": "1"}},
        **{"paths": {"/": {"post": operation}}},
        "components": {"schemas": DOCUMENT["components"]["schemas"]},
    }
    taker = schemathesis.openapi.from_dict(document)["/"]["POST"]
    cases = taker.as_strategy(generation_mode=GenerationMode.POSITIVE)
    return cases.map(lambda case: case.body)
