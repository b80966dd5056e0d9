"""What jobs authenticate with is told to their relay, and to nobody else."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, problem
from command import run
from executed import Executor
from planted import basic, files_below, leaks
from relay_process import free_port

pytestmark = pytest.mark.system

PASSWORD = "planted/pass@word"
TOKEN = "prt_0123456789abcdef_planted-token"
SECRETS = {
    "the password": PASSWORD,
    "the user with it": "planter:" + PASSWORD,
    "the token": TOKEN,
}
SENT = {f"Basic {basic('planter', PASSWORD)}", f"Bearer {TOKEN}"}


def secretive(address: str) -> str:
    """Return a URL with the password in it."""
    return f"http://planter:planted%2Fpass%40word@{address}"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    # Beside the state and not in it: all files there are looked into.
    (tmp_path / "private").mkdir()
    file = tmp_path / "private/token"
    file.write_text(f"{TOKEN}\n")
    return file


def credentials(address: str, token_file: Path) -> dict[str, dict[str, str]]:
    """Return each way to give a job its secrets."""
    plain = f"http://{address}"
    return {
        "url": {"PUSHRELAY_URL": secretive(address)},
        "variable": {"PUSHRELAY_URL": plain, "PUSHRELAY_TOKEN": TOKEN},
        "file": {"PUSHRELAY_URL": plain, "PUSHRELAY_TOKEN_FILE": str(token_file)},
        "both": {"PUSHRELAY_URL": secretive(address), "PUSHRELAY_TOKEN": TOKEN},
        "no URL": {
            "PUSHRELAY_URL": f"{secretive(address)}/@x",
            "PUSHRELAY_TOKEN": TOKEN,
        },
        "no token": {"PUSHRELAY_URL": plain, "PUSHRELAY_TOKEN": f"{TOKEN}\n{TOKEN}"},
    }


WAYS = [*credentials("", Path())]


def said(
    done: subprocess.CompletedProcess[str], *directories: Path
) -> Mapping[str, bytes]:
    """Return all that others may read of a command that has ended."""
    output = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    return output | dict(files_below(*directories))


@pytest.mark.parametrize("way", WAYS)
def test_what_could_not_be_reported_is_kept_without_secrets(
    way: str, token_file: Path, tmp_path: Path
) -> None:
    given = credentials(f"127.0.0.1:{free_port()}", token_file)[way]
    executor = Executor(tmp_path, "http://127.0.0.1:1")
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    options = ["--textfile", str(textfiles), "--output-tail", "1kB", "--lock", "skip"]
    done = executor.run(*options, "--", "sh", "-c", "echo out; exit 3", **given)
    assert done.returncode == 3
    assert done.stderr
    assert not leaks(SECRETS, said(done, executor.state, textfiles))
    for command in (["list"], ["flush"], ["discard", "--all"]):
        told = run("spool", *command, **given, PUSHRELAY_STATE_DIR=str(executor.state))
        assert not leaks(SECRETS, said(told, executor.state)), command


def refuse(asked: Asked) -> Canned:
    return problem(401, title="Unauthorized", detail="who are you?")


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_told_without_secrets(
    way: str, token_file: Path, tmp_path: Path
) -> None:
    with CannedServer(refuse) as server:
        given = credentials(server.address, token_file)[way]
        executor = Executor(tmp_path, server.url)
        done = executor.run("--", "true", **given)
        places = dict(said(done, executor.state))
        for command in (
            ["jobs"],
            ["groups"],
            ["push", "--job=x"],
            ["delete", "--job=x"],
        ):
            told = run(*command, stdin=b"a 1\n", **given)
            assert told.returncode != 0
            places |= {f"{command} {k}": v for k, v in said(told).items()}
    for asked in server.asked:
        places[f"{asked.method} {asked.path}"] = asked.target.encode() + asked.body
    assert not leaks(SECRETS, places)
    sent = {asked.headers.get("authorization", "") for asked in server.asked}
    assert sent & SENT or way not in ("url", "variable", "file")


@pytest.mark.parametrize("way", WAYS)
def test_a_dry_run_shows_none(way: str, token_file: Path, tmp_path: Path) -> None:
    given = credentials("relay.example:9091", token_file)[way]
    done = Executor(tmp_path, "").run("--dry-run", "--", "true", **given)
    assert done.stdout or done.stderr
    assert not leaks(SECRETS, said(done))


@pytest.mark.parametrize("way", ["url", "variable", "file"])
def test_neither_command_lines_nor_the_job_show_one(
    way: str, token_file: Path, tmp_path: Path
) -> None:
    given = credentials(f"127.0.0.1:{free_port()}", token_file)[way]
    look = "cat /proc/[0-9]*/cmdline 2>&- ; PUSHRELAY_URL= cat /proc/self/environ"
    options = ["--hide-token", "--output-tail", "1kB"]
    executor = Executor(tmp_path, "http://127.0.0.1:1")
    done = executor.run(*options, "--", "sh", "-c", look, **given)
    assert "--hide-token" in done.stdout
    assert "PUSHRELAY_RUN_ID=" in done.stdout
    assert not leaks(SECRETS, said(done))
