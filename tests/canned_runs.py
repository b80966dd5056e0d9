"""Run documents as a relay answers with them, and a relay that has some."""

from __future__ import annotations

from typing import Any

from canned_server import Asked, Canned, data, problem

NOW = 1_700_000_000
ID = "0189f0a4-0000-7000-8000-{:012}"
BAD = "\x1b]0;x\a\u202e"


def run_document(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": ID.format(number),
        "job": "backup",
        "labels": {},
        "state": "finished",
        "abandoned": False,
        "started_at": NOW - 3600 * number,
        "finished_at": NOW - 3600 * number + 41.25,
        "duration_seconds": 41.25,
        "exit_code": 0,
        "signal": None,
        "outcome": "success",
        "usage": None,
        "output_tail": None,
        "attempt": 1,
        "host": "db1",
        "trace_id": None,
        "expectation": None,
        **more,
    }


def started(number: int = 0) -> dict[str, Any]:
    unknown = dict.fromkeys(["finished_at", "duration_seconds", "exit_code", "outcome"])
    return run_document(number, state="started", **unknown)


HISTORY = [
    started(0),
    run_document(1, outcome="failure", exit_code=3, duration_seconds=9.5),
    run_document(2, outcome="signal", exit_code=None, signal=9, host=None),
    run_document(3, outcome="success", exit_code=None, duration_seconds=None),
    {**started(4), "abandoned": True},
]


class Runs:
    """Answers as a relay with these runs does."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        self.runs = {each["id"]: each for each in runs}

    def __call__(self, asked: Asked) -> Canned:
        if asked.path == "/api/v1/runs":
            first = int(asked.parameters.get("cursor", ["0"])[0])
            behind = first + int(asked.parameters["limit"][0])
            id_ = asked.parameters.get("id", [""])[0].lower()
            found = [run for run in self.runs.values() if run["id"].startswith(id_)]
            more = behind < len(found)
            entries = found[first:behind]
            return data({"runs": entries, "next": str(behind) if more else None})
        run = self.runs.get(asked.path.removeprefix("/api/v1/runs/"))
        return data(run) if run else problem(404, reason="x", detail="no such run")


FULL = run_document(
    labels={"instance": "db1"},
    outcome="failure",
    exit_code=3,
    attempt=2,
    trace_id="0af7651916cd43dd8448eb211c80319c",
    usage={
        "user_seconds": 12.1,
        "system_seconds": 0.8,
        "max_rss_bytes": 104857600,
        "block_reads": 12,
        "block_writes": 40,
        "voluntary_switches": 900,
        "involuntary_switches": None,
    },
    output_tail={"stdout": "a\n\tb\x1b[31mred\x1b[0m\r\n\n", "stderr": "oh\a"},
    metrics_problems=["line 3: what is this?"],
    expectation={"min_interval": "1h"},
)
