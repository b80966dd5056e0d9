"""What an installed wheel does: commands that run outside of the checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_process import free_port
from waiting import DEADLINE


def make_venv(directory: Path) -> tuple[str | Path, ...]:
    """Make an empty venv; return the command of a pip that looks after it."""
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory.parent)
    return (
        sys.executable,
        "-m",
        "pip",
        "--python",
        directory / "bin/python",
        "--quiet",
    )


@contextmanager
def serve(commands: Path, directory: Path) -> Iterator[str]:
    """Run the relay in `directory` and yield its address."""
    address = f"127.0.0.1:{free_port()}"
    with (directory / "relay.log").open("wb") as log:
        process = subprocess.Popen(
            [commands / "pushrelay", "serve", f"--web.listen-address={address}"],
            cwd=directory,
            env=clean_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_ready(address, process)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready"):
                return
        except OSError:
            assert process.poll() is None, "the relay ended"
            assert time.monotonic() < deadline, "the relay is not ready"
            time.sleep(0.05)


def imports(*command: str | Path, cwd: Path) -> list[str]:
    """Return the modules that `command` imports, as -X importtime tells them."""
    told = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    lines = told.stderr.splitlines()
    return [line.rpartition("|")[2].strip() for line in lines if "import time:" in line]


def run_a_job(*call: str | Path, cwd: Path) -> str:
    """Run a job by `call`, with no relay; return what it printed."""
    unheard = ("exec", "--url", "http://127.0.0.1:1", "--quiet", "--")
    state = {"PUSHRELAY_STATE_DIR": str(cwd / "state")}
    return run(*call, *unheard, "echo", "ran", cwd=cwd, **state)


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """Run a command outside of the checkout and return what it printed."""
    environment = clean_environment() | environ
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return the environment less what Python, coverage and pushrelay read."""
    foreign = ("PYTHON", "COVERAGE", "COV_", "PUSHRELAY", "VIRTUAL_ENV")
    ours = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    # What is not imported need not be compiled.
    return ours | {"PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
