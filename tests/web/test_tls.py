"""Who can connect with TLS, and how."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
from certificates import Certificate, make_ca, make_certificate
from tls_use import Files, client_context, make_files, shake_hands

from pushrelay.web.tls import LiveContext, names_of
from pushrelay.web.web_config import read_web_config

pytestmark = pytest.mark.system

NAMES = ("DNS:job", "IP:10.1.2.3", "IP:2001:db8::1", "email:a@b.c", "URI:spiffe://x/y")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"), *NAMES)


def test_a_client_that_trusts_the_ca_connects(files: Files) -> None:
    made = shake_hands(files.context(), client_context(files.ca))
    assert made.version() == "TLSv1.3"


def test_http_1_1_is_what_is_spoken(files: Files) -> None:
    client = client_context(files.ca)
    client.set_alpn_protocols(["h2", "http/1.1"])
    made = shake_hands(files.context(), client)
    assert made.selected_alpn_protocol() == "http/1.1"


def test_certificates_may_stand_in_the_file(files: Files, tmp_path: Path) -> None:
    def indented(path: Path) -> str:
        return path.read_text().replace("\n", "\n    ")

    file = tmp_path / "web.yml"
    file.write_text(
        "tls_server_config:\n"
        f"  cert: |\n    {indented(files.server.certificate)}\n"
        f"  key: |\n    {indented(files.server.key)}\n"
        f"  client_ca: |\n    {indented(files.ca.certificate)}\n"
        "  client_auth_type: RequireAndVerifyClientCert\n"
    )
    made = read_web_config(file).tls
    assert made is not None
    shake_hands(LiveContext(made), client_context(files.ca, files.client))
    with pytest.raises(ssl.SSLError):
        shake_hands(LiveContext(made), client_context(files.ca))


# --- versions, ciphers, curves ---


@pytest.mark.parametrize(
    ("settings", "accepted", "refused"),
    [
        ("", ["TLSv1_2", "TLSv1_3"], []),
        ("  min_version: TLS13\n", ["TLSv1_3"], ["TLSv1_2"]),
        ("  max_version: TLS12\n", ["TLSv1_2"], ["TLSv1_3"]),
        ("  min_version: TLS10\n", ["TLSv1_2", "TLSv1_3"], []),
        ("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", ["TLSv1_3"], ["TLSv1_2"]),
    ],
)
def test_versions_are_those_that_are_asked_for(
    files: Files, settings: str, accepted: list[str], refused: list[str]
) -> None:
    context = files.context(settings)
    for name in (*accepted, *refused):
        client = client_context(files.ca)
        client.minimum_version = client.maximum_version = ssl.TLSVersion[name]
        if name in accepted:
            assert shake_hands(context, client).version() == name.replace("_", ".")
        else:
            with pytest.raises(ssl.SSLError):
                shake_hands(context, client)


CHACHA = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
AES = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("suites", "own_order", "chosen"),
    [
        ([AES], "true", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ([CHACHA, AES], "true", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ([CHACHA, AES], "false", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_ciphers_are_those_that_are_asked_for(
    files: Files, suites: list[str], own_order: str, chosen: str
) -> None:
    context = files.context(
        f"  cipher_suites: [{', '.join(suites)}]\n"
        f"  prefer_server_cipher_suites: {own_order}\n"
    )
    client = client_context(files.ca)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
    cipher = shake_hands(context, client).cipher()
    assert cipher is not None
    assert cipher[0] == chosen

    client.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


def test_a_single_curve_is_the_only_one(files: Files) -> None:
    context = files.context("  curve_preferences: [CurveP384]\n")
    client = client_context(files.ca)
    client.set_ecdh_curve("secp384r1")
    shake_hands(context, client)
    client.set_ecdh_curve("prime256v1")
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


# --- certificates of clients ---

VERIFY = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
IF_GIVEN = "  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n"


@pytest.fixture(scope="module")
def clients(
    files: Files, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Certificate | None]:
    """Certificates by what they are."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    other = make_ca(elsewhere, "ca")
    return {
        "good": files.client,
        "none": None,
        "of another CA": make_certificate(other, "client", *NAMES, client=True),
        "its own CA": other,
        "of a server": files.server,
    }


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ("", {"good", "none", "of another CA", "its own CA", "of a server"}),
        (VERIFY, {"good"}),
        (IF_GIVEN, {"good", "none"}),
    ],
)
def test_certificates_of_clients_are_verified_as_asked_for(
    files: Files,
    clients: dict[str, Certificate | None],
    settings: str,
    accepted: set[str],
) -> None:
    context = files.context(settings)
    connected = set()
    for name, certificate in clients.items():
        try:
            shake_hands(context, client_context(files.ca, certificate))
        except ssl.SSLError:
            continue
        connected.add(name)
    assert connected == accepted


def test_a_listed_certificate_is_trusted_whoever_signed_it(files: Files) -> None:
    context = files.context(VERIFY.replace("ca.pem", "client.pem"))
    shake_hands(context, client_context(files.ca, files.client))
    other = make_certificate(files.ca, "another", client=True)
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client_context(files.ca, other))


@pytest.mark.parametrize(
    "name", ["job", "10.1.2.3", "2001:db8::1", "a@b.c", "spiffe://x/y"]
)
def test_a_certificate_with_an_allowed_name_is_taken(files: Files, name: str) -> None:
    context = files.context(f"{VERIFY}  client_allowed_sans: [other, '{name}']\n")
    shake_hands(context, client_context(files.ca, files.client))


@pytest.mark.parametrize(
    "names",
    [
        *("", "client", "jo", "jobs", "JOB", "'*'", "job.example", "'CN=client'"),
        *("10.1.2.4", "10.1.2", "b.c", "spiffe://x", "'DNS:job'", "2001:db8::2"),
    ],
)
def test_one_without_is_not(files: Files, names: str) -> None:
    context = files.context(f"{VERIFY}  client_allowed_sans: [{names}]\n")
    with pytest.raises(ssl.SSLError, match="client_allowed_sans"):
        shake_hands(context, client_context(files.ca, files.client))


def test_the_names_that_were_found_are_logged(
    files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushrelay.web.tls._failures._second", 0)
    caplog.set_level(logging.INFO)
    context = files.context(f"{VERIFY}  client_allowed_sans: [x]\n")
    with pytest.raises(ssl.SSLError, match="client_allowed_sans"):
        shake_hands(context, client_context(files.ca, files.client))
    assert 'it has "10.1.2.3", "2001:db8::1", "a@b.c", "job", "spiffe' in caplog.text


def test_a_session_that_goes_on_has_the_names_of_its_certificate(files: Files) -> None:
    names = f"{VERIFY}  max_version: TLS12\n  client_allowed_sans: [job]\n"
    context, client = files.context(names), client_context(files.ca, files.client)
    first = shake_hands(context, client)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = context.wrap_bio(to_server, to_client, server_side=True)
    again = client.wrap_bio(
        to_client, to_server, server_hostname="localhost", session=first.session
    )
    for _ in range(4):
        for each in (again, served):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert again.session_reused
    assert served.getpeercert()


def test_the_next_connection_is_made_with_what_is_current_then(files: Files) -> None:
    context = files.context()
    shake_hands(context, client_context(files.ca))
    context.current = files.context(VERIFY).current
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client_context(files.ca))


def test_names_of_other_kinds_are_none() -> None:
    names = (
        ("DNS", "a"),
        ("DirName", "b"),
        ("Registered ID", "1.2"),
        ("othername", "c"),
    )
    assert names_of({"subjectAltName": names}) == {"a"}
    assert names_of({"subjectAltName": (("IP Address", "<invalid>"),)}) == {"<invalid>"}
    assert names_of({}) == set()
