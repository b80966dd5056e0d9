"""A real HAProxy as a child process, with the configuration of contrib/compose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from relay_process import REPOSITORY, START_DEADLINE, HTTPClient, free_port

HAPROXY = shutil.which("haproxy")
CONFIGURATION = REPOSITORY / "contrib" / "compose" / "haproxy.cfg"

_SERVERS = re.compile(r"(?:^    server relay\d+ relay\d+:9091\n)+", re.M)


def require_haproxy() -> None:
    """Skip the test if there is no HAProxy."""
    if HAPROXY is None:
        pytest.skip("there is no haproxy")


class HaproxyProcess(HTTPClient):
    """HAProxy before the relays at `addresses`, `host:port` each, which are relay1,
    relay2 and so on there. It and its log are in `directory`.

    resolver: address of the one whom the machine asks for names; its own if it does not
    matter. Only root may say so.
    """

    def __init__(
        self, directory: Path, addresses: Sequence[str], resolver: str = ""
    ) -> None:
        super().__init__("127.0.0.1", free_port())
        self.statistics = HTTPClient("127.0.0.1", free_port())
        self._count = len(addresses)
        self._log = directory / "haproxy.log"
        self._file = directory / "haproxy.cfg"
        self._file.write_text(configuration(addresses))
        self._command = [str(HAPROXY), "-db", "-f", str(self._file)]
        if resolver:
            own = directory / "resolv.conf"
            own.write_text(f"nameserver {resolver}\n")
            mount = f'mount --bind "{own}" /etc/resolv.conf && exec "$@"'
            self._command[:0] = ["unshare", "--mount", "sh", "-c", mount, "sh"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: int | None = None) -> HaproxyProcess:
        """Start it, and wait until it finds so many relays ready, or all of them."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ
                | {
                    "PUSHRELAY_BIND": self.address,
                    "HAPROXY_METRICS_BIND": self.statistics.address,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready(self._count if ready is None else ready)
        return self

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ready(self) -> set[str]:
        """Return the names of the relays that it routes to, since they are ready."""
        page = self.statistics.get("/metrics").text
        up = r'^haproxy_server_status\{proxy="ready",server="(\w+)",state="UP"\} 1$'
        return set(re.findall(up, page, re.M))

    def wait_until_ready(self, count: int) -> None:
        """Wait until it routes to so many relays."""
        deadline = time.monotonic() + START_DEADLINE
        found: set[str] | None = None
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            try:
                # A relay is taken for ready until its first check has failed.
                found = self.ready() if self._has_checked() else None
            except OSError:
                found = None  # not listening yet
            if found is not None and len(found) == count:
                return
            time.sleep(0.02)
        raise AssertionError(f"{found} of {count} relays are ready:\n{self.log}")

    def _has_checked(self) -> bool:
        page = self.statistics.get("/metrics").text
        passed = r'^haproxy_server_check_status\{proxy="ready".*state="L7OK"\} 1$'
        failed = r'^haproxy_server_check_failures_total\{proxy="ready".*\} [1-9]'
        checked = re.findall(f"{passed}|{failed}", page, re.M)
        return len(checked) >= self._count

    def __enter__(self) -> HaproxyProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def configuration(addresses: Sequence[str]) -> str:
    """Return the configuration of contrib/compose for the relays at `addresses`."""
    servers = "".join(
        f"    server relay{number} {address}\n"
        for number, address in enumerate(addresses, 1)
    )
    text, count = _SERVERS.subn(servers, CONFIGURATION.read_text())
    assert count == 2, "not the servers of the two backends"
    return text
