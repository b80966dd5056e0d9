"""The first moments of `pushrelay exec`, before its arguments are read."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import run
from waiting import DEADLINE
from wrapped import environment

# Gets SIGINT at the first import of what reads the arguments.
PROGRAM = """
import signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == "pushrelay.wrapper.main":
            signal.raise_signal(signal.SIGINT)

if sys.argv.pop(1) == "ignore":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.meta_path.insert(0, Interrupting())
from pushrelay.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("handling", "status", "output"),
    [("default", -signal.SIGINT, b""), ("ignore", 0, b"ran\n")],
)
def test_control_c_at_once_ends_it_without_a_traceback(
    handling: str, status: int, output: bytes, tmp_path: Path
) -> None:
    arguments = ["exec", "--quiet", "--", "echo", "ran"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, handling, *arguments],
        env=environment(tmp_path / "state"),
        capture_output=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, output, b"")


@pytest.mark.parametrize("value", ["", "x", "1", "complete", "bash_complete_", "_"])
def test_only_what_completes_keeps_a_command_from_running(
    value: str, tmp_path: Path
) -> None:
    done = run(
        *("exec", "--quiet", "--", "sh", "-c", "echo =$_PUSHRELAY_COMPLETE"),
        _PUSHRELAY_COMPLETE=value,
        PUSHRELAY_STATE_DIR=str(tmp_path),
        PUSHRELAY_URL="http://127.0.0.1:1",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"={value}\n", "")


def test_what_completes_runs_no_command(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    run(
        *("exec", "--", "touch", str(ran)),
        _PUSHRELAY_COMPLETE="bash_complete",
        COMP_WORDS="pushrelay exec --schedu",
        COMP_CWORD="2",
    )
    assert not ran.exists()
