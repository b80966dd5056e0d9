"""The commands that pages show, run in the order of the page against a relay."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from doc_examples import Block
from relay_process import REPOSITORY, HTTPClient
from waiting import DEADLINE

CURL = shutil.which("curl")

MISSING = [name for name in ("curl", "sqlite3", "zstd") if not shutil.which(name)]
"""Programs of the pages that this machine does not have."""

ADDRESSES = re.compile(
    r"(localhost|127\.0\.0\.1|relay\.example\.org|pushgateway|RELAY):909[15]"
)
"""Where the docs say that a relay is, or a Pushgateway, whose part it plays."""

PLACES = {
    "/usr/local/bin/": "bin/",
    "/backups/": "backups/",
    "/tmp/": "",
    "/var/lib/pushrelay/": "data/",
}
"""Directories of the docs, and those of the desk that take their place."""

_PLACES = re.compile(rf"(?<![\w.])({'|'.join(PLACES)})")

_TIMES = re.compile(r"\b17953[0-9]{5}(\.[0-9]+)?\b")
"""When the runs of the examples were, in Unix seconds."""

_DATES = re.compile(r"\b2026-[0-9]{2}-[0-9]{2}\b")

_WRITTEN = 1795378900
"""When the examples were written: what is newer than 30 days then is so now."""

_CURL = f"""#!/bin/sh
# What curl says goes to the log, with the request and the status of the answer.
told='%{{stderr}}\\n@curl %{{http_code}} %{{method}} %{{url_effective}}\\n'
exec {CURL} -sS -w "$told" "$@" 2>>"$COMMAND_LOG"
"""

_PUSHRELAY = f"""#!/bin/sh
[ "$1" != serve ] || exit 64  # It would not end.
"{sys.executable}" "{REPOSITORY}/bin/pushrelay" "$@"
status=$?
echo "@pushrelay $status $*" >>"$COMMAND_LOG"
exit $status
"""

_OTHER = """#!/bin/sh
{path} "$@"
status=$?
echo "@{name} $status $*" >>"$COMMAND_LOG"
exit $status
"""

OTHERS = ("sed", "sqlite3")
"""What else is called."""

TIMED_OUT = 124


@dataclass(frozen=True)
class Called:
    """One call of curl or another program. result: the status of the answer, or the
    exit status; what: the method and the URL, or the arguments."""

    program: str
    result: int
    what: str

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was to do."""
        return self.result // 100 == 2 if self.program == "curl" else self.result == 0


@dataclass(frozen=True)
class Ran:
    """A block that was run: what was called in it, in order, and what it printed."""

    block: Block
    calls: list[Called]
    output: str


class Desk:
    """A directory with a shell in which the commands of a page are run. Who sits there
    agrees to everything."""

    def __init__(self, directory: Path, relay: HTTPClient) -> None:
        self.directory = directory
        self.relay = relay
        self.log = directory / "log"
        for place in filter(None, PLACES.values()):
            (directory / place).mkdir(exist_ok=True)
        self.programs = directory / "bin"
        self.program("curl", _CURL)
        self.program("pushrelay", _PUSHRELAY)
        for name in OTHERS:
            self.program(name, _OTHER.format(name=name, path=shutil.which(name)))

    def program(self, name: str, text: str) -> None:
        """Make a program that commands find."""
        file = self.programs / name
        file.write_text(text)
        file.chmod(0o755)

    def run(self, block: Block) -> Ran:
        """Run a block with a shell."""
        self.log.write_text("")
        with _terminal() as stdin:
            done = subprocess.run(
                ["timeout", str(DEADLINE), "bash", "-u", "-c", self.script(block.text)],
                cwd=self.directory,
                env=self._environment(),
                stdin=stdin,
                capture_output=True,
                text=True,
            )
        assert done.returncode != TIMED_OUT, f"{block} does not end"
        assert "command not found" not in done.stderr, f"{block}: {done.stderr}"
        calls = re.findall(r"^@(\w+) (\d+) (.*)$", self.log.read_text(), re.MULTILINE)
        called = [Called(name, int(result), what) for name, result, what in calls]
        return Ran(block, called, done.stdout)

    def script(self, text: str) -> str:
        """Return commands with addresses, times and paths that there are here."""
        text = ADDRESSES.sub(self.relay.address, text)
        text = _PLACES.sub(lambda found: f"{self.directory}/{PLACES[found[0]]}", text)
        later = int(time.time()) - _WRITTEN
        text = _DATES.sub(lambda found: _shifted(found[0], later), text)
        return _TIMES.sub(lambda found: str(float(found[0]) + later), text)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.directory),
            "COMMAND_LOG": str(self.log),
            "PUSHRELAY_URL": f"http://{self.relay.address}",
            "PUSHRELAY_STATE_DIR": str(self.directory / "state"),
        }


@contextmanager
def _terminal() -> Iterator[int]:
    """Give a terminal to read from, at which somebody has said yes a few times."""
    theirs, ours = os.openpty()
    try:
        os.write(theirs, b"y\n" * 4)
        yield ours
    finally:
        os.close(ours)
        os.close(theirs)


def _shifted(day: str, seconds: int) -> str:
    """Return the date that is so much later than `day`, in whole days."""
    return str(date.fromisoformat(day) + timedelta(seconds=seconds))
