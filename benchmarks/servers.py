"""Starts, fills and stops the servers that are measured.

Each is on the loopback, with a folder of its own on the same disk. The Pushgateway has
its default consistency check on while it is measured.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from client import Connection, request
from load import SAMPLES, exposed_samples, fill
from processes import Processes

INSTALL_PUSHGATEWAY = (
    "prometheus-pushgateway is not installed, so only pushrelay is measured "
    "(Debian: apt-get install prometheus-pushgateway)"
)
_READY_DEADLINE = 60.0
_STOP_DEADLINE = 120.0
_FILL_DEADLINE = 120.0


class Server:
    """A server with a store below `directory`."""

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command that serves on `self.port`."""
        raise NotImplementedError

    def prepare(self, groups: int) -> None:
        """Start with an empty store, and fill it with so many groups."""
        self.start()
        fill(self.port, groups)
        self._expect(groups)

    def start(self) -> float:
        """Start; return the seconds until it said that it is ready."""
        self.port = _free_port()
        with open(self.directory / "log", "ab") as log:
            started = time.perf_counter()
            self._process = subprocess.Popen(
                self.command(), cwd=self.directory, stdout=log, stderr=log
            )
        while not self._is_ready():
            if time.perf_counter() - started > _READY_DEADLINE:
                raise RuntimeError(f"{self.name} did not start: {self._log()}")
            time.sleep(0.002)
        return time.perf_counter() - started

    def stop(self) -> None:
        """Stop in peace, so that everything is stored."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_DEADLINE)

    def memory(self) -> int | None:
        """Return the bytes of memory it takes, where that can be told."""
        try:
            return self.processes().memory()
        except OSError:
            return None

    def processes(self) -> Processes:
        """Return its processes. Raises OSError where they are not told."""
        assert self._process is not None
        return Processes(self._process.pid)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self._log()}")
        try:
            with Connection(self.port) as connection:
                connection.ask(request("GET", "/-/ready"))
        except OSError:
            return False
        return True

    def _expect(self, groups: int) -> None:
        """Wait until a scrape shows all groups."""
        deadline = time.monotonic() + _FILL_DEADLINE
        while (samples := exposed_samples(self.port)) != groups * SAMPLES:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.name} shows {samples} samples: {self._log()}"
                )
            time.sleep(0.2)

    def _log(self) -> str:
        return (self.directory / "log").read_text()[-2000:]


class Pushrelay(Server):
    """This project: durable, and checking every push."""

    name = "pushrelay"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "pushrelay", "serve"),
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--database.url=sqlite:///{self.directory}/relay.db",
            "--log.level=warn",
        ]


class Pushgateway(Server):
    """The original. It keeps groups in memory and writes its file now and then."""

    name = "Pushgateway"
    program = shutil.which("prometheus-pushgateway") or shutil.which("pushgateway")
    _checked = True

    def command(self) -> list[str]:
        assert self.program is not None
        unchecked = [] if self._checked else ["--push.disable-consistency-check"]
        return [
            self.program,
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--persistence.file={self.directory}/groups",
            # Not while it is measured; when it stops, it writes the file anyway.
            "--persistence.interval=24h",
            "--log.level=error",
            *unchecked,
        ]

    def prepare(self, groups: int) -> None:
        # With the check on, filling takes time by the square of the groups.
        self._checked = False
        super().prepare(groups)
        self.stop()
        self._checked = True
        self.start()
        self._expect(groups)

    @classmethod
    def version(cls) -> str:
        """Return the version of the program."""
        assert cls.program is not None
        told = subprocess.run(
            [cls.program, "--version"], capture_output=True, text=True, check=True
        )
        found = re.search(r"version (\S+?),? ", told.stdout + told.stderr)
        return found[1] if found else "unknown"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
