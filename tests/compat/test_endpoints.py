"""Which paths exist, which methods they take, and where the others are sent."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from relay_process import HTTPClient

PUSH_METHODS = "DELETE, OPTIONS, POST, PUT"
GET_ONLY = "GET, OPTIONS"

GET_PATHS = ["/metrics", "/", "/status", "/-/healthy", "/-/ready"]
API_PATHS = ["/api/v1/status", "/api/v1/metrics"]
PUSH_PATHS = [
    "/metrics/job/x",
    "/metrics/job/x/",
    "/metrics/job/x/label/value",
    "/metrics/job/x/odd",
    "/metrics/job@base64/eA",
    "/metrics/job@base64/eA/label/value",
]
UNKNOWN_PATHS = [
    "/nope",
    "/metrics/job",
    "/metrics/jobs/x",
    "/metrics/x",
    "/metrics/job@base32/PA",
    "/metrics#x",
    "/metrics;x",
    "/-/",
    "/api",
    "/api/v1/",
    "/api/v1/nope",
    "/api/v2/metrics",
]

NOT_ALLOWED = [
    *[(method, path, GET_ONLY) for path in GET_PATHS for method in ("PUT", "HEAD")],
    *[(method, path, GET_ONLY) for path in API_PATHS for method in ("POST", "HEAD")],
    *[
        (method, path, PUSH_METHODS)
        for path in PUSH_PATHS
        for method in ("GET", "HEAD")
    ],
    ("POST", "/metrics", GET_ONLY),
    ("DELETE", "/metrics", GET_ONLY),
    ("PATCH", "/metrics", GET_ONLY),
    ("TRACE", "/metrics", GET_ONLY),
    ("PROPFIND", "/metrics", GET_ONLY),
    ("DELETE", "/", GET_ONLY),
    ("DELETE", "/api/v1/metrics", GET_ONLY),
    ("PATCH", "/metrics/job/x", PUSH_METHODS),
    ("DELETE", "/-/quit", "GET, OPTIONS, POST, PUT"),
    ("HEAD", "/-/quit", "GET, OPTIONS, POST, PUT"),
    ("GET", "/api/v1/admin/wipe", "OPTIONS, PUT"),
    ("POST", "/api/v1/admin/wipe", "OPTIONS, PUT"),
    ("DELETE", "/api/v1/admin/wipe", "OPTIONS, PUT"),
]

# Unclean paths answer 307 to every method; a slash or the case 301 to GET only.
REDIRECTS = [
    ("PUT", "//metrics/job/x", 307, "/metrics/job/x"),
    ("PUT", "/metrics//job/x", 307, "/metrics/job/x"),
    ("POST", "/metrics/job/x//value", 307, "/metrics/job/x/value"),
    ("DELETE", "/metrics/job/x/label//", 307, "/metrics/job/x/label/"),
    ("PUT", "/metrics/./job/x", 307, "/metrics/job/x"),
    ("PUT", "/metrics/job/x/.", 307, "/metrics/job/x"),
    ("PUT", "/metrics/job/x/a/../b", 307, "/metrics/job/x/b"),
    ("PUT", "/metrics/job/x/..", 307, "/metrics/job"),
    ("PUT", "//metrics/job/x?a=b", 307, "/metrics/job/x?a=b"),
    ("PUT", "//metrics/job/x/a%20b", 307, "/metrics/job/x/a%20b"),
    ("PUT", "//metrics/job/x/a/#b", 307, "/metrics/job/x/a/%23b"),
    ("GET", "//metrics", 307, "/metrics"),
    ("GET", "//nope", 307, "/nope"),
    ("HEAD", "//metrics", 307, "/metrics"),
    ("OPTIONS", "//metrics", 307, "/metrics"),
    ("GET", "/metrics/", 301, "/metrics"),
    ("GET", "/status/", 301, "/status"),
    ("GET", "/-/healthy/", 301, "/-/healthy"),
    ("GET", "/-/ready/", 301, "/-/ready"),
    ("PUT", "/-/quit/", 307, "/-/quit"),
    ("PUT", "/metrics/job/", 307, "/metrics/job"),
    ("POST", "/metrics/job/", 307, "/metrics/job"),
    ("DELETE", "/metrics/job/", 307, "/metrics/job"),
    ("GET", "/METRICS", 301, "/metrics"),
    ("GET", "/Status", 301, "/status"),
    ("PUT", "/Metrics/Job/X", 307, "/metrics/job/X"),
    ("POST", "/METRICS/job/x/Label/Value", 307, "/metrics/job/x/Label/Value"),
    ("DELETE", "/metrics/jOb@Base64/eA", 307, "/metrics/job@base64/eA"),
    ("GET", "/api/v1", 307, "/api/v1/"),
    ("PUT", "/api/v1", 307, "/api/v1/"),
    ("GET", "/api/v1/status/", 301, "/status"),
]

# Methods that no route below the path takes are not redirected.
NOT_REDIRECTED = [
    "HEAD /metrics/",
    "PUT /metrics/",
    "POST /status/",
    "GET /metrics/job/",
]


@pytest.mark.parametrize(("method", "path", "allow"), NOT_ALLOWED)
def test_other_methods_on_a_known_path_are_not_allowed(
    relay: HTTPClient, method: str, path: str, allow: str
) -> None:
    response = relay.request(method, path)
    assert response.status == 405
    assert response.header("Allow") == allow
    assert response.body == (b"" if method == "HEAD" else b"Method Not Allowed\n")
    assert response.header("Content-Type") == "text/plain; charset=utf-8"
    assert response.header("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown_paths_are_not_found(relay: HTTPClient, method: str, path: str) -> None:
    response = relay.request(method, path)
    assert response.status == 404
    assert response.body == b"404 page not found\n"
    assert response.header("Content-Type") == "text/plain; charset=utf-8"
    assert response.header("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize(("method", "path", "status", "location"), REDIRECTS)
def test_misspelt_paths_are_redirected(
    relay: HTTPClient, method: str, path: str, status: int, location: str
) -> None:
    response = relay.request(method, path)
    assert (response.status, response.header("Location")) == (status, location)
    assert relay.groups() == []


@pytest.mark.parametrize("request_line", NOT_REDIRECTED)
def test_methods_without_a_route_are_not_redirected(
    relay: HTTPClient, request_line: str
) -> None:
    method, path = request_line.split()
    assert relay.request(method, path).status == 404


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        *[(path, GET_ONLY) for path in GET_PATHS],
        *[(path, PUSH_METHODS) for path in PUSH_PATHS],
        ("/-/quit", "GET, OPTIONS, POST, PUT"),
    ],
)
def test_options_tell_the_methods(relay: HTTPClient, path: str, allow: str) -> None:
    response = relay.request("OPTIONS", path)
    assert (response.status, response.body) == (200, b"")
    assert response.header("Allow") == allow
    assert response.header("Access-Control-Allow-Origin") is None


def test_options_of_the_server_itself_are_empty(relay: HTTPClient) -> None:
    response = relay.request("OPTIONS", "*")
    assert (response.status, response.body) == (200, b"")


def test_options_of_an_unknown_path_are_not_found(relay: HTTPClient) -> None:
    assert relay.request("OPTIONS", "/nope").status == 404


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_health_is_two_letters(relay: HTTPClient, path: str) -> None:
    response = relay.get(path)
    assert (response.status, response.body) == (200, b"OK")
    assert response.header("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/groups"])
def test_the_pages_are_html(relay: HTTPClient, path: str) -> None:
    relay.put("/metrics/job/shown-on-the-page", "a 1\n")
    response = relay.get(path)
    assert response.status == 200
    assert (response.header("Content-Type") or "").startswith("text/html")
    assert b"shown-on-the-page" in response.body


@pytest.mark.parametrize("path", ["/", "/groups"])
def test_the_pages_escape_what_was_pushed(relay: HTTPClient, path: str) -> None:
    pushed = relay.put("/metrics/job/%3Cscript%3Ealert(1)/l/v", "a 1\n")
    assert pushed.status == 200
    relay.put("/metrics/job/x", 'a{l="<script>alert(2)</script>"} 1\n')
    page = relay.get(path).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(" not in page


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_quit_is_forbidden_unless_enabled(relay: HTTPClient, method: str) -> None:
    response = relay.request(method, "/-/quit")
    assert (response.status, response.body) == (403, b"Lifecycle API is not enabled.")


def test_quit_by_get_says_what_to_do(relay: HTTPClient) -> None:
    response = relay.get("/-/quit")
    assert response.status == 405
    assert response.body == b"Only POST or PUT requests allowed."


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/metrics?name=x", 200),
        ("GET", "/?page=1", 200),
        ("GET", "/-/ready?x", 200),
        ("GET", "/api/v1/status?x=1", 200),
        ("PUT", "/metrics/job/x?a=b&c", 200),
        ("DELETE", "/metrics/job/x?a=b", 202),
        ("GET", "/metrics/job/x?a=b", 405),
        ("GET", "/nope?a=b", 404),
    ],
)
def test_query_strings_are_ignored(
    relay: HTTPClient, method: str, target: str, status: int
) -> None:
    assert relay.request(method, target).status == status


@pytest.mark.parametrize("target", ["http://relay.example/metrics", "/met%72ics"])
def test_other_spellings_of_a_target_reach_it(relay: HTTPClient, target: str) -> None:
    assert relay.get(target).status == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_good_push_is_answered_with_nothing(relay: HTTPClient, method: str) -> None:
    response = relay.request(method, "/metrics/job/x", "a 1\n")
    assert (response.status, response.body) == (200, b"")
    assert response.header("Content-Length") == "0"
    assert response.header("Content-Type") is None


def test_a_delete_is_answered_with_nothing(relay: HTTPClient) -> None:
    response = relay.delete("/metrics/job/x")
    assert (response.status, response.body) == (202, b"")
    assert response.header("Content-Type") is None


def test_a_refused_push_is_answered_with_plain_text(relay: HTTPClient) -> None:
    response = relay.put("/metrics/job/x", "a\n")
    assert response.status == 400
    assert response.text.endswith("\n")
    assert response.header("Content-Type") == "text/plain; charset=utf-8"
    assert response.header("X-Content-Type-Options") == "nosniff"


def test_a_connection_serves_one_request_after_another(relay: HTTPClient) -> None:
    connection = http.client.HTTPConnection(relay.host, relay.port)
    with closing(connection):
        connection.connect()
        first_socket = connection.sock
        for path, body in [("/metrics/job/x", "a 1\n"), ("/metrics/job/y", "a 2\n")]:
            connection.request("PUT", path, body)
            with connection.getresponse() as response:
                assert (response.status, response.read()) == (200, b"")
        assert connection.sock is first_socket
    assert len(relay.groups()) == 2


def test_http_1_0_without_a_host_is_served(relay: HTTPClient) -> None:
    head = b"PUT /metrics/job/x HTTP/1.0\r\nContent-Length: 4\r\n\r\n"
    assert relay.send(head + b"a 1\n").status == 200
    assert relay.group(job="x") is not None


def test_http_1_1_without_a_host_is_refused(relay: HTTPClient) -> None:
    head = b"PUT /metrics/job/x HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
    assert relay.send(head + b"a 1\n").status == 400
    assert relay.groups() == []


def test_an_unknown_expectation_fails(relay: HTTPClient) -> None:
    assert relay.put("/metrics/job/x", "", {"Expect": "200-ok"}).status == 417
    assert relay.groups() == []


def test_an_expectation_may_be_written_in_any_case(relay: HTTPClient) -> None:
    headers = {"Expect": "100-Continue"}
    assert relay.put("/metrics/job/x", "a 1\n", headers).status == 200


def test_a_refusal_before_the_body_ends_the_connection(relay: HTTPClient) -> None:
    """Else the server would take the next request for the body of this one."""
    head = "POST /metrics/job/x/odd HTTP/1.1\r\nHost: relay\r\nContent-Length: 4\r\n"
    response = relay.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert response.status == 400
    assert response.informational or response.header("Connection") == "close"


def test_a_client_that_sends_no_more_is_answered(relay: HTTPClient) -> None:
    push = (
        "PUT /metrics/job/x HTTP/1.1\r\nHost: relay\r\nContent-Length: 4\r\n\r\na 1\n"
    )
    response = relay.send(push.encode(), half_close=True)
    assert response.status == 200
    assert relay.grouping_keys() == [{"job": "x"}]


@pytest.mark.parametrize("path", ["/metrics/job/100%", "/metrics/job/x/l/%zz", "/%"])
def test_a_malformed_escape_is_refused(relay: HTTPClient, path: str) -> None:
    assert relay.put(path, "a 1\n").status == 400
    assert relay.groups() == []


def test_a_long_grouping_key_is_taken(relay: HTTPClient) -> None:
    value = "v" * 60_000
    assert relay.put(f"/metrics/job/x/label/{value}", "a 1\n").status == 200
    assert relay.grouping_keys() == [{"job": "x", "label": value}]
