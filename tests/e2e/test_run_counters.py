"""Counters of runs in a real Prometheus, over replays and a relay that moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_process import Prometheus, require_prometheus
from relay_process import HTTPClient, RelayProcess
from run_http import finish, new_id, report, start

pytestmark = pytest.mark.system

BEFORE, AFTER = 7, 5
"""So many runs end before the relay moves, and after."""

COUNTED = 'pushrelay_job_runs_total{job="counted",outcome="success"}'


@dataclass(frozen=True)
class Moved:
    """A Prometheus that saw the relay before and after it moved. at: when it scraped
    the relay last, Unix seconds."""

    prometheus: Prometheus
    at: float

    def value(self, promql: str) -> float:
        """Return the value of the one series that `promql` gave then."""
        [(_, value)] = self.prometheus.query(promql, self.at)
        return value


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    require_prometheus()
    directory = tmp_path_factory.mktemp("run-counters")
    runs = [
        (new_id(), finish("counted", ago=100 - number, seconds=0.25))
        for number in range(BEFORE + AFTER)
    ]
    flag = "--enable-feature=native-histograms"
    with RelayProcess(directory) as relay, Prometheus(directory, relay, flag) as seen:
        report(relay, start("counted", ago=100), runs[0][0])
        seen.wait_for(COUNTED)
        send_twice(relay, runs[:BEFORE])
        seen.wait_for(f"{COUNTED} == {BEFORE}")
        relay.stop()
        with RelayProcess(directory) as elsewhere:
            assert elsewhere.address != relay.address
            seen.turn_to(elsewhere)
            send_twice(elsewhere, runs)
            report(elsewhere, finish("brief", ago=1, seconds=0.5))
            seen.wait_for(f"{COUNTED} == {BEFORE + AFTER}")
            [(_, at)] = seen.query(f"timestamp({COUNTED})")
            yield Moved(seen, at)


def send_twice(relay: HTTPClient, runs: list[tuple[str, dict[str, Any]]]) -> None:
    """Report all runs, and then again."""
    for id_, document in (*runs, *runs):
        report(relay, document, id_)


# runs.md: 4, 6, 13
def test_the_increase_is_exact_over_replays_and_a_move(moved: Moved) -> None:
    # Asked at the last scrape, Prometheus has nothing to extrapolate.
    assert moved.value(f"increase({COUNTED}[10m])") == BEFORE + AFTER
    assert moved.value(f"resets({COUNTED}[10m])") == 0


# runs.md: 13
def test_a_relay_that_moves_goes_on_with_the_same_series(moved: Moved) -> None:
    query = f"count_over_time({COUNTED}[10m])"
    [(labels, _)] = moved.prometheus.query(query, moved.at)
    assert labels == {"job": "counted", "outcome": "success"}


# runs.md: 12
def test_durations_are_a_native_histogram(moved: Moved) -> None:
    durations = 'pushrelay_job_duration_seconds{job="counted"}'
    assert moved.value(f"histogram_count({durations})") == BEFORE + AFTER
    total = moved.value(f"histogram_sum({durations})")
    assert total == pytest.approx((BEFORE + AFTER) * 0.25)
    median = moved.value(f"histogram_quantile(0.5, {durations})")
    assert median == pytest.approx(0.25, rel=0.1)


# runs.md: 28
def test_a_run_between_two_scrapes_is_counted(moved: Moved) -> None:
    seen = 'pushrelay_job_running{job="brief"}'
    assert moved.value(f"max_over_time({seen}[10m])") == 0
    counted = 'pushrelay_job_runs_total{job="brief",outcome="success"}'
    assert moved.value(counted) == 1


def test_prometheus_has_nothing_to_complain_about(moved: Moved) -> None:
    log = moved.prometheus.log.read_text()
    assert "level=error" not in log
