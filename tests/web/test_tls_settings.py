"""What a web configuration file may say of TLS, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import make_ca, make_certificate
from doc_examples import code_words, table
from web_configs import read, refused

from pushrelay.web.tls_settings import KEYS

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a CA, and a certificate and a key for servers."""
    directory = tmp_path_factory.mktemp("web-config")
    make_certificate(make_ca(directory), "server", "DNS:localhost")
    return directory


PAIR = "cert_file: server.pem, key_file: server.key"
CA = "client_ca_file: ca.pem"
VERIFY = "client_auth_type: RequireAndVerifyClientCert"
ENCRYPTED = "'-----BEGIN ENCRYPTED PRIVATE KEY-----'"

TLS_PROBLEMS = [
    (
        "min_version: TLS12",
        [": has no cert_file, nor cert", ": has no key_file, nor key"],
    ),
    ("cert_file: server.pem", [": has no key_file, nor key"]),
    (
        "cert_file: no.pem, key_file: server.key",
        [".cert_file: {0}/no.pem: cannot be re"],
    ),
    ("cert_file: '', key_file: server.key", [": has no cert_file, nor cert"]),
    ('cert_file: "\\0", key_file: server.key', [".cert_file: "]),
    ("cert_file: server.key, key_file: server.key", [".cert_file: has no certificate"]),
    ("cert_file: server.pem, key_file: server.pem", [".key_file: has no private key"]),
    (f"cert_file: server.pem, key: {ENCRYPTED}", [".key: is encrypted, and nobody"]),
    (
        "cert_file: server.pem, key_file: ca.key",
        [": the certificate and its key cannot"],
    ),
    (
        "cert: '-----BEGIN CERTIFICATE-----', key_file: server.key",
        [": the certificate and its key cannot be used: "],
    ),
    (f"{PAIR}, min_version: TLS1.2", [".min_version: must be TLS10, TLS11, TLS12 or"]),
    (
        f"{PAIR}, max_version: TLS11",
        [".max_version: leaves only versions that are bro"],
    ),
    (
        f"{PAIR}, min_version: TLS13, max_version: TLS12",
        [".max_version: leaves no version"],
    ),
    (
        f"{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12",
        [".max_version: leaves no version of TLS and its ciphers"],
    ),
    (
        f"{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
        ['.cipher_suites: "TLS_RSA_WITH_RC4_128_SHA" is not known, or not safe'],
    ),
    (f"{PAIR}, cipher_suites: TLS_AES", [".cipher_suites: must be a list, not text"]),
    (f"{PAIR}, curve_preferences: [P256]", ['.curve_preferences: "P256" is not known']),
    (
        f"{PAIR}, prefer_server_cipher_suites: 1",
        [".prefer_server_cipher_suites: must be"],
    ),
    (
        f"{PAIR}, {CA}",
        [".client_ca_file: is there without a client_auth_type; write R"],
    ),
    (
        f"{PAIR}, {CA}, client_auth_type: NoClientCert",
        [".client_auth_type: asks for no"],
    ),
    (
        f"{PAIR}, client_ca_file: server.key, {VERIFY}",
        [".client_ca_file: has no certif"],
    ),
    (
        f"{PAIR}, client_ca_file: no.pem, {VERIFY}",
        [".client_ca_file: {0}/no.pem: cann"],
    ),
    (
        f"{PAIR}, client_ca: '-----BEGIN CERTIFICATE-----', {VERIFY}",
        [": the CA of the clients cannot be used: "],
    ),
    (
        f"{PAIR}, client_auth_type: Verify",
        [".client_auth_type: must be NoClientCert, R"],
    ),
    (f"{PAIR}, client_auth_type: [a]", [".client_auth_type: must be text, not a list"]),
    *(
        (
            f"{PAIR}, {CA}, client_auth_type: {name}",
            [f".client_auth_type: {name} lets in any certificate"],
        )
        for name in ("RequireAnyClientCert", "RequireClientCert")
    ),
    *(
        (
            f"{PAIR}, client_allowed_sans: [a]{rest}",
            [".client_allowed_sans: says nothing of who has no certificate"],
        )
        for rest in (
            "",
            ", client_auth_type: RequestClientCert",
            f", {CA}, client_auth_type: VerifyClientCertIfGiven",
        )
    ),
]


@pytest.mark.parametrize(("settings", "problems"), TLS_PROBLEMS)
def test_what_is_wrong_with_tls_is_told(
    directory: Path, settings: str, problems: list[str]
) -> None:
    told = refused(directory, f"tls_server_config: {{{settings}}}\n")
    assert len(told) == len(problems), told
    for each, problem in zip(told, problems, strict=True):
        assert each.startswith(f"1: tls_server_config{problem.format(directory)}")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(
    directory: Path,
) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\n    Proc-Type: 4,ENCRYPTED\n"
    text = f"tls_server_config:\n  cert_file: server.pem\n  key: |\n    {key}"
    assert refused(directory, text)[0].startswith("3: tls_server_config.key: is encr")


NOTES = [
    ("", []),
    (f"{CA}, {VERIFY}", []),
    (f"{CA}, client_auth_type: VerifyClientCertIfGiven", []),
    ("client_auth_type: NoClientCert, client_ca_file: ''", []),
    (VERIFY, ["client certificates of every CA that this system trusts are taken"]),
    (
        "client_auth_type: RequestClientCert",
        ["client_auth_type RequestClientCert asks"],
    ),
    (f"{CA}, client_auth_type: RequestClientCert", ["client_auth_type RequestClientC"]),
    ("min_version: TLS11", ["min_version is TLS12: older versions are broken"]),
    ("curve_preferences: [X25519]", []),
    (
        "curve_preferences: [X25519, CurveP256]",
        ["curve_preferences with several curve"],
    ),
    ("cert: x", ["cert is ignored beside cert_file"]),
    ("cipher_suites: [], curve_preferences: []", []),
]


@pytest.mark.parametrize(("settings", "notes"), NOTES)
def test_what_is_not_followed_is_noted(
    directory: Path, settings: str, notes: list[str]
) -> None:
    found = read(directory, f"tls_server_config: {{{PAIR}, {settings}}}\n")
    assert found.tls is not None
    assert len(found.notes) == len(notes), found.notes
    for told, note in zip(found.notes, notes, strict=True):
        assert told.startswith(note)


def test_paths_are_relative_to_the_file_or_absolute(
    directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for prefix in ("", "./", f"../{directory.name}/", f"{directory}/"):
        pair = PAIR.replace(": ", f": {prefix}")
        assert read(directory, f"tls_server_config: {{{pair}}}").tls is not None


SAFE_CIPHERS = [
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
]


def test_every_safe_cipher_of_go_is_known(directory: Path) -> None:
    for cipher in SAFE_CIPHERS:
        read(directory, f"tls_server_config: {{{PAIR}, cipher_suites: [{cipher}]}}")
    found = read(
        directory, f"tls_server_config: {{{PAIR}, cipher_suites: {SAFE_CIPHERS}}}"
    )
    assert found.tls is not None
    known = {cipher["name"] for cipher in found.tls.get_ciphers()}
    assert len(known) == len(SAFE_CIPHERS)


def test_every_key_of_tls_is_documented_and_no_other() -> None:
    rows = table("configuration.md", "## The web configuration file")
    told = [word for row in rows for word in code_words(row[0])]
    assert sorted(told) == sorted(KEYS)
