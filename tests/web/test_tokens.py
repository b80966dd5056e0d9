"""Tokens of the database and of a file, before a running relay."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from command import call
from relay_process import RelayProcess, StartRelay
from token_use import new_token
from waiting import DEADLINE, wait_until

from pushrelay.rights import Right
from pushrelay.token_files import table_of
from pushrelay.tokens import Token, new_text

RELOADED = "pushrelay_token_file_last_reload_successful"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def status(relay: RelayProcess, text: str) -> int:
    """Return how a push with the token is answered."""
    return relay.put("/metrics/job/a", "x 1\n", bearer(text)).status


def write(file: Path, *tokens: Token) -> None:
    new = file.with_suffix(".new")
    new.write_text("\n".join(map(table_of, tokens)))
    os.replace(new, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.toml"
    write(file)
    return file


@pytest.mark.system
def test_a_token_that_is_made_and_revoked_by_commands(start_relay: StartRelay) -> None:
    relay = start_relay("--auth.required")
    url = f"--database.url=sqlite:///{relay.database}"

    def token(*arguments: str) -> str:
        done = call("token", *arguments, url)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    old = token("create", "a", "--scope=push")
    assert status(relay, old) == 200
    new = token("rotate", "a", "--keep-old=1h")
    assert status(relay, new) == status(relay, old) == 200
    wait_until(lambda: "never" not in token("list").splitlines()[1].split()[3])
    revoked_at = time.monotonic()
    token("revoke", "a")
    wait_until(lambda: status(relay, new) == 401)
    assert status(relay, old) == 401
    assert time.monotonic() - revoked_at < DEADLINE
    assert relay.stop() == 0
    for text in (old, new):
        assert text.split("_", 2)[2] not in relay.log


def test_a_relay_follows_its_file_of_tokens(
    start_relay: StartRelay, file: Path
) -> None:
    (first, first_text), (other, other_text) = new_token(), new_token("other")
    admin, admin_text = new_token("admin", scopes=frozenset([Right.ADMIN]))
    write(file, first, admin)
    relay = start_relay(f"--auth.token-file={file}", "--web.enable-lifecycle")
    assert relay.put("/metrics/job/a", "x 1\n").status == 401
    assert status(relay, first_text) == 200
    write(file, other, admin)
    assert status(relay, other_text) == 200
    wait_until(lambda: status(relay, first_text) == 401)

    def is_reloaded() -> float:
        page = relay.get("/-/metrics", bearer(admin_text)).text
        [line] = [line for line in page.splitlines() if line.startswith(RELOADED)]
        return float(line.split()[1])

    assert is_reloaded() == 1
    file.write_text("[[token]]\nname = 1\n")
    assert relay.process is not None
    relay.process.send_signal(signal.SIGHUP)
    wait_until(lambda: is_reloaded() == 0)
    assert f"{file}:2: token[1].name: must be a name" in relay.log
    assert status(relay, other_text) == 200
    refused = relay.put("/-/reload", b"", bearer(admin_text))
    assert refused.status == 500
    assert "token[1].name: must be a name" in refused.text
    write(file, first, admin)
    assert relay.put("/-/reload", b"", bearer(admin_text)).status == 200
    assert is_reloaded() == 1
    assert status(relay, first_text) == 200
    assert status(relay, new_text().text) == 401
    for text in (first_text, other_text, admin_text):
        assert text.split("_", 2)[2] not in relay.log


def test_a_bad_file_of_tokens_keeps_a_relay_from_starting(
    tmp_path: Path, file: Path
) -> None:
    file.write_text("[[token]]\n")
    relay = RelayProcess(tmp_path, f"--auth.token-file={file}")
    with pytest.raises(AssertionError):
        relay.start()
    assert f"{file}:1: token[1]: has no name" in relay.log
