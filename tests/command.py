"""The commands as a person calls them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from click.testing import CliRunner
from relay_process import REPOSITORY
from waiting import DEADLINE

from pushrelay.cli.main import cli


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `pushrelay` with `arguments` and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pushrelay", *arguments],
        input=stdin,
        env=_environment(environment),
        capture_output=True,
        timeout=DEADLINE,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def call(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Do what `run` does, in this process, for tables of many calls."""
    ours = {name: None for name in os.environ if name.startswith("PUSHRELAY_")}
    done = CliRunner().invoke(cli, arguments, input=stdin, env={**ours, **environment})
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return subprocess.CompletedProcess(
        arguments, done.exit_code, done.stdout, done.stderr
    )


def run_on_terminal(
    typed: str, *arguments: str, columns: int = 80, **environment: str
) -> tuple[int, str]:
    """Run `pushrelay` with a terminal for all its streams, on which `typed` is typed;
    return its exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pushrelay", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=_environment({"COLUMNS": str(columns), **environment}),
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # how a terminal ends
    os.close(ours)
    return process.wait(DEADLINE), shown.decode().replace("\r\n", "\n")


def _environment(more: dict[str, str]) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PUSHRELAY_")}
    return {**ours, "PYTHONPATH": str(REPOSITORY), **more}
