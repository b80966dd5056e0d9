"""Requests that browsers send for pages of other origins."""

from __future__ import annotations

import json

import pytest
from relay_process import HTTPClient, RelayProcess, StartRelay

from pushrelay.web.origin import origin_of

EVIL = "https://evil.example"


def own_origin(relay: HTTPClient) -> str:
    return f"http://{relay.address}"


WRITES = [
    ("PUT", "/metrics/job/x"),
    ("POST", "/metrics/job/x"),
    ("DELETE", "/metrics/job/kept"),
    ("PUT", "/metrics/job/x/"),
    ("PUT", "//metrics/job/x"),
    ("POST", "/api/v1/groups?by=job"),
    ("DELETE", '/api/v1/groups?match[]={job="kept"}'),
    ("PUT", "/api/v1/runs/8b7c7d5e-3f0e-4b57-9a5c-2f3f3c1d5a10"),
    ("POST", "/api/v1/ping?job=x"),
    ("DELETE", "/api/v1/jobs/kept"),
    ("PUT", "/api/v1/jobs/kept/expectation"),
    ("POST", "/api/v1/jobs/kept/pause"),
    ("PUT", "/api/v1/admin/wipe"),
    ("POST", "/api/v1/admin/import"),
    ("POST", "/-/reload"),
    ("POST", "/-/quit"),
    ("POST", "/nowhere"),
    ("PATCH", "/metrics"),
    ("BREW", "/"),
]

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": EVIL},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "unheard-of"},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1"},
]


@pytest.fixture(scope="module")
def open_relay(start_relay: StartRelay) -> RelayProcess:
    relay = start_relay("--web.enable-admin-api", "--web.enable-lifecycle")
    assert relay.put("/metrics/job/kept", "kept 1\n").status == 200
    return relay


@pytest.fixture(scope="module")
def known_relay(start_relay: StartRelay) -> RelayProcess:
    """A relay that knows its external URL, and a proxy."""
    return start_relay(
        "--web.external-url=https://relay.example:8443/push",
        "--web.trusted-proxies=127.0.0.1",
        ready="/push/-/ready",
    )


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_foreign_page_changes_nothing(
    open_relay: RelayProcess, method: str, path: str
) -> None:
    before = open_relay.groups()
    answer = open_relay.request(method, path, "x 1\n", FOREIGN[0])
    assert answer.status == 403
    assert f'a page of another origin ("{EVIL}")' in answer.text
    assert "--web.external-url" in answer.text
    assert open_relay.groups() == before
    assert open_relay.running


@pytest.mark.parametrize("fields", FOREIGN)
def test_a_page_is_foreign(open_relay: RelayProcess, fields: dict[str, str]) -> None:
    assert open_relay.put("/metrics/job/x", "x 1\n", fields).status == 403
    assert open_relay.group(job="x") is None


def test_it_is_foreign_before_its_body_is_read(open_relay: RelayProcess) -> None:
    fields = {"Origin": EVIL, "Content-Encoding": "gzip", "Expect": "100-continue"}
    answer = open_relay.put("/metrics/job/x", "no gzip", fields)
    assert (answer.status, answer.informational) == (403, [])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://elsewhere"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": EVIL},
        {"Origin": "{own}"},
        {"Origin": "{own}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://relay.example", "Host": "RELAY.example:80"},
        {"Origin": "http://[::1]:9091", "Host": "[::1]:9091"},
    ],
)
def test_other_clients_and_its_own_page_are_not_foreign(
    relay: HTTPClient, fields: dict[str, str]
) -> None:
    own = own_origin(relay)
    asked = {name: value.format(own=own) for name, value in fields.items()}
    assert relay.put("/metrics/job/x", "x 1\n", asked).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/groups", "/api/v1/status"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_what_changes_nothing_is_answered(
    relay: HTTPClient, method: str, path: str
) -> None:
    assert relay.request(method, path, headers=FOREIGN[0]).status == 200


def test_a_problem_tells_it_and_the_log(open_relay: RelayProcess) -> None:
    fields = {"Origin": 'https://"e\\vil' + "l" * 1000, "Accept": "application/json"}
    answer = open_relay.put("/metrics/job/x", "x 1\n", fields)
    problem = json.loads(answer.body)
    assert (problem["status"], problem["reason"]) == (403, "forbidden")
    assert len(problem["detail"]) < 1000
    assert "refused a page of another origin" in open_relay.log


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Origin": "https://relay.example:8443"}, 200),
        ({"Origin": "https://relay.example:8443", "Sec-Fetch-Site": "same-site"}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "https://relay.example"}, 403),
        ({"Origin": "http://relay.example:8443"}, 403),
    ],
)
def test_the_origin_of_the_external_url_is_its_own(
    known_relay: RelayProcess, fields: dict[str, str], status: int
) -> None:
    own = own_origin(known_relay)
    asked = {name: value.format(own=own) for name, value in fields.items()}
    assert known_relay.put("/push/metrics/job/x", "x 1\n", asked).status == status


FORWARDED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "proxy.example",
}


def test_behind_a_proxy_that_is_trusted_the_origin_is_that_of_the_proxy(
    known_relay: RelayProcess, open_relay: RelayProcess
) -> None:
    fields = {**FORWARDED, "Origin": "https://proxy.example"}
    assert known_relay.put("/push/metrics/job/x", "x 1\n", fields).status == 200
    assert open_relay.put("/metrics/job/x", "x 1\n", fields).status == 403


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Relay.example/push/", "https://relay.example"),
        ("HTTPS://relay.example:443", "https://relay.example"),
        ("http://relay.example:80/", "http://relay.example"),
        ("http://relay.example:443", "http://relay.example:443"),
        ("http://[2001:DB8::1]:9091/x", "http://[2001:db8::1]:9091"),
        ("http://user:pass@relay.example", "http://relay.example"),
        *((url, "") for url in ("", "/push", "relay.example", "ftp://x", "http://")),
        *((url, "") for url in ("http://x:port", "http://x:99999", "http://[::1")),
    ],
)
def test_an_origin_is_written_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin
