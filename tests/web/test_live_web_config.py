"""The web configuration file while it changes."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path

import bcrypt
import pytest
from certificates import Certificate, make_ca, make_certificate
from tls_use import client_context, shake_hands
from waiting import wait_until

from pushrelay.errors import InvalidWebConfig
from pushrelay.telemetry import Telemetry
from pushrelay.web import live_web_config
from pushrelay.web.live_web_config import LiveWebConfig
from pushrelay.web.web_config import WebConfig, read_web_config

TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
DENY = "http_server_config: {headers: {X-Frame-Options: deny}}\n"
SAME = "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n"
SLOW = "rate_limit: {interval: 1h, burst: 1}\n"


def hash_of(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def users_of(**passwords: str) -> str:
    lines = [f"  {name}: {hash_of(each)}\n" for name, each in passwords.items()]
    return f"basic_auth_users:\n{''.join(lines)}"


class Live:
    """A file that is followed, and looked at when it is told to."""

    def __init__(self, directory: Path, text: str) -> None:
        self.file = directory / "web.yml"
        self.file.write_text(text)
        self.telemetry = Telemetry()
        started = read_web_config(self.file)
        self.web = LiveWebConfig(self.file, self.telemetry, started)
        self.web.read()

    def write(self, text: str, *, looks: int = 2) -> None:
        """Change the file, and look at it as often as it takes."""
        replacing = self.file.with_suffix(".new")
        replacing.write_text(text)
        os.replace(replacing, self.file)
        self.look(looks)

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.web.look()

    def knows(self, user: str, password: str) -> bool:
        """Whether the password is right."""
        assert self.web.users is not None
        return asyncio.run(self.web.users.check(user, password))

    @property
    def frame_options(self) -> str | None:
        return dict(self.web.headers).get("X-Frame-Options")


def test_a_relay_without_a_file_has_nothing_of_it() -> None:
    telemetry = Telemetry()
    web = LiveWebConfig(None, telemetry)
    web.read()
    web.keep_reading()
    assert (web.users, web.headers, web.rate_limit, web.context) == (
        None,
        (),
        None,
        None,
    )
    assert telemetry.is_web_configured is None


def test_a_changed_file_is_taken_over(tmp_path: Path) -> None:
    live = Live(tmp_path, DENY + users_of(alice="a"))
    assert live.telemetry.is_web_configured is True
    assert live.frame_options == "deny"
    live.write(SAME + users_of(alice="b", bob="c"))
    assert live.frame_options == "sameorigin"
    assert not live.knows("alice", "a")
    assert live.knows("alice", "b")
    assert live.knows("bob", "c")


def test_a_file_that_still_changes_is_left_alone(tmp_path: Path) -> None:
    live = Live(tmp_path, DENY)
    live.write(SAME, looks=1)
    live.write(SAME + SLOW, looks=1)
    assert live.frame_options == "deny"
    live.look(1)
    assert live.frame_options == "sameorigin"
    assert live.web.rate_limit is not None


def test_a_file_that_does_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live(tmp_path, DENY)
    monkeypatch.setattr(live_web_config, "read_web_config", None)
    live.look(5)


@pytest.mark.parametrize("text", ["tls: {}", "a: [", "http_server_config: {http2: 3}"])
def test_a_file_that_turns_bad_changes_nothing_and_is_told_once(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    live = Live(tmp_path, DENY + users_of(alice="a"))
    live.write(text)
    live.look(5)
    assert live.frame_options == "deny"
    assert live.knows("alice", "a")
    assert live.telemetry.is_web_configured is False
    [told] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert f"is not taken over: {live.file}:1: " in told.getMessage()

    live.write(SAME + users_of(alice="b"))
    assert live.frame_options == "sameorigin"
    assert live.telemetry.is_web_configured is True


def test_a_file_that_goes_away_changes_nothing_until_it_is_back(tmp_path: Path) -> None:
    live = Live(tmp_path, users_of(alice="a"))
    live.file.unlink()
    live.look()
    assert live.telemetry.is_web_configured is False
    assert live.knows("alice", "a")
    live.write(users_of(alice="b"))
    assert live.telemetry.is_web_configured is True
    assert live.knows("alice", "b")


@pytest.mark.parametrize("text", ["", "\n", "basic_auth_users:\n", DENY])
def test_no_file_opens_a_relay_that_asked_for_passwords(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    live = Live(tmp_path, users_of(alice="a"))
    live.write(text)
    assert live.knows("alice", "a")
    assert not live.knows("bob", "a")
    assert live.frame_options is None
    assert live.telemetry.is_web_configured is False
    assert "basic_auth_users are gone, which is not followed while the" in caplog.text


def test_a_relay_may_begin_to_ask_for_passwords(tmp_path: Path) -> None:
    live = Live(tmp_path, "")
    assert live.web.users is None
    live.write(users_of(alice="a"))
    assert live.knows("alice", "a")
    live.write("")
    assert live.knows("alice", "a")


def test_a_worker_does_not_begin_with_a_file_that_would_open_the_relay(
    tmp_path: Path,
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(users_of(alice="a"))
    started = read_web_config(file)
    file.write_text("")
    with pytest.raises(InvalidWebConfig, match="basic_auth_users are gone"):
        LiveWebConfig(file, Telemetry(), started).read()


def test_the_rate_is_kept_unless_it_changes(tmp_path: Path) -> None:
    live = Live(tmp_path, SLOW)
    limit = live.web.rate_limit
    assert limit is not None
    live.write(SLOW + DENY)
    assert live.web.rate_limit is limit
    live.write(SLOW.replace("1h", "2h"))
    assert live.web.rate_limit is not limit
    live.write(DENY)
    assert live.web.rate_limit is None


def test_files_are_looked_at_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_web_config, "LOOK_SECONDS", 0.01)
    live = Live(tmp_path, DENY)
    look, failures = live.web.look, [OSError("once")]

    def look_or_fail() -> None:
        if failures:
            raise failures.pop()
        look()

    monkeypatch.setattr(live.web, "look", look_or_fail)
    live.web.keep_reading()
    live.write(SAME, looks=0)
    wait_until(lambda: live.frame_options == "sameorigin")
    assert "could not be looked at" in caplog.text


def test_bad_files_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Files may be bad for a moment, and the same before and after it.
    monkeypatch.setattr(live_web_config, "RETRY_SECONDS", 0.0)
    live = Live(tmp_path, DENY)

    def fail(*_: object) -> WebConfig:
        raise InvalidWebConfig(["too many open files"])

    monkeypatch.setattr(live_web_config, "read_web_config", fail)
    live.write(SAME)
    live.look(5)
    assert live.frame_options == "deny"
    assert caplog.text.count("too many open files") == 1
    monkeypatch.setattr(live_web_config, "read_web_config", read_web_config)
    live.look(1)
    assert live.frame_options == "sameorigin"


# --- TLS ---


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a CA, and a certificate and a key for servers."""
    make_certificate(make_ca(tmp_path), "server", "DNS:localhost")
    return tmp_path


@pytest.mark.system
def test_a_new_certificate_is_that_of_the_next_connection(directory: Path) -> None:
    live = Live(directory, TLS)
    other = directory / "other"
    other.mkdir()
    ca = make_ca(other)
    fresh = make_certificate(ca, "server", "DNS:localhost")
    # One file after the other, as most tools replace them.
    os.replace(fresh.certificate, directory / "server.pem")
    live.look()
    assert live.telemetry.is_web_configured is False
    os.replace(fresh.key, directory / "server.key")
    live.look()
    assert live.telemetry.is_web_configured is True
    assert live.web.context is not None
    shake_hands(live.web.context, client_context(ca))


@pytest.mark.system
def test_a_ca_that_changes_lets_in_others(directory: Path) -> None:
    old, new = make_ca(directory, "old"), make_ca(directory, "new")
    client = make_certificate(old, "client", client=True)
    listed = directory / "clients.pem"
    listed.write_text(old.pem)
    verify = "client_ca_file: clients.pem, client_auth_type: RequireAndVerifyClientCert"
    live = Live(directory, TLS.replace("}", f", {verify}}}"))
    ours = client_context(
        Certificate(directory / "ca.pem", directory / "ca.key"), client
    )
    assert live.web.context is not None
    shake_hands(live.web.context, ours)
    listed.write_text(new.pem)
    live.look()
    with pytest.raises(ssl.SSLError):
        shake_hands(live.web.context, ours)
    listed.write_text(old.pem + new.pem)
    live.look()
    shake_hands(live.web.context, ours)


@pytest.mark.system
@pytest.mark.parametrize("before", [TLS, ""])
def test_tls_neither_ends_nor_begins_while_the_relay_runs(
    directory: Path, before: str, caplog: pytest.LogCaptureFixture
) -> None:
    live = Live(directory, before)
    context = live.web.context
    live.write(DENY if before else DENY + TLS)
    assert live.web.context is context
    assert live.frame_options is None
    assert live.telemetry.is_web_configured is False
    assert f"tls_server_config is {'gone' if before else 'new'}, which" in caplog.text


VERIFY = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"


@pytest.mark.system
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (VERIFY, "", "client_auth_type requires no certificate any more"),
        (
            VERIFY,
            "client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem",
            "client_auth_type requires no certificate any more",
        ),
        (
            f"{VERIFY}, client_allowed_sans: [job]",
            VERIFY,
            "client_allowed_sans is gone",
        ),
    ],
)
def test_no_file_lets_in_who_had_to_have_a_certificate(
    directory: Path,
    before: str,
    after: str,
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    live = Live(directory, TLS.replace("}", f", {before}}}"))
    assert live.web.context is not None
    context = live.web.context.current
    live.write(TLS.replace("}", f", {after}}}") + DENY)
    assert live.web.context.current is context
    assert live.frame_options is None
    assert f"tls_server_config: {told}, which is not followed while" in caplog.text


@pytest.mark.system
def test_who_is_let_in_by_a_certificate_may_be_told_anew(directory: Path) -> None:
    live = Live(directory, TLS)
    assert live.web.context is not None
    for settings in (VERIFY, f"{VERIFY}, client_allowed_sans: [job]"):
        before = live.web.context.current
        live.write(TLS.replace("}", f", {settings}}}"))
        assert live.web.context.current is not before
    live.write(TLS.replace("}", f", {VERIFY}, client_allowed_sans: [other]}}"))
    assert live.telemetry.is_web_configured is True


@pytest.mark.system
def test_what_is_not_followed_is_logged(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = Live(directory, TLS.replace("}", ", min_version: TLS10}"))
    assert (
        f"{live.file}: min_version is TLS12: older versions are broken" in caplog.text
    )
