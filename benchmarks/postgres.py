"""A PostgreSQL of a benchmark's own, as the tests have, and replicas that share it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from servers import Pushrelay

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from postgres_server import PostgresServer, find_programs, plain, run_sql

AS_IN_USE = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "autovacuum_naptime": "1min",
}
"""What the tests have otherwise, to be faster."""


class Postgres:
    """A server with an empty database; its commits are on disk."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = server.url().render_as_string(hide_password=False)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Postgres]:
        """Have one for as long as the block runs."""
        server = PostgresServer(find_programs(), **AS_IN_USE)
        try:
            server.start()
            yield cls(server)
        finally:
            server.remove()

    def version(self) -> str:
        """Return the version of the server."""
        [[told]] = self.run("SHOW server_version")
        return str(told).split()[0]

    def commits(self) -> int:
        """Return how many there were, ever."""
        [[revision]] = self.run("SELECT max(revision) FROM commits")
        return int(revision)

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """Run `sql`; return its rows."""
        return run_sql(self._server.url(), sql)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Keep the state of this moment, as a backup does."""
        with psycopg.connect(plain(self._server.url())) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SELECT count(*) FROM commits")
            yield

    def processor_seconds(self) -> float:
        """Return the processor time it took, those of its processes that have ended
        among it. Raises OSError where the system does not tell of them."""
        [[path]] = self.run("SHOW data_directory")
        root = (Path(str(path)) / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
        ticks = sum(sum(_ticks(pid)[:2]) for pid in children)
        # Last: one that has ended meanwhile is counted here.
        ticks += sum(_ticks(root))
        return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: str) -> list[int]:
    """Return the clock ticks of a process as user and system, and of its children."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # Behind the name, which may have blanks in it.
    return list(map(int, told.rpartition(")")[2].split()[11:15]))


class Replica(Pushrelay):
    """A relay of the database at `url`."""

    def __init__(self, directory: Path, url: str) -> None:
        super().__init__(directory)
        self._url = url

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "pushrelay", "serve"),
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--database.url={self._url}",
            "--log.level=warn",
        ]

    def prepare(self, groups: int) -> None:
        command = [sys.executable, "-m", "pushrelay", "db", "upgrade"]
        environment = {**os.environ, "PUSHRELAY_DATABASE_URL": self._url}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        super().prepare(groups)
