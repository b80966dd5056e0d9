"""A relay among its neighbours, which have the files of contrib: Prometheus finds it,
jobs run, Alertmanager tells a webhook. What takes minutes there takes seconds here.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from alertmanager_process import Alertmanager, Told, Webhook
from doc_examples import ROOT
from node_exporter_process import NodeExporter
from prometheus_process import PROMETHEUS, PrometheusProcess
from relay_process import RelayProcess, free_port
from waiting import DEADLINE
from wrapped import environment

PROGRAMS = {
    "prometheus": PROMETHEUS,
    "prometheus-alertmanager": Alertmanager.executable,
    "prometheus-node-exporter": NodeExporter.executable,
}
"""Where the neighbours are, by the packages of Debian that have them."""

PROMETHEUS_FILES = ROOT / "contrib/prometheus"
SCRAPING = PROMETHEUS_FILES / "scrape-shards.yml"
ROUTING = ROOT / "contrib/alertmanager/alertmanager.yml"

SHARDS = 2


def missing_programs() -> list[str]:
    """Return the packages of Debian that the machine lacks."""
    return [package for package, path in PROGRAMS.items() if path is None]


def changed(path: Path, changes: Mapping[str, str]) -> str:
    """Return the text of a file with other words in place of some, which it has."""
    text = path.read_text()
    for word, here in changes.items():
        assert word in text, f"{path} has no {word}"
        text = text.replace(word, here)
    return text


def hurried_rules(text: str, wait: int) -> str:
    """Return rules that wait for so many seconds, in place of minutes and hours."""
    return re.sub(r"\b(for|interval): \w+", rf"\1: {wait}s", text)


def hurried_routing(url: str) -> str:
    """Return the routing of contrib with seconds for minutes, and `url` to tell."""
    changes = {
        "group_wait: 30s": "group_wait: 1s",
        "group_wait: 5m": "group_wait: 3s",
        "group_interval: 5m": "group_interval: 1s",
        "http://receiver.example": url,
    }
    return changed(ROUTING, changes)


class Jobs:
    """Runs jobs by `pushrelay exec`, with the state and the files of `directory`."""

    def __init__(self, relay: RelayProcess, directory: Path) -> None:
        self.textfiles = directory / "textfiles"
        self.textfiles.mkdir()
        self._relay = relay
        self._directory = directory
        self._started: list[subprocess.Popen[bytes]] = []
        self._log = directory / "jobs.log"

    def start(
        self, job: str, script: str, *options: str, by_textfile: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a run of `job`, which is a script of the shell. It has a process group
        of its own, and a pipe to read from.

        by_textfile: whether it tells node_exporter, and not the relay.
        """
        url = f"http://{self._relay.address}"
        where = ("--textfile", str(self.textfiles)) if by_textfile else ("--url", url)
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pushrelay", "exec", "--job", job, *where),
                    *("--instance=db1", "--output-tail=1kB", *options),
                    *("--", "/bin/sh", "-c", script),
                ],
                env=environment(self._directory / "state"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started = [one for one in self._started if not is_over(one)]
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=DEADLINE)


def is_over(process: subprocess.Popen[bytes]) -> bool:
    """Return whether all of a run has ended, with what it left in the background."""
    if process.poll() is None:
        return False
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        process.communicate()
        return True
    return False


@dataclass(frozen=True)
class Ports:
    """Where the neighbours should listen; 0 is anywhere."""

    relay: int = 0
    prometheus: int = 0
    alertmanager: int = 0


class Neighbours:
    """A relay and all that has to do with it, for as long as the context lasts.

    job_rules: what the relay expects of jobs, as TOML. hear: is called for each alert
    that somebody is told of. wait: for how many seconds an alert must have a reason, in
    place of minutes.
    """

    def __init__(
        self,
        directory: Path,
        job_rules: str,
        hear: Callable[[Told], None] = lambda _: None,
        ports: Ports = Ports(),
        wait: int = 2,
    ) -> None:
        (directory / "rules.toml").write_text(job_rules)
        for path in PROMETHEUS_FILES.glob("*.rules.yml"):
            (directory / path.name).write_text(hurried_rules(path.read_text(), wait))
        self.directory = directory
        self.relay = RelayProcess(directory, f"--config.file={directory}/rules.toml")
        self.jobs = Jobs(self.relay, directory)
        (directory / "node").mkdir()
        self.node = NodeExporter(directory / "node", self.jobs.textfiles)
        self.webhook = Webhook(hear)
        self.alertmanager = Alertmanager(directory, hurried_routing(self.webhook.url))
        self.relay.port = usable(ports.relay)
        self.alertmanager.port = usable(ports.alertmanager)
        self._ports = ports
        self._end = ExitStack()

    def __enter__(self) -> Neighbours:
        with ExitStack() as end:
            end.enter_context(self.webhook)
            for process in (self.alertmanager, self.node, self.relay):
                # It may have to be ended before it is ready.
                end.callback(process.kill)
                end.enter_context(process)
            end.callback(self.jobs.end)
            self._end = end.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def watch(self) -> PrometheusProcess:
        """Start Prometheus; its first scrape comes some six seconds later."""
        # It asks for its targets at once, and then not again for a minute.
        scraping, port = self._scraping(), usable(self._ports.prometheus)
        prometheus = PrometheusProcess(self.directory, scraping, port=port)
        return self._end.enter_context(prometheus)

    def _scraping(self) -> str:
        changes = {
            "15s": "1s",
            "localhost:9093": self.alertmanager.address,
            "relay.example:9091": self.relay.address,
            "shards=4": f"shards={SHARDS}",
        }
        return (
            f"{changed(SCRAPING, changes)}  - job_name: node\n    honor_labels: true\n"
            f'    static_configs: [{{targets: ["{self.node.address}"]}}]\n'
        )


def usable(port: int) -> int:
    """Return `port` if nobody listens there, or else one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
        found: int = probe.getsockname()[1]
        return found
