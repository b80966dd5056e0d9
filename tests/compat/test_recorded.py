"""Requests of real clients, byte for byte, and what a Pushgateway 1.11.3 made of them.

`recorded/<client>-<version>/<case>.http` is what the client sent, the JSON file beside
it is the answer and the state that was recorded. Only what is listed here may differ.
`recorded/client_refusals.json` tells which cases a client refused to send.
"""

from __future__ import annotations

import base64
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from exposition_page import BOOKKEEPING, Sample, read_page
from metric_messages import CONTENT_TYPE, parse_family, read_delimited
from relay_process import HTTPClient, RelayProcess, Response, by_labels

RECORDED = Path(__file__).parent / "recorded"
CASES = sorted(
    str(path.relative_to(RECORDED).with_suffix(""))
    for path in RECORDED.glob("*/*.json")
)
INCONSISTENT = "pushed metrics are invalid or inconsistent with existing metrics: "
ALLOW_UTF8 = "text/plain;version=1.0.0;escaping=allow-utf-8"
BOOKED_FIELDS = ("push_time_is_zero", "push_failure_time_is_zero")
COMPARED_HEADERS = ("Allow", "Content-Type", "Location")

# Refused by the HTTP server before the relay sees them.
REFUSED_BY_THE_SERVER = {
    "bash_dev_tcp-5.2/post_bare_lf": "lines that end in LF alone",
    "bash_dev_tcp-5.2/post_length_and_chunked": "a length beside chunks",
    "bash_dev_tcp-5.2/post_raw_utf8_path": "a target that is not ASCII",
    "curl-7.88.1/lowercase_method": "a method in lower case",
}
# The Pushgateway refuses these as well, but books the failure and is wedged by it.
POISON = {
    "curl-7.88.1/path_base64_bad_utf8": "a grouping value that is not UTF-8",
    "curl-7.88.1/path_percent_invalid_utf8": "a grouping value that is not UTF-8",
}
REFUSED = {**REFUSED_BY_THE_SERVER, **POISON}
# The Pushgateway refuses these.
TAKEN = {"curl-7.88.1/body_selftype": "go_goroutines is no metric of the relay"}
# The words are those of Go's HTTP server.
OTHER_WORDS = {
    "bash_dev_tcp-5.2/post_no_host",
    "bash_dev_tcp-5.2/post_raw_space_path",
    "bash_dev_tcp-5.2/post_two_content_lengths",
    "curl-7.88.1/post_expect_unknown",
}


@cache
def _recorded(case: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((RECORDED / f"{case}.json").read_text())
    return recorded


FLAGGED = [case for case in CASES if "server_flags_new" in _recorded(case)]
PLAIN = [case for case in CASES if case not in {*FLAGGED, *REFUSED, *TAKEN}]


@pytest.mark.parametrize("case", PLAIN)
def test_a_recorded_request_does_what_it_did(relay: HTTPClient, case: str) -> None:
    recorded = _recorded(case)
    response = _replay(relay, case)
    assert response.status == recorded["status_new"], response.text
    if case not in OTHER_WORDS:
        _assert_text(response, recorded["response_body_new"])
        _assert_headers(response, recorded["response_headers_new"])
    _assert_samples(relay, recorded, recorded["samples"])
    _assert_groups(relay, recorded)
    _assert_api(relay, recorded)
    _assert_native_histograms(relay, recorded)


@pytest.mark.parametrize("case", FLAGGED)
def test_a_recorded_request_does_what_it_did_with_utf8_names(
    utf8_relay: RelayProcess, case: str
) -> None:
    recorded = _recorded(case)
    assert recorded["server_flags_new"] == ["--push.enable-utf8-names"]
    response = _replay(utf8_relay, case)
    assert response.status == recorded["status_new"], response.text
    _assert_text(response, recorded["response_body_new"])
    _assert_samples(utf8_relay, recorded, recorded["samples"])
    _assert_api(utf8_relay, recorded)
    _assert_native_histograms(utf8_relay, recorded)


@pytest.mark.parametrize("case", FLAGGED)
def test_a_recorded_request_does_what_it_did_without_utf8_names(
    relay: HTTPClient, case: str
) -> None:
    recorded = _recorded(case)
    response = _replay(relay, case)
    assert response.status == recorded["status_new_without_flags"], response.text
    _assert_text(response, recorded["response_body_new_without_flags"])
    samples = recorded.get("samples_new_without_flags", recorded["samples"])
    _assert_samples(relay, recorded, samples)


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_on_purpose_is_stored(relay: HTTPClient, case: str) -> None:
    assert _replay(relay, case).status == 200
    assert relay.grouping_keys() == [_recorded(case)["grouping"]]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_on_purpose_leaves_no_trace(
    relay: HTTPClient, case: str
) -> None:
    response = _replay(relay, case)
    assert 400 <= response.status < 500
    assert relay.groups() == []
    assert relay.put("/metrics/job/other", "a 1\n").status == 200


def test_the_recordings_are_complete() -> None:
    assert len(CASES) == 647
    assert {*REFUSED, *TAKEN, *OTHER_WORDS} <= set(CASES)
    requests = {path.with_suffix("") for path in RECORDED.glob("*/*.http")}
    assert requests == {RECORDED / case for case in CASES}


def _replay(relay: HTTPClient, case: str) -> Response:
    path = RECORDED / f"{case}.http"
    for name in _recorded(case).get("requires", []):
        relay.send((path.parent / name).read_bytes())
    return relay.send(path.read_bytes())


def _assert_text(response: Response, recorded: str) -> None:
    """Compare the text, as far as it is not the debug form of Go's messages."""
    if recorded.startswith(INCONSISTENT) and "timestamps" not in recorded:
        assert response.text.startswith(INCONSISTENT)
    else:
        assert response.text == recorded


def _assert_headers(response: Response, recorded: dict[str, str]) -> None:
    expected = {n: value for n, value in recorded.items() if n in COMPARED_HEADERS}
    assert {name: response.header(name) for name in expected} == expected


def _assert_samples(
    relay: HTTPClient, recorded: dict[str, Any], samples: list[dict[str, Any]]
) -> None:
    """Compare the samples that carry the grouping labels and no other group's."""
    key, others = recorded["grouping"], recorded.get("other_groups_left", [])

    def is_own(sample: Sample) -> bool:
        # It may have counted refusals of the same job.
        if sample.name == "pushrelay_pushes_rejected_total":
            return False
        labels = dict(sample.labels).items()
        keys = [other for other in [key, *others] if other.items() <= labels]
        return bool(keys) and max(keys, key=len) == key

    found = filter(is_own, read_page(relay.page(ALLOW_UTF8)))
    expected = filter(is_own, map(_recorded_sample, samples))
    assert sorted(map(_comparable, found)) == sorted(map(_comparable, expected))


def _recorded_sample(sample: dict[str, Any]) -> Sample:
    labels = tuple(sorted(sample["labels"].items()))
    return Sample(sample["name"], labels, sample["value"], sample["type"])


def _comparable(sample: Sample) -> tuple[Any, ...]:
    """Return what of `sample` was recorded; floats by value, all NaN alike."""
    if sample.name in BOOKKEEPING:
        return sample._replace(value="")
    number = float(sample.value)
    return sample._replace(value="NaN" if math.isnan(number) else repr(number + 0))


def _assert_groups(relay: HTTPClient, recorded: dict[str, Any]) -> None:
    """Compare which groups there are, and whether their last pushes were taken."""
    others = recorded.get("other_groups_left", [])
    is_left = recorded.get("api_v1_metrics", {}) is not None
    keys = others + [recorded["grouping"]] * is_left
    assert relay.grouping_keys() == sorted(keys, key=by_labels)
    if others:
        return  # the two fields tell of any group then
    samples = read_page(relay.page())
    for name, field in zip(BOOKKEEPING, BOOKED_FIELDS, strict=True):
        zeros = [float(s.value) == 0 for s in samples if s.name == name]
        assert zeros == [recorded[field]] * is_left


def _assert_api(relay: HTTPClient, recorded: dict[str, Any]) -> None:
    if "api_v1_metrics" not in recorded:
        return
    group = relay.group(**recorded["grouping"])
    for name, family in (group or {}).items():
        if isinstance(family, dict) and "time_stamp" in family:
            family["time_stamp"] = None
        if name in BOOKKEEPING:
            family["metrics"][0]["value"] = None
    assert group == recorded["api_v1_metrics"]


def _assert_native_histograms(relay: HTTPClient, recorded: dict[str, Any]) -> None:
    if "native_histograms" not in recorded:
        return
    response = relay.get("/metrics", {"Accept": CONTENT_TYPE.replace(" ", "")})
    families = {family.name: family for family in read_delimited(response.body)}
    for histogram in recorded["native_histograms"]:
        expected = parse_family(base64.b64decode(histogram["metric_family_base64"]))
        assert families[histogram["name"]] == expected
