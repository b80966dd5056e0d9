"""Jobs in Python for tests, and a relay that notes what they report."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from canned_server import Asked, Canned, CannedServer, data
from relay_process import REPOSITORY

DEADLINE = 30.0
_TAKEN = {"id": "", "replayed": False, "warnings": [], "metrics_problems": []}


class NotingRelay(CannedServer):
    """Takes all reports, or answers them otherwise."""

    def __init__(self, answer: Callable[[Asked], Canned] | None = None) -> None:
        super().__init__(answer or (lambda _: data(_TAKEN)))

    def reports(self) -> list[dict[str, Any]]:
        """Return the run documents that came, with their ids."""
        return [
            {**json.loads(asked.body), "id": asked.path.rpartition("/")[2]}
            for asked in list(self.asked)
        ]

    def ends(self) -> list[dict[str, Any]]:
        """Return those that are of an end."""
        return [each for each in self.reports() if each["state"] == "finished"]

    def end(self) -> dict[str, Any]:
        """Return the only end that was reported."""
        [end] = self.ends()
        return end


@contextmanager
def silent_relay() -> Iterator[str]:
    """Yield the URL of one that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


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
        timeout=2 * DEADLINE,
    )
