"""What the figures of a run depend on beside the code: machine, versions, load."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pushrelay


def circumstances(directory: Path, others: list[str]) -> list[str]:
    """Return a line each on the date, the machine and the versions, those of `others`
    among them."""
    versions = [
        f"pushrelay {pushrelay.__version__}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *others,
    ]
    flush = fsync_seconds(directory) * 1000
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {_processor()}, {os.cpu_count()} CPUs, {platform.system()} "
        f"{platform.release()}; its disk takes {flush:.2f} ms to append and flush 4 kB",
        "Versions: " + ", ".join(versions),
    ]


def loaded(rounds: int, before: float) -> str:
    """Return a line on how busy the machine was; `before` is the load at the start."""
    return (
        f"Rounds: {rounds}; load average {before:.1f} when it began and "
        f"{os.getloadavg()[0]:.1f} when it ended"
    )


def fsync_seconds(directory: Path, times: int = 100) -> float:
    """Return the median time of appending 4 kB to a file and flushing it to disk."""
    measured = []
    with open(directory / "fsync", "wb", buffering=0) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            measured.append(time.perf_counter() - started)
    return sorted(measured)[times // 2]


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.machine()
