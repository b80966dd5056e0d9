"""What the OpenAPI document says of bodies is what the code takes: no more, but for
what no schema can say, and no less."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fuzz_profile import fuzzing
from hypothesis import given
from hypothesis import strategies as st
from openapi_use import instances_of, schema_named, validator
from run_reports import DOCUMENTS, FINISH, ID, NOW, START

from pushrelay.errors import PushrelayError
from pushrelay.expectation_documents import parse_expectation
from pushrelay.pings import parse_ping
from pushrelay.run_documents import parse_run
from pushrelay.web.importing import _lines

Reader = Callable[[Any], object]


def read_run(document: Any) -> object:
    body = json.dumps(document).encode()
    return parse_run(body, ID, NOW, utf8_names=False)


def read_new_run(document: Any) -> object:
    """Read a run document as if its times were near and its id were right."""
    near = FINISH if document["state"] == "finished" else START
    times = {name: near[name] for name in near if name.endswith("_at")}
    return read_run({**document, **times, "id": None})


def read_ping(form: Any) -> object:
    return parse_ping(list(form.items()), NOW, utf8_names=False)


def read_whole_ping(form: Any) -> object:
    """Read a ping as if it had said what it must."""
    return read_ping({**form, "job": "x", "status": "success", "exit_code": "0"})


def read_line(document: Any) -> object:
    return list(_lines(json.dumps(document).encode()))


def read_times(document: Any) -> object:
    """Read a line of an import as if it had said when it was pushed."""
    return read_line({**document, "pushed_at_ns": 1})


LABELS = [
    "is no label name; write",
    "is a label of the relay's own series of runs",
    "is not the job, .*; write one of them",
    "stands beside label.instance",
]
EXPECTATIONS = [
    "stands beside .*; write one of them",
    "(grace|tz): .* needs schedule",
    "says nothing; write schedule",
    "(every|grace|max_runtime|min_interval): .* (is out of bounds|is not a duration)",
    "(every|grace|max_runtime|min_interval): .* is too long",
    "schedule: ",
    "on_calendar: ",
]
PRINTABLE = ["(host|rid): must be 1 to 255 printable characters"]
BEYOND = {
    "RunDocument": (read_new_run, [*LABELS, *EXPECTATIONS, *PRINTABLE]),
    "Expectation": (parse_expectation, EXPECTATIONS),
    "Ping": (read_whole_ping, [*LABELS, *EXPECTATIONS, *PRINTABLE]),
    "ImportLine": (read_times, ["families is not base64", "is not null or whole"]),
}
"""What is refused for reasons that no schema can give: grammars, what belongs together,
what depends on a flag."""


@pytest.mark.parametrize("name", BEYOND)
@fuzzing(50)
@given(data=st.data())
def test_what_a_schema_allows_is_taken_or_breaks_a_rule_that_it_cannot_say(
    name: str, data: st.DataObject
) -> None:
    read, known = BEYOND[name]
    instance = data.draw(instances_of(name))
    refused = ""
    try:
        read(instance)
    except PushrelayError as error:
        refused = str(error)
    assert not refused or re.search("|".join(known), refused, re.S), refused


WORDS = st.sampled_from(
    [
        "1h",
        "0",
        "0 3 * * *",
        "*-*-* 03:00",
        "UTC",
        "start",
        "success",
        "true",
        "1",
        "-1",
    ]
)
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
FORMS = st.dictionaries(
    st.sampled_from(
        [
            *("job", "status", "exit_code", "rid", "instance", "label.a", "schedule"),
            *("on_calendar", "tz", "every", "grace", "max_runtime", "per_instance"),
        ]
    )
    | st.text(),
    WORDS | st.text(),
)
GIVEN: dict[str, tuple[Reader, st.SearchStrategy[Any]]] = {
    "RunDocument": (read_run, DOCUMENTS),
    "Expectation": (
        parse_expectation,
        st.dictionaries(
            st.sampled_from(["schedule", "every", "tz", "grace", "per_instance"])
            | st.sampled_from(["max_runtime", "min_interval", "on_calendar"])
            | st.text(),
            WORDS | ANYTHING,
            max_size=4,
        ),
    ),
    "Ping": (read_ping, FORMS.map(lambda form: {"job": "x", "exit_code": "0", **form})),
    "ImportLine": (
        read_line,
        st.builds(
            lambda given: {"labels": {"job": "x"}, "pushed_at_ns": 1, **given},
            st.dictionaries(
                st.sampled_from(["labels", "families", "families_pushed_at_ns"])
                | st.sampled_from(["pushed_at_ns", "failed_at_ns"])
                | st.text(),
                st.sampled_from(["", "AAAA", "AAA=", {}, {"a": 0}, {"a": None}])
                | ANYTHING,
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", GIVEN)
@fuzzing(40)
@given(data=st.data())
def test_what_is_taken_is_what_the_schema_allows(
    name: str, data: st.DataObject
) -> None:
    read, instances = GIVEN[name]
    instance = data.draw(instances)
    try:
        read(instance)
    except PushrelayError:
        return
    taken = validator(schema_named(name))
    # Members that are not known may be null, which the schema does not say.
    taken.validate(instance if name == "ImportLine" else without_nulls(instance))


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {n: without_nulls(v) for n, v in value.items() if v is not None}
