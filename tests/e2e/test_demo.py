"""`make demo` as a person has it: addresses that answer, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import IO
from urllib.request import urlopen

import pytest
from relay_process import REPOSITORY
from story import missing_programs
from waiting import DEADLINE, wait_until

pytestmark = pytest.mark.system

DEMO = [sys.executable, str(REPOSITORY / "tests/demo.py")]
PATHS = os.pathsep.join(
    str(REPOSITORY / path) for path in (".", "tests", "tests/compat")
)


@pytest.mark.skipif(bool(missing_programs()), reason=f"no {missing_programs()}")
def test_the_demo_tells_where_all_is_and_leaves_nothing(tmp_path: Path) -> None:
    mark = f"DEMO_MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    environment = {"PYTHONPATH": PATHS, "TMPDIR": str(tmp_path), name: value}
    with subprocess.Popen(
        DEMO,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            urls = addresses(demo.stdout)
            for url in urls:
                with urlopen(url, timeout=DEADLINE) as response:
                    assert response.status == 200
            assert len(urls) == 4
            assert len(marked(mark)) > 4
            os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
            assert demo.wait(DEADLINE) == 0
        finally:
            demo.terminate()
    wait_until(lambda: not marked(mark), "the end of all processes")
    assert not [*tmp_path.iterdir()]


def addresses(printed: IO[bytes]) -> list[str]:
    """Return the addresses that are printed before what tells how to end it."""
    urls = []
    for line in printed:
        urls += re.findall(r"http://\S+", line.decode())
        if b"Ctrl-C" in line:
            break
    return urls


def marked(mark: str) -> list[str]:
    """Return the processes with `mark` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it is another user's, or has ended
        if mark.encode() in variables:
            found.append(path.parent.name)
    return found


def test_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": PATHS, "PATH": str(tmp_path)}
    done = subprocess.run(DEMO, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "apt-get install prometheus prometheus-alertmanager prometheus-node-exporter\n"
    )
