"""Debian's pgbouncer before a server of the tests, in transaction mode."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Any

import psycopg
from postgres_server import (
    PATIENCE,
    PostgresServer,
    as_user,
    run_sql,
    server_directory,
)
from relay_process import free_port
from sqlalchemy import URL

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = postgres
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
server_reset_query =
server_login_retry = 0.1
"""


class PgbouncerProcess:
    """A pgbouncer that lends the clients of a database so many connections of `server`.

    Its superuser is the server's.
    """

    def __init__(self, server: PostgresServer, pool_size: int = 4) -> None:
        self._server = server
        self.port = free_port()
        self._directory = server_directory("pgbouncer")
        self._file = self._directory / "pgbouncer.ini"
        self._log = self._directory / "log"
        users = self._directory / "users"
        configuration = _CONFIGURATION.format(
            server=server.port, port=self.port, users=users, pool_size=pool_size
        )
        for path, text in (
            (users, f'"postgres" "{server.password}"\n'),
            (self._file, configuration),
        ):
            path.write_text(text)
            path.chmod(0o644)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", **parts: Any) -> URL:
        """Return the URL of a database of the server, by way of this."""
        return self._server.url(database, **{"port": self.port, **parts})

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
        assert program, "pgbouncer is missing: apt-get install pgbouncer"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self._file)],
                stdout=log,
                stderr=log,
                cwd="/",
                **as_user(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, with all connections."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(PATIENCE)

    def remove(self) -> None:
        """Stop it, and remove all it had."""
        self.stop()
        shutil.rmtree(self._directory)

    def _answers(self) -> bool:
        try:
            run_sql(self.url("pgbouncer"), "SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True
