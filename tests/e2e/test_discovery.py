"""A real Prometheus discovers the shards of a real relay by HTTP, and scrapes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from doc_examples import ROOT
from exposition_page import read_page
from prometheus_process import PrometheusProcess, require_prometheus
from relay_process import RelayProcess, StartRelay

pytestmark = pytest.mark.system

SHARDS = 4
HISTOGRAM = """# TYPE step_seconds histogram
step_seconds_bucket{le="+Inf"} 1
step_seconds_sum 1
step_seconds_count 1
"""

Labels = frozenset[tuple[str, str]]


def example_with(text: str) -> str:
    """Return the scrape configuration of docs/scaling.md that has `text`, less its
    first line."""
    page = (ROOT / "docs/scaling.md").read_text()
    examples = re.findall(r"```yaml\nscrape_configs:\n(.*?)```", page, re.DOTALL)
    (found,) = [example for example in examples if text in example]
    return str(found)


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    require_prometheus()
    relay = start_relay()
    for number in range(12):
        path = f"/metrics/job/backup/instance/{number}"
        assert relay.put(path, f"rows {number}\n{HISTOGRAM}").status == 200
        assert relay.put(f"/metrics/job/adhoc-{number}", "rows 1\n").status == 200
    assert relay.post("/api/v1/ping?job=report&status=success").status == 200
    return relay


@pytest.fixture(scope="module")
def prometheus(
    relay: RelayProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusProcess]:
    """One that scrapes all shards; and the third alone, by each of two ways, of which
    it keeps nothing but how it went."""
    lines = ["global: {scrape_interval: 1s}", "scrape_configs:"]
    lines.append(example_with("refresh_interval"))
    for name, text in (("kept", "relabel_configs"), ("asked", "params")):
        lines.append(example_with(text).replace("pushrelay", name, 1))
        lines.append("    metric_relabel_configs: [{action: drop}]")
    configuration = "\n".join(lines).replace("localhost:9091", relay.address)
    with PrometheusProcess(tmp_path_factory.mktemp("tsdb"), configuration) as found:
        found.wait_for(f'count(up{{job="pushrelay"}} == 1) == {SHARDS}')
        yield found


def test_each_shard_is_up_for_itself(
    relay: RelayProcess, prometheus: PrometheusProcess
) -> None:
    found = {
        labels["instance"]: up for labels, up in prometheus.query('up{job="pushrelay"}')
    }
    assert found == {f"{relay.address}/shard-{n}": 1 for n in range(SHARDS)}


def test_together_they_are_the_page_and_no_series_has_another_label(
    relay: RelayProcess, prometheus: PrometheusProcess
) -> None:
    page: set[Labels] = {
        frozenset((name, value) for name, value in labels if value)
        for sample in read_page(relay.page())
        for labels in [[("__name__", sample.name), *sample.labels]]
        if "job" in dict(labels)
    }
    shown = prometheus.query('{job!~"|pushrelay|kept|asked"}')
    assert len(page) > 12 * 5
    assert {frozenset(labels.items()) for labels, _ in shown} == page
    assert sorted(value for _, value in prometheus.query('rows{job="backup"}')) == [
        *range(12)
    ]


def test_the_relays_own_metrics_come_with_the_first(
    relay: RelayProcess, prometheus: PrometheusProcess
) -> None:
    [(labels, groups)] = prometheus.query("pushrelay_groups")
    assert (labels["instance"], groups) == (f"{relay.address}/shard-0", 24)


def test_one_shard_alone_can_be_scraped(
    relay: RelayProcess, prometheus: PrometheusProcess
) -> None:
    for job, instance in (
        ("kept", f"{relay.address}/shard-2"),
        ("asked", relay.address),
    ):
        prometheus.wait_for(f'up{{job="{job}"}} == 1')
        [(labels, _)] = prometheus.query(f'up{{job="{job}"}}')
        assert labels["instance"] == instance
        # As many as the third of all shards has.
        counted = "scrape_samples_scraped"
        third = f'{{job="pushrelay",instance="{relay.address}/shard-2"}}'
        prometheus.wait_for(
            f'sum({counted}{{job="{job}"}}) == sum({counted}{third}) > 0'
        )
