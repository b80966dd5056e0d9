"""A real Prometheus as a child process."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest
from relay_process import HTTPClient, free_port
from waiting import DEADLINE

PROMETHEUS = shutil.which("prometheus")

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: {job}
    honor_labels: true
    static_configs: [{{targets: ["{address}"]}}]
{scraping}
"""


def require_prometheus() -> None:
    """Skip the test if there is no Prometheus."""
    if PROMETHEUS is None:
        pytest.skip("there is no prometheus")


class PrometheusProcess:
    """A Prometheus with a `configuration` of the test's own, as YAML.

    port: of the loopback address; any that is free if it is 0.
    """

    def __init__(
        self, directory: Path, configuration: str, *flags: str, port: int = 0
    ) -> None:
        self.address = f"127.0.0.1:{port or free_port()}"
        self.log = directory / "prometheus.log"
        self._configuration = directory / "prometheus.yml"
        self._configuration.write_text(configuration)
        command = [
            str(PROMETHEUS),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.address}",
            *flags,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def query(
        self, promql: str, at: float | None = None
    ) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that `promql` gives now, or gave at
        some Unix time."""
        return [
            (series["metric"], float(series["value"][1]))
            for series in self.result_of(promql, at)
        ]

    def result_of(self, promql: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return what the HTTP API answers for `promql`."""
        moment = {} if at is None else {"time": f"{at:.3f}"}
        return self._asked("query", query=promql, **moment)

    def range_of(
        self, promql: str, start: float, end: float, step: float = 1
    ) -> list[dict[str, Any]]:
        """Return what the HTTP API answers for `promql` from one Unix time to another,
        with a value every `step` seconds."""
        moments = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step}"}
        return self._asked("query_range", query=promql, **moments)

    def _asked(self, endpoint: str, **parameters: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode(parameters)
        url = f"http://{self.address}/api/v1/{endpoint}?{query}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            answer = json.load(response)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def wait_for(self, promql: str, *, present: bool = True) -> None:
        """Wait until `promql` gives something, or nothing any more.

        The first scrape comes some six seconds after the start.
        """
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if bool(self.query(promql)) is present:
                    return
            except OSError:
                pass  # not listening yet
            time.sleep(0.1)
        raise AssertionError(f"{promql}: {self.log.read_text()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class Prometheus(PrometheusProcess):
    """A Prometheus that scrapes one relay, and evaluates rules, every second.

    rules: of a rule file, as YAML. scraping: lines of its configuration about how the
        relay is scraped. job: the name of the scrape job.
    """

    def __init__(
        self,
        directory: Path,
        relay: HTTPClient,
        *flags: str,
        rules: str = "",
        scraping: str = "",
        job: str = "relay",
    ) -> None:
        self._rule_file = directory / "rules.yml"
        self._rule_file.write_text(rules)
        self._scraping, self._job = scraping, job
        super().__init__(directory, self._scraping_of(relay), *flags)

    def _scraping_of(self, relay: HTTPClient) -> str:
        return CONFIGURATION.format(
            address=relay.address,
            rules=self._rule_file,
            scraping=self._scraping,
            job=self._job,
        )

    def turn_to(self, relay: HTTPClient) -> None:
        """Scrape `relay` from now on, instead of the one until now."""
        self._configuration.write_text(self._scraping_of(relay))
        self.process.send_signal(signal.SIGHUP)
