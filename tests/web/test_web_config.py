"""What a web configuration file may say, and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from certificates import make_ca, make_certificate
from doc_examples import DOCS, code_words, example_in, table
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidWebConfig
from pushrelay.web.rate_limit import Rate
from pushrelay.web.tls_settings import KEYS
from pushrelay.web.web_config import WebConfig, read_web_config
from pushrelay.web.yaml_tables import NoYAML, Problems, read_yaml

HASH = "$2y$04$xvz/WiSyz2LEuXppSCITb.OKhOtG94GJI7RMwjV/L92UxUFVrEzBy"
SECRET = "hunter2"


def read(directory: Path, text: str | bytes) -> WebConfig:
    file = directory / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_web_config(file)


def refused(directory: Path, text: str | bytes) -> list[str]:
    """Return the problems, without the path of the file; none tells the secret."""
    with pytest.raises(InvalidWebConfig) as caught:
        read(directory, text)
    problems = caught.value.problems
    assert str(caught.value) == "\n".join(problems)
    assert SECRET not in str(caught.value)
    prefix = f"{directory / 'web.yml'}:"
    assert all(problem.startswith(prefix) for problem in problems)
    return [problem.removeprefix(prefix) for problem in problems]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a CA, and a certificate and a key for servers."""
    directory = tmp_path_factory.mktemp("web-config")
    make_certificate(make_ca(directory), "server", "DNS:localhost")
    return directory


NOTHING = [
    *("", "# nothing\n", "{}", "---\n", "null\n", "\ufeff"),
    "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
    "tls_server_config: {}\nhttp_server_config: {headers: {}}\nbasic_auth_users: {}\n",
    "http_server_config:\n  http2: yes\n  headers:\n",
    "http_server_config:\n  headers:\n    X-Frame-Options: ''\n",
    "rate_limit: {interval: 0, burst: 7}\n",
    "rate_limit: {interval: 0s}\n",
]


@pytest.mark.parametrize("text", NOTHING)
def test_a_file_may_say_nothing(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == WebConfig()


def test_headers_are_those_that_prometheus_lets_set(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "http_server_config:\n  http2: false\n  headers:\n"
        "    X-XSS-Protection: 1; mode=block\n"
        "    X-Frame-Options: sameorigin\n"
        "    X-Content-Type-Options: nosniff\n"
        "    Strict-Transport-Security: max-age=60\n"
        "    Content-Security-Policy: default-src 'self'\n",
    )
    assert dict(found.headers) == {
        "Content-Security-Policy": "default-src 'self'",
        "Strict-Transport-Security": "max-age=60",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "sameorigin",
        "X-XSS-Protection": "1; mode=block",
    }


def test_users_have_names_as_they_are_written(tmp_path: Path) -> None:
    names = {"alice": "alice", "'b b'": "b b", "é": "é", "007": "007", "yes": "yes"}
    text = "".join(f"  {name}: {HASH}\n" for name in names)
    found = read(tmp_path, f"basic_auth_users:\n{text}  'null': '{HASH}'\n")
    assert [*found.users] == [*names.values(), "null"]
    assert all(each.cost == 4 for each in found.users.values())


def test_a_costly_hash_is_noted(tmp_path: Path) -> None:
    costly = HASH.replace("$04$", "$15$")
    found = read(tmp_path, f"basic_auth_users: {{alice: {costly}, bob: {HASH}}}")
    [note] = found.notes
    assert "of the user alice is hashed with cost 15" in note


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1s", 1.0),
        ("10ms", 0.01),
        ("0.5s", 0.5),
        ("1m30s", 90.0),
        ("1h0m0s", 3600.0),
        ("100us", 0.0001),
        ("100µs", 0.0001),
        ("5ns", 5e-9),
    ],
)
def test_the_interval_is_a_duration_of_go(
    tmp_path: Path, written: str, seconds: float
) -> None:
    found = read(tmp_path, f"rate_limit:\n  interval: {written}\n  burst: 3\n")
    assert found.rate is not None
    assert found.rate.interval == pytest.approx(seconds)
    assert found.rate == Rate(found.rate.interval, 3)


PROBLEMS = [
    (
        "tls: {}",
        ["1: tls: is not known here; write tls_server_config, http_server_con"],
    ),
    ("basic_auth_user: {}", ["1: basic_auth_user: is not known here; did you mean"]),
    ("- a", ["1: must be a mapping, not a list"]),
    ("text", ["1: must be a mapping, not text"]),
    ("rate_limit: 5", ["1: rate_limit: must be a mapping, not text"]),
    ("? [a]\n: b\n", ["1: a key must be text"]),
    ("rate_limit: {}\n\nrate_limit: {}\n", ["3: rate_limit: was given already, in li"]),
    (
        f"basic_auth_users:\n  a: {HASH}\n  b: {HASH}\n  a: {HASH}\n",
        ["4: basic_auth_users.a: was given already, in line 2"],
    ),
    (
        f"basic_auth_users:\n  alice: {SECRET}\n  bob:\n  carol: [{SECRET}]\n"
        f"  dave: !x {SECRET}\n",
        [
            "2: basic_auth_users.alice: is no bcrypt hash; write what `htpasswd",
            "3: basic_auth_users.bob: has no hash of a password",
            "4: basic_auth_users.carol: must be text, not a list",
            "5: basic_auth_users.dave: must be text, not text with a tag",
        ],
    ),
    (f'basic_auth_users: {{"\\uD800": {HASH}}}', ['1: basic_auth_users."']),
    (
        "http_server_config:\n  http2: maybe\n  headers:\n    X-Frame-Options: DENY\n"
        "    X-Content-Type-Options: no\n    X-Foo: 1\n"
        '    Content-Security-Policy: "a\\nSet-Cookie: b"\n',
        [
            "2: http_server_config.http2: must be true or false",
            "4: http_server_config.headers.X-Frame-Options: must be deny or sameorigin",
            "5: http_server_config.headers.X-Content-Type-Options: must be nosniff",
            "6: http_server_config.headers.X-Foo: is not known here",
            "7: http_server_config.headers.Content-Security-Policy: must be one line",
        ],
    ),
    ("http_server_config: {http2: 'true'}", ["1: http_server_config.http2: must be t"]),
    (
        "rate_limit: {interval: 1s}",
        ["1: rate_limit.burst: must be 1 or more, or every"],
    ),
    (
        "rate_limit: {interval: 1s, burst: 0}",
        ["1: rate_limit.burst: must be 1 or more"],
    ),
    ("rate_limit: {interval: 5, burst: 1}", ["1: rate_limit.interval: must be a dura"]),
    ("rate_limit: {interval: -5s, burst: 1}", ["1: rate_limit.interval: must be a du"]),
    (
        "rate_limit: {burst: x}",
        ['1: rate_limit.burst: must be a whole number, not "x"'],
    ),
]

NOT_YAML = [
    (f"a: *{SECRET}\n", "1: is not YAML: found undefined alias"),
    (f"a: !{SECRET}!x y\n", "1: is not YAML: found undefined tag handle"),
    (f"a: &{SECRET} b\nc: &{SECRET} d\n", "2: is not YAML: an anchor is there twice"),
    (f'a: "{SECRET}\n', "2: is not YAML: found unexpected end of stream"),
    (f"basic_auth_users:\n\talice: {SECRET}\n", "2: is not YAML: found character"),
    (f"a: {SECRET}: b\n", "1: is not YAML: mapping values are not allowed here"),
    (f"a: {SECRET}\n---\nb: c\n", "2: is not YAML: it has more than one document"),
    ("a: b\n\nc: \x00\n", "3: is not YAML: special characters are not allowed"),
    (b"a: b\nc: \xff\n", "2: is not YAML: it is not UTF-8"),
    ("[" * 10_000, "1: is not YAML: it is nested too deep"),
]


@pytest.mark.parametrize(("text", "problems"), PROBLEMS)
def test_all_that_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, problems: list[str]
) -> None:
    told = refused(tmp_path, text)
    assert len(told) == len(problems), told
    for each, problem in zip(told, problems, strict=True):
        assert each.startswith(problem)


@pytest.mark.parametrize(("text", "problem"), NOT_YAML)
def test_what_is_no_yaml_is_told_without_what_is_in_it(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    [told] = refused(tmp_path, text)
    assert told.startswith(problem)


@given(st.text(st.sampled_from("ab:-? \n\t[]{}'\"|>*&!#%@\\$2y0\0\ud800"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(NoYAML):
        assert all(isinstance(key, str) for key in read_yaml(text, Problems("x")))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "web.yml"
    for path, reason in (
        (missing, "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("/dev/zero"), "cannot be read: it is no file"),
    ):
        with pytest.raises(InvalidWebConfig) as caught:
            read_web_config(path)
        assert str(caught.value) == f"{path}: {reason}"
    missing.write_bytes(b"#" * 1024 * 1024)
    assert read_web_config(missing) == WebConfig()
    missing.write_bytes(b"#" * 1024 * 1024 + b"#")
    with pytest.raises(InvalidWebConfig, match="is larger than 1048576 bytes"):
        read_web_config(missing)


# --- tls_server_config ---

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


# --- the documentation ---


def test_every_key_of_tls_is_documented_and_no_other() -> None:
    rows = table("configuration.md", "## The web configuration file")
    told = [word for row in rows for word in code_words(row[0])]
    assert sorted(told) == sorted(KEYS)


def test_the_documented_file_is_taken(directory: Path) -> None:
    text = example_in("docs/configuration.md", "yaml")
    for ours, theirs in (("server", "relay"), ("ca", "clients")):
        for suffix in ("pem", "key"):
            content = (directory / f"{ours}.{suffix}").read_text()
            (directory / f"{theirs}.{suffix}").write_text(content)
    found = read(directory, text)
    assert found.tls is not None
    assert [*found.users] == ["prometheus"]
    assert found.notes == ()


def test_what_is_wrong_is_documented_as_it_is_told(tmp_path: Path) -> None:
    lines = example_in("docs/configuration.md", "yaml").splitlines()
    lines[2] = lines[2].replace("relay.key", "relay.kee")
    lines[6] = f"  prometheus: {SECRET}"
    make_certificate(make_ca(tmp_path, "clients"), "relay", "DNS:localhost")
    told = refused(tmp_path, "\n".join(lines))
    page = (DOCS / "configuration.md").read_text()
    assert [each.replace(f"{tmp_path}/", "") for each in told] == [
        line.removeprefix("web.yml:")
        for line in page.splitlines()
        if line.startswith("web.yml:")
    ]
