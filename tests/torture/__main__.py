"""The torture run by itself, as long as one likes: `make torture`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from postgres_cluster import PostgresCluster, running_cluster
from postgres_server import run_sql
from torture.checker import check
from torture.history import History
from torture.play import Plan, play, require_telling
from torture.report import Part, report
from torture.stage import PostgresStage, Stage, playing, sqlite_stage

_FILE = "history.jsonl"

SHARES = {
    "PostgreSQL, 3 replicas": 0.6,
    "PostgreSQL behind pgbouncer, 3 replicas": 0.2,
    "SQLite, 2 relays": 0.2,
}
"""The stages, and how much of the time each of them has."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of all stages")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--fault-seconds", type=float, default=2)
    parser.add_argument("--output", type=Path, help="file to write the report to")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="pushrelay-torture-"))
    parts: list[Part] = []
    with ExitStack() as end:
        cluster = end.enter_context(running_cluster())
        [(version,)] = run_sql(cluster.primary.url(), "SHOW server_version")
        for number, (name, share) in enumerate(SHARES.items()):
            place = directory / str(number)
            place.mkdir()
            print(name, flush=True)
            seconds = asked.seconds * share
            plan = Plan(seconds, asked.seed, asked.fault_seconds, 1.0, say=_say)
            stage = _stage(number, place, cluster)
            history = History()
            with history.kept_at(place / _FILE), playing(stage):
                play(stage, plan, history)
            history.save(place / _FILE)
            verdict = check(history)
            require_telling(history, verdict)
            parts.append(Part(name, history, verdict))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    text = report(parts, f"{today}, seed {asked.seed}, PostgreSQL {version}.")
    print(text)
    if asked.output:
        asked.output.write_text(text)
    violations = [violation for part in parts for violation in part.verdict.violations]
    for violation in violations:
        print(violation)
    print(f"The histories are in {directory}.")
    sys.exit(bool(violations))


def _stage(number: int, place: Path, cluster: PostgresCluster) -> Stage:
    if number == 2:
        return sqlite_stage(place)
    return PostgresStage(place, cluster, f"torture_{number}", pooled=number == 1)


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    main()
