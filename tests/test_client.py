from __future__ import annotations

import base64
import gzip
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data, problem, text
from hypothesis import given
from hypothesis import strategies as st
from relay_process import REPOSITORY, HTTPClient, free_port

from pushrelay.client import COMPRESSED_BYTES, RelayClient
from pushrelay.errors import InvalidURL, RelayRefused, RelayUnavailable

PASSWORD = "s3cret"


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of something that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that it signed itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    file = tmp_path_factory.mktemp("certificate") / "pair.pem"
    wanted = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    output = ["-keyout", file, "-out", file.with_suffix(".crt")]
    command = [openssl, *wanted.split(), *names, *output]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def ok(_: Asked) -> Canned:
    return Canned()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://relay:9091", "http://relay:9091"),
        ("http://relay:9091/", "http://relay:9091"),
        ("relay:9091", "http://relay:9091"),
        ("relay", "http://relay"),
        ("http://relay:80", "http://relay"),
        ("https://relay", "https://relay"),
        ("https://relay:8443/a/b/", "https://relay:8443/a/b"),
        ("http://[::1]:9091/a", "http://[::1]:9091/a"),
        ("http://u:p@relay:9091", "http://relay:9091"),
        ("http://relay/a b/ü", "http://relay/a%20b/%C3%BC"),
    ],
)
def test_the_url_is_shown_without_what_is_secret(written: str, shown: str) -> None:
    assert RelayClient(written).url == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://relay",
        "http://relay:port",
        "http://relay:99999",
        "http://relay?a=b",
        "http://relay#a",
        "http://[::1",
        "http://rel\udce4y",
        "http://relay/\udce4",
        f"http://user:{PASSWORD}/@relay",
        f"ftp://user:{PASSWORD}@relay",
        f"http://user:12/{PASSWORD}@relay:1",
        f"user:12/{PASSWORD}@relay:1",
        f"http://user/{PASSWORD}@relay",
        f"https://user:12/3/{PASSWORD}@relay:1/prefix",
    ],
)
def test_what_is_no_url_is_refused_without_telling_a_password(url: str) -> None:
    with pytest.raises(InvalidURL) as refused:
        RelayClient(url)
    assert PASSWORD not in str(refused.value)
    assert "http://HOST:PORT" in str(refused.value)


@given(st.text())
def test_any_text_is_a_url_or_refused(url: str) -> None:
    with suppress(InvalidURL):
        RelayClient(url)


def test_paths_lie_below_the_prefix_and_credentials_are_sent() -> None:
    with CannedServer(ok) as server:
        url = f"http://us%3Aer:p%40ss@{server.address}/pre/fix/"
        with RelayClient(url) as relay:
            relay.request("DELETE", "/metrics/job/a")
    [asked] = server.asked
    assert (asked.method, asked.target) == ("DELETE", "/pre/fix/metrics/job/a")
    assert asked.headers["authorization"] == (
        "Basic " + base64.b64encode(b"us:er:p@ss").decode()
    )
    assert asked.headers["host"] == server.address


def test_a_token_is_sent() -> None:
    token = "prt_a-b.c~/+="
    with CannedServer(ok) as server, RelayClient(server.url, token=token) as relay:
        relay.request("GET", "/")
    [asked] = server.asked
    assert asked.headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    "token", ["", "s3cret\n", "s3 cret", "s3cr\u00e9t", "s3cret\udc80"]
)
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidURL, match="the token cannot be sent") as refused:
        RelayClient("http://relay:9091", token=token)
    assert "s3" not in str(refused.value)


def test_a_user_and_a_token_cannot_both_be_sent() -> None:
    with pytest.raises(InvalidURL, match="only one of them can be sent") as refused:
        RelayClient(f"http://user:{PASSWORD}@relay:9091", token="t0ken")
    assert PASSWORD not in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_many_requests_share_a_connection() -> None:
    with CannedServer(ok) as server, RelayClient(server.url) as relay:
        for _ in range(3):
            relay.request("GET", "/")
    assert server.connections == 1


def test_a_connection_that_was_dropped_meanwhile_is_opened_again() -> None:
    drops = Canned(drops=True)
    with CannedServer(lambda _: drops) as server, RelayClient(server.url) as relay:
        for _ in range(3):
            relay.request("PUT", "/metrics/job/a", b"x" * 1000)
            time.sleep(0.05)
    assert [asked.body for asked in server.asked] == [b"x" * 1000] * 3


def test_what_may_not_be_repeated_gets_a_connection_of_its_own() -> None:
    with CannedServer(ok) as server, RelayClient(server.url) as relay:
        relay.request("GET", "/")
        relay.request("POST", "/")
        relay.request("POST", "/")
        assert server.connections == 3
        relay.request("POST", "/", repeatable=True)
        assert server.connections == 3


def test_large_bodies_are_compressed() -> None:
    small, large = b"x" * (COMPRESSED_BYTES - 1), b"x" * COMPRESSED_BYTES
    with CannedServer(ok) as server, RelayClient(server.url) as relay:
        relay.request("PUT", "/", small)
        relay.request("PUT", "/", large)
    assert server.asked[0].body == small
    assert "content-encoding" not in server.asked[0].headers
    assert server.asked[1].headers["content-encoding"] == "gzip"
    assert gzip.decompress(server.asked[1].body) == large


def test_the_data_of_an_answer_is_read() -> None:
    answer = data([1, "ü"])
    with CannedServer(lambda _: answer) as server, RelayClient(server.url) as relay:
        assert relay.data("GET", "/") == [1, "ü"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"[" * 100_000])
def test_an_answer_that_is_no_relays_is_an_error(body: bytes) -> None:
    with (
        CannedServer(lambda _: Canned(body=body)) as server,
        RelayClient(server.url) as relay,
        pytest.raises(RelayUnavailable, match="answers what no relay does"),
    ):
        relay.data("GET", "/api/v1/groups")


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (text(400, "odd number\n"), RelayRefused, "400 Bad Request: odd number"),
        (text(400, "2 errors:\n* a\n* b\n"), RelayRefused, "2 errors:\n* a\n* b"),
        (problem(400, detail="bad"), RelayRefused, "400 Bad Request: bad"),
        (problem(400), RelayRefused, "answered 400 Bad Request"),
        (text(400, "a\x1b[2Jb"), RelayRefused, "a?[2Jb"),
        (text(401, "Unauthorized"), RelayRefused, "http://USER:PASSWORD@"),
        (text(401, "Unauthorized"), RelayRefused, "give the token"),
        (text(404, "404 page not found"), RelayRefused, "path prefix"),
        (text(409, "another body"), RelayRefused, "409 Conflict: another body"),
        (text(429, "slow down"), RelayUnavailable, "slow down; try again later"),
        (text(503, "no database"), RelayUnavailable, "no database; try again later"),
        (
            text(503, "no database; try again later\n"),
            RelayUnavailable,
            "503 Service Unavailable: no database; try again later",
        ),
        (
            Canned(502, b"<html>", {"Content-Type": "text/html"}),
            RelayUnavailable,
            "answered 502 Bad Gateway; try again later",
        ),
        (
            Canned(301, headers={"Location": "https://elsewhere/"}),
            RelayRefused,
            "use the URL that leads to https://elsewhere/",
        ),
    ],
)
def test_what_a_relay_refuses_is_told(
    answer: Canned, kind: type[Exception], told: str
) -> None:
    with CannedServer(lambda _: answer) as server:
        url = f"http://user:{PASSWORD}@{server.address}"
        with RelayClient(url) as relay, pytest.raises(kind) as refused:
            relay.request("PUT", "/metrics/job/a?mode=add", b"")
    assert str(refused.value).startswith(f"{server.url}/metrics/job/a answered ")
    assert told in str(refused.value)
    assert str(refused.value).count("try again later") <= 1
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("detail", "is_advised"), [("404 page not found", True), ("no such job", False)]
)
def test_a_url_is_doubted_only_where_there_is_no_such_page(
    detail: str, is_advised: bool
) -> None:
    answer = problem(404, reason="unknown_job", detail=detail)
    with (
        CannedServer(lambda _: answer) as server,
        RelayClient(server.url) as relay,
        pytest.raises(RelayRefused) as refused,
    ):
        relay.request("GET", "/")
    assert ("is this the URL of a relay" in str(refused.value)) == is_advised


def test_a_refusal_has_the_problem_document() -> None:
    problems = [{"detail": "x is not a GAUGE", "line": 3}]
    answer = problem(400, detail="no", problems=problems)
    with (
        CannedServer(lambda _: answer) as server,
        RelayClient(server.url) as relay,
        pytest.raises(RelayRefused) as refused,
    ):
        relay.request("PUT", "/")
    assert refused.value.status == 400
    assert refused.value.problem["problems"] == problems


@pytest.mark.parametrize(
    ("problems", "told"),
    [
        ([{"detail": "\x1b[31mx", "line": "\x1b]0;y\a"}], [("?[31mx", None)]),
        ([{"detail": 5, "line": 3}, {}], [("5", 3)]),
        (None, []),
        (5, []),
        ([5], []),
    ],
)
def test_no_problem_document_has_a_terminal_do_anything(
    problems: Any, told: list[tuple[str, int | None]]
) -> None:
    answer = problem(400, detail="no\x1b[31m", problems=problems)
    with (
        CannedServer(lambda _: answer) as server,
        RelayClient(server.url) as relay,
        pytest.raises(RelayRefused) as refused,
    ):
        relay.request("PUT", "/")
    found = refused.value.problem.get("problems", [])
    assert [(one["detail"], one["line"]) for one in found] == told
    assert "\x1b" not in str(refused.value)


def test_a_relay_that_is_not_there_is_told() -> None:
    url = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"
    with pytest.raises(RelayUnavailable) as failed:
        RelayClient(url).request("GET", "/-/ready")
    told = str(failed.value)
    assert "/-/ready: Connection refused; is the relay running" in told
    assert PASSWORD not in told


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid", "a" * 300])
def test_a_host_that_does_not_exist_is_told(host: str) -> None:
    with pytest.raises(RelayUnavailable, match="no answer from"):
        RelayClient(f"http://{host}:1").request("GET", "/")


def test_a_relay_that_keeps_silent_is_given_up(silent: str) -> None:
    started = time.monotonic()
    with pytest.raises(RelayUnavailable, match="does not answer in time"):
        RelayClient(silent, answer_seconds=0.2).request("GET", "/")
    assert time.monotonic() - started < 5


def test_a_server_that_hangs_up_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = RelayClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client._connect()
        listener.accept()[0].close()
        listener.close()
        # It tries once more, and there is nobody any more.
        with pytest.raises(RelayUnavailable):
            client.request("GET", "/")


def test_what_is_no_http_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = RelayClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client._connect()
        connection = listener.accept()[0]
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        with pytest.raises(RelayUnavailable, match="does not speak HTTP"):
            client.request("GET", "/")
        connection.close()


def test_an_answer_that_comes_before_the_end_of_the_body_is_read() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = RelayClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client._connect()
        connection = listener.accept()[0]
        connection.sendall(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 9\r\nConnection: close\r\n\r\ntoo large"
        )
        connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(RelayRefused, match="413 Content Too Large: too large"):
            client.request("PUT", "/", b"x" * 1000)
        connection.close()


@pytest.mark.system
def test_tls_works_and_certificates_are_checked(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CannedServer(ok, certificate) as server:
        with pytest.raises(RelayUnavailable, match="self-signed certificate"):
            RelayClient(server.url).request("GET", "/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with RelayClient(server.url) as relay:
            assert relay.request("GET", "/").status == 200


def test_a_real_relay_takes_a_push_and_refuses_another(relay: HTTPClient) -> None:
    with RelayClient(f"http://{relay.address}") as client:
        client.request("PUT", "/metrics/job/a", b"x 1\n")
        with pytest.raises(RelayRefused, match="unexpected end of input stream"):
            client.request("PUT", "/metrics/job/a", b"x 1")
        body = b"# " + b"x" * COMPRESSED_BYTES + b"\ny 2\n"
        client.request("POST", "/metrics/job/a", body)
    assert 'y{instance="",job="a"} 2' in relay.page()


def test_importing_it_costs_little() -> None:
    heavy = ["click", "flask", "re2", "sqlalchemy", "google", "requests", "gzip"]
    program = (
        "import sys, pushrelay.client; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", program], cwd=REPOSITORY, text=True
    )
    assert told == "[]\n"
