"""The web configuration file of a Pushgateway: the real one and the relay with it, and
a real Prometheus that scrapes with what it asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from certificates import Certificate, make_ca, make_certificate
from prometheus_process import Prometheus, require_prometheus
from relay_process import REPOSITORY, PushgatewayProcess
from tls_use import TLSPushgateway, TLSRelay, basic, client_context

pytestmark = pytest.mark.system

CURL = shutil.which("curl")
PASSWORDS = {
    "alice": "secret",
    "bob": "b" * 72,
    "carol": "pässwörd",
    "dave": "",
    "a:b": "never",
    "": "nobody",
    "eve": "a\0b",
    "frank": "with:colon",
}

FILE = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS12
  cipher_suites:
    - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    - TLS_AES_128_GCM_SHA256
  prefer_server_cipher_suites: true
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=63072000
    X-Frame-Options: deny
basic_auth_users:
"""


def file_text() -> str:
    """Return the file, with the users."""
    lines = []
    for name, password in PASSWORDS.items():
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        # As htpasswd writes them.
        lines.append(f"  {name!r}: {hashed.replace('$2b$', '$2y$')}\n")
    return FILE + "".join(lines)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the file names, and certificates of clients."""
    directory = tmp_path_factory.mktemp("web-config")
    ca = make_ca(directory)
    make_certificate(ca, "server", "DNS:localhost", "IP:127.0.0.1")
    make_certificate(ca, "client", "DNS:job", client=True)
    return directory


def pair(directory: Path, name: str) -> Certificate:
    return Certificate(directory / f"{name}.pem", directory / f"{name}.key")


@pytest.fixture(scope="module")
def relay(directory: Path) -> Iterator[TLSRelay]:
    ca, own = pair(directory, "ca"), pair(directory, "client")
    context = client_context(ca, own)
    with TLSRelay(directory, file_text(), context, user="alice:secret") as relay:
        yield relay


@pytest.fixture(scope="module")
def pushgateway(directory: Path, relay: TLSRelay) -> Iterator[TLSPushgateway]:
    """A real Pushgateway with the file of the relay."""
    if PushgatewayProcess.executable is None:
        pytest.skip("there is no prometheus-pushgateway")
    text, context = relay.file.read_text(), relay.client
    with TLSPushgateway(directory, text, context, user="alice:secret") as pushgateway:
        yield pushgateway


CREDENTIALS: list[str | bytes | None] = [
    None,
    *(f"{name}:{password}" for name, password in PASSWORDS.items()),
    *("alice:", "alice:Secret", "alice:secret ", "alice:secret\0", "alice:\0secret"),
    *("alice", "Alice:secret", "alice :secret", "alices:ecret", "alice:secret:"),
    *(
        "bob:" + "b" * 71,
        "bob:" + "b" * 73,
        "bob:" + "b" * 200,
        "bob:" + "b" * 71 + "c",
    ),
    *("carol:passwoerd", "carol:pässwörd".encode("latin-1"), "carol:pässwö"),
    *("dave:x", "dave:\0", "mallory:secret", "mallory:", ":", ":x", ""),
    *("eve:a", "eve:a\0", "eve:a\0b\0a\0b", "eve:a\0c", "frank:with"),
    # CVE-2022-46146: the fields of one entry, as those of another.
    *(
        "alice:secret:alice",
        "616c696365:736563726574",
        b"\xff:\xfe",
        b"alice\xff:secret",
    ),
]


@pytest.mark.parametrize(
    ("number", "credentials"), [*enumerate(CREDENTIALS)], ids=map(ascii, CREDENTIALS)
)
def test_the_relay_lets_in_whom_the_pushgateway_does(
    relay: TLSRelay,
    pushgateway: TLSPushgateway,
    number: int,
    credentials: str | bytes | None,
) -> None:
    asked = {} if credentials is None else {"Authorization": basic(credentials)}
    answers = []
    for server in (relay, pushgateway):
        with server.asked_by("", source=f"127.0.1.{number}"):
            answers.append(server.get("/-/healthy", asked))
    ours, theirs = answers
    assert (ours.status, ours.text) == (theirs.status, theirs.text)
    challenges = [value for name, value in ours.headers if name == "WWW-Authenticate"]
    if ours.status == 401:
        assert theirs.header("WWW-Authenticate") == "Basic"
        assert challenges[0].startswith("Basic ")
    else:
        assert challenges == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/-/healthy", "/metrics", "/nowhere", "/")),
        *(
            ("PUT", "/metrics/job/x"),
            ("DELETE", "/metrics/job/x"),
            ("HEAD", "/metrics"),
        ),
        *(("GET", "//metrics"), ("PUT", "/-/quit")),
    ],
)
def test_every_path_asks_who_it_is_and_has_the_headers(
    relay: TLSRelay, pushgateway: TLSPushgateway, method: str, path: str
) -> None:
    body = "" if method == "PUT" else None
    for server in (relay, pushgateway):
        for user in ("alice:secret", "nobody:x"):
            with server.asked_by(user, source="127.0.2.1"):
                answer = server.request(method, path, body)
            assert (answer.status == 401) is (user == "nobody:x")
            assert answer.header("X-Frame-Options") == "deny"
            assert answer.header("Strict-Transport-Security") == "max-age=63072000"


def test_curl_pushes_and_scrapes_with_a_certificate_only(
    relay: TLSRelay, directory: Path
) -> None:
    url = f"https://{relay.address}/metrics"
    given = ["--cacert", directory / "ca.pem", "--user", "alice:secret"]
    own = ["--cert", directory / "client.pem", "--key", directory / "client.key"]

    def curl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        assert CURL is not None
        command = [CURL, "-sS", "--fail", "--max-time", "30", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    pushed = curl(*given, *own, "-d", "from_curl 1\n", f"{url}/job/curl")
    assert pushed.returncode == 0, pushed.stderr
    assert 'from_curl{instance="",job="curl"} 1\n' in curl(*given, *own, url).stdout
    refused = curl(*given, url)
    assert "alert certificate required" in refused.stderr
    refused = curl(*given, "--tls-max", "1.1", *own, url)
    assert refused.returncode == 35


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", None])
def test_our_own_commands_trust_the_ca_that_the_environment_names(
    relay: TLSRelay, directory: Path, name: str | None, tmp_path: Path
) -> None:
    # They have no certificates of their own, so it is a relay that asks for none.
    text = FILE.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    for each in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(directory / each, tmp_path)
    open_relay = TLSRelay(
        tmp_path,
        f"{text}  alice: {hashed}\n",
        client_context(pair(directory, "ca")),
        user="alice:secret",
    )
    with open_relay:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        if name:
            environment[name] = str(directory / "ca.pem")
        url = f"https://alice:secret@{open_relay.address}"
        command = [sys.executable, "-m", "pushrelay", "push", "--url", url]
        done = subprocess.run(
            [*command, "--job", "ours"],
            input="x 1\n",
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) is bool(name), done.stderr
        if name is None:
            assert "name its file in SSL_CERT_FILE" in done.stderr


def test_prometheus_scrapes_with_tls_and_a_password(
    relay: TLSRelay, directory: Path, tmp_path: Path
) -> None:
    require_prometheus()
    assert relay.put("/metrics/job/scraped", "from_prometheus 7\n").status == 200
    scraping = f"""
    scheme: https
    basic_auth: {{username: carol, password: pässwörd}}
    tls_config:
      ca_file: {directory / "ca.pem"}
      cert_file: {directory / "client.pem"}
      key_file: {directory / "client.key"}
"""
    with Prometheus(tmp_path, relay, scraping=scraping) as prometheus:
        prometheus.wait_for('from_prometheus{job="scraped"} == 7')
        [(_, up)] = prometheus.query('up{job="relay"}')
        assert up == 1
