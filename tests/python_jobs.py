"""Jobs in Python for tests, and a relay that never answers them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from relay_process import REPOSITORY
from waiting import DEADLINE


@contextmanager
def silent_relay() -> Iterator[str]:
    """Yield the URL of one that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def run_job(
    program: str, url: str, state: Path, *, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with this relay and state directory."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PUSHRELAY_")}
    ours = {"PYTHONPATH": str(REPOSITORY), "PUSHRELAY_STATE_DIR": str(state)}
    return subprocess.run(
        [sys.executable, *python, "-c", dedent(program)],
        env={**kept, **ours, "PUSHRELAY_URL": url},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
