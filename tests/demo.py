"""Lets jobs do well and badly among real neighbours until Ctrl-C: `make demo`.

What Alertmanager tells is printed. Nothing is left of it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from alertmanager_process import Told
from prometheus_process import PrometheusProcess
from story import Neighbours, Ports, missing_programs
from waiting import DEADLINE

PORTS = Ports(relay=9091, prometheus=9090, alertmanager=9093)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

JOB_RULES = """
[[jobs]]
match = 'job="certificates"'
every = "1m"
grace = "5s"
"""
"""A job that never runs."""

CYCLE = 60


@dataclass(frozen=True)
class Act:
    """A run of `job`, so many seconds after the start and again in each cycle."""

    at: int
    job: str
    script: str
    options: tuple[str, ...] = ()
    by_textfile: bool = False


THREE_TIMES = ("--retries=2", "--retry-delay=1s")

ACTS = (
    *(
        Act(at, "backup", "sleep 2", ("--every=20s", "--grace=10s"))
        for at in range(0, CYCLE, 20)
    ),
    # Fails three times in a row, and then does not.
    Act(1, "billing-export", "echo no such column >&2; exit 3", THREE_TIMES),
    Act(40, "billing-export", "sleep 1"),
    # Hangs, and ends after all.
    Act(2, "import", "sleep 40", ("--max-runtime=10s",)),
    # Comes when it is long overdue.
    Act(3, "cleanup", "sleep 1", ("--every=15s", "--grace=5s")),
    # Something kills it, and the next time does not.
    Act(4, "report", "sleep 1; kill -9 $$"),
    Act(45, "report", "sleep 1"),
    # Does not know of the relay.
    Act(5, "disk-check", "exit 1", by_textfile=True),
    Act(50, "disk-check", "exit 0", by_textfile=True),
)


def main() -> int:
    """Play until somebody ends it; return the exit status."""
    if missing := missing_programs():
        print(
            f"The demo needs what is not here: {', '.join(missing)}. On Debian and "
            f"Ubuntu: apt-get install {' '.join(missing)}",
            file=sys.stderr,
        )
        return 1
    for number in ENDING:
        signal.signal(number, end)
    try:
        with tempfile.TemporaryDirectory(prefix="pushrelay-demo-") as name:
            among = Neighbours(Path(name), JOB_RULES, tell, PORTS, wait=10)
            with among as neighbours:
                say_where(neighbours, neighbours.watch())
                play(neighbours)
    except KeyboardInterrupt:
        return 0
    except AssertionError as error:
        print(f"A neighbour does not work: {error}", file=sys.stderr)
        return 1


def end(*_: object) -> None:
    """End the demo; who asks for it twice does not disturb that."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def say_where(neighbours: Neighbours, prometheus: PrometheusProcess) -> None:
    """Print the addresses, once all of them answer."""
    prometheus.wait_for("vector(1)")
    for what, url in {
        "jobs": f"http://{neighbours.relay.address}/",
        "targets": page_of(prometheus, "targets"),
        "alerts": page_of(prometheus, "alerts"),
        # Debian has it without its pages.
        "Alertmanager": f"http://{neighbours.alertmanager.address}/api/v2/alerts",
    }.items():
        print(f"{what:12}  {url}")
    print("Jobs run, fail, hang and go missing, over and over. Ctrl-C ends it.")
    print("What Alertmanager tells, with seconds in place of minutes:", flush=True)


def page_of(prometheus: PrometheusProcess, name: str) -> str:
    """Return the address of a page, which is below /classic where Debian made it."""
    newer = f"http://{prometheus.address}/{name}"
    try:
        with urlopen(newer, timeout=DEADLINE):
            return newer
    except HTTPError:
        return f"http://{prometheus.address}/classic/{name}"


def tell(told: Told) -> None:
    """Print what somebody is told of."""
    moment = time.strftime("%H:%M:%S")
    name, summary = told.labels["alertname"], told.annotations.get("summary", "")
    print(f"{moment} {told.receiver:7} {told.status:8} {name}: {summary}", flush=True)


def play(neighbours: Neighbours) -> None:
    """Play all acts, again and again."""
    began = time.monotonic()
    rounds = 0
    while True:
        for act in sorted(ACTS, key=lambda act: act.at):
            due = began + rounds * CYCLE + act.at
            time.sleep(max(0.0, due - time.monotonic()))
            run = neighbours.jobs.start
            run(act.job, act.script, *act.options, by_textfile=act.by_textfile)
        rounds += 1


if __name__ == "__main__":
    sys.exit(main())
