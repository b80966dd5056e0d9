"""What a web configuration file may say, and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from certificates import make_ca, make_certificate
from doc_examples import DOCS, example_in
from hypothesis import given
from hypothesis import strategies as st
from web_configs import HASH, SECRET, read, refused

from pushrelay.errors import InvalidWebConfig
from pushrelay.web.rate_limit import Rate
from pushrelay.web.web_config import WebConfig, read_web_config
from pushrelay.web.yaml_tables import NoYAML, Problems, read_yaml

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


# --- the documentation ---


@pytest.mark.system
def test_the_documented_file_is_taken(tmp_path: Path) -> None:
    make_certificate(make_ca(tmp_path, "clients"), "relay", "DNS:localhost")
    found = read(tmp_path, example_in("docs/configuration.md", "yaml"))
    assert found.tls is not None
    assert [*found.users] == ["prometheus"]
    assert found.notes == ()


@pytest.mark.system
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
