"""What becomes of alerts when jobs die: the rules of contrib/prometheus on pushes, and
the examples of docs/freshness.md, in a real Prometheus, with seconds for hours.

All jobs die at the same moment, those of a stock Pushgateway too, which is scraped
beside the relay. Prometheus is asked when all is over, about moments.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from doc_examples import ROOT, example_in
from prometheus_process import Prometheus, require_prometheus
from promtool import together
from relay_process import PushgatewayProcess, RelayProcess, StartRelay

pytestmark = pytest.mark.system

STALE_AFTER = 4
SILENCE = 3
"""So long after the last push, in seconds, alerts on absence begin."""

SCRAPED = 1.4
SEEN = 2.4
"""By then something was scraped, and rules were evaluated with it: a second each."""

JOB_RULES = f"""
[[jobs]]
match = 'job=~"pods-.*"'
stale_after = "{STALE_AFTER}s"
on_stale = "forget"
[[jobs]]
match = 'job!~"steady|plain"'
stale_after = "{STALE_AFTER}s"
"""
SHIPPED = ROOT / "contrib/prometheus"
RULES = (
    together(
        (SHIPPED / "groups.rules.yml").read_text(),
        (SHIPPED / "relay.rules.yml").read_text(),
        (SHIPPED / "pushgateway.rules.yml").read_text(),
        example_in("docs/freshness.md", "yaml"),
    )
    .replace("26 * 3600", str(SILENCE))
    # What holds for days is here over in seconds.
    .replace("quantile_over_time(0.6", "quantile_over_time(0.9")
    .replace("offset 1d", "offset 1s")
)
PUSHGATEWAY = """
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{{targets: ["{address}"]}}]
"""


@dataclass(frozen=True)
class Story:
    """What happened when, in Unix seconds, and the Prometheus that saw it.

    relay, stock: the addresses of a relay and a Pushgateway. pushed_at: all jobs push
    for the last time. stale_at: the groups go stale. ended_at: jobs are retired, and
    groups deleted. over_at: long after that.
    """

    prometheus: Prometheus
    relay: str
    stock: str
    pushed_at: float
    stale_at: float
    ended_at: float
    over_at: float

    def fires(self, alert: str, job: str, at: float) -> bool:
        """Whether `alert` fired for `job` at a moment."""
        labels = f'alertname="{alert}",alertstate="firing",job="{job}"'
        return bool(self.prometheus.query(f"ALERTS{{{labels}}}", at))

    def always_fires(self, alert: str, job: str, since: float, until: float) -> bool:
        """Whether `alert` fired for `job` between two moments without a gap."""
        halves = range(int((until - since) * 2) + 1)
        return all(self.fires(alert, job, since + half / 2) for half in halves)


@pytest.fixture(scope="module")
def story(
    start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    require_prometheus()
    if PushgatewayProcess.executable is None:
        pytest.skip("there is no prometheus-pushgateway")
    directory = tmp_path_factory.mktemp("alerts")
    rules = directory / "rules.toml"
    rules.write_text(JOB_RULES)
    relay = start_relay(f"--config.file={rules}")
    with (
        PushgatewayProcess(directory) as stock,
        Prometheus(
            directory,
            relay,
            rules=RULES,
            scraping=PUSHGATEWAY.format(address=stock.address),
        ) as prometheus,
    ):
        prometheus.wait_for("pushrelay_build_info")
        prometheus.wait_for('pushgateway_build_info{job="pushgateway"}')
        pushed_at = time.time()
        push_for_the_last_time(relay, stock, pushed_at)
        push_until(relay, pushed_at + STALE_AFTER + 4)
        [(_, stale_at)] = prometheus.query(
            'pushrelay_group_stale_timestamp_seconds{job="backup"}'
        )
        ended_at = time.time()
        for job in ("backup", "pods-retired"):
            retired = relay.delete(f"/api/v1/jobs/{job}")
            assert json.loads(retired.body)["data"]["job"] == job
        for path in ("deleted", "pods-deleted/instance/1"):
            assert relay.delete(f"/metrics/job/{path}").status == 202
        push_until(relay, ended_at + SEEN + 0.5)
        addresses = relay.address, stock.address
        yield Story(prometheus, *addresses, pushed_at, stale_at, ended_at, time.time())


def push_for_the_last_time(
    relay: RelayProcess, stock: PushgatewayProcess, now: float
) -> None:
    """Let all jobs push; some are refused."""
    for path in (
        "backup",
        "plain",
        "deleted",
        "pods-retired/instance/1",
        "pods-deleted/instance/1",
    ):
        assert relay.put(f"/metrics/job/{path}", body(now)).status == 200
    assert stock.put("/metrics/job/stock", body(now)).status == 200
    unlike = "# TYPE backup_failed counter\nbackup_failed 1\n"
    assert stock.put("/metrics/job/unlike", unlike).status == 400
    for each in (relay, stock):
        assert each.put("/metrics/job/unreadable", "no metrics").status == 400


def body(last_success: float) -> str:
    return (
        "# TYPE backup_failed gauge\nbackup_failed 1\n"
        "# TYPE backup_last_success_timestamp_seconds gauge\n"
        f"backup_last_success_timestamp_seconds {last_success}\n"
    )


def push_until(relay: RelayProcess, end: float) -> None:
    """Let a job be well until a moment."""
    while time.time() < end:
        relay.put("/metrics/job/steady", "steady_rows 1\n")
        time.sleep(0.2)


# freshness.md: 2
def test_what_is_stale_is_gone_with_the_next_scrape(story: Story) -> None:
    query = 'backup_failed{job="backup"}'
    assert story.prometheus.query(query, story.stale_at - 0.1)
    assert not story.prometheus.query(query, story.stale_at + SCRAPED)
    [series] = story.prometheus.result_of(f"{query}[1m]", story.over_at)
    last = series["values"][-1][0]
    assert story.stale_at - SCRAPED < last <= story.stale_at + 0.1


# freshness.md: 11
def test_the_age_of_the_last_push_grows_on(story: Story) -> None:
    query = 'time() - push_time_seconds{job="backup"}'
    for at in (story.pushed_at + SCRAPED, story.stale_at + SCRAPED, story.ended_at):
        [(_, age)] = story.prometheus.query(query, at)
        assert age == pytest.approx(at - story.pushed_at, abs=0.2)


# freshness.md: 3, 11
@pytest.mark.parametrize(
    ("alert", "job"),
    [
        ("BackupSilent", "backup"),
        ("BackupWithoutSuccess", "backup"),
        ("JobSilent", "plain"),
    ],
)
def test_alerts_on_absence_go_on(story: Story, alert: str, job: str) -> None:
    since = story.pushed_at + SILENCE
    assert not story.fires(alert, job, since - 0.1)
    assert story.always_fires(alert, job, since + SEEN, story.ended_at)


# freshness.md: 12
def test_an_alert_on_a_value_ends_and_staleness_takes_over(story: Story) -> None:
    before, after = story.stale_at - 0.1, story.stale_at + SEEN
    assert story.fires("BackupFailed", "backup", before)
    assert not story.fires("BackupFailed", "backup", after)
    assert not story.fires("GroupStale", "backup", before)
    assert story.always_fires("GroupStale", "backup", after, story.ended_at)


# freshness.md: 12
def test_an_alert_on_both_does_not_end_in_between(story: Story) -> None:
    since = story.pushed_at + SEEN
    assert since < story.stale_at
    assert story.always_fires("BackupNotGood", "backup", since, story.ended_at)


# freshness.md: 13, 14
def test_the_series_of_a_pod_go_and_the_alert_on_its_job_goes_on(story: Story) -> None:
    query = 'push_time_seconds{job="pods-retired"}'
    assert story.prometheus.query(query, story.stale_at - 0.1)
    assert not story.prometheus.query(query, story.stale_at + SCRAPED)
    since = story.pushed_at + SILENCE + SEEN
    fires = story.always_fires
    assert fires("EphemeralJobSilent", "pods-retired", since, story.ended_at)
    since = story.stale_at + SEEN
    assert fires("EphemeralJobWithoutGroups", "pods-retired", since, story.ended_at)


# freshness.md: 15
@pytest.mark.parametrize("job", ["backup", "pods-retired"])
def test_all_alerts_of_a_retired_job_end(story: Story, job: str) -> None:
    query = f'ALERTS{{job="{job}"}}'
    assert story.prometheus.query(query, story.ended_at)
    assert not story.prometheus.query(query, story.ended_at + SEEN)


# freshness.md: 16
def test_a_deletion_by_hand_ends_the_alerts_of_a_dead_job(story: Story) -> None:
    assert story.fires("BackupWithoutSuccess", "deleted", story.ended_at)
    query = 'ALERTS{job="deleted"}'
    assert not story.prometheus.query(query, story.ended_at + SEEN)


# freshness.md: 14, 16
def test_a_deletion_by_hand_leaves_the_alert_on_an_ephemeral_job(story: Story) -> None:
    since = story.pushed_at + SILENCE + SEEN
    assert story.always_fires(
        "EphemeralJobSilent", "pods-deleted", since, story.over_at
    )


def test_a_job_that_is_well_has_no_alerts(story: Story) -> None:
    assert story.prometheus.query('steady_rows{job="steady"}', story.over_at)
    query = 'count_over_time(ALERTS{job="steady"}[5m])'
    assert not story.prometheus.query(query, story.over_at)


@pytest.mark.parametrize(
    ("alert", "job"),
    [
        ("PushgatewayJobSilent", "stock"),
        ("PushgatewayLastPushRefused", "unlike"),
        # The same series of a relay.
        ("PushgatewayJobSilent", "plain"),
    ],
)
def test_alerts_are_on_what_a_stock_pushgateway_shows(
    story: Story, alert: str, job: str
) -> None:
    since = story.pushed_at + SILENCE + SEEN
    assert not story.fires(alert, job, story.pushed_at)
    assert story.always_fires(alert, job, since, story.over_at)


@pytest.mark.parametrize(
    ("alert", "server"), [("Pushrelay", "relay"), ("Pushgateway", "stock")]
)
def test_the_first_push_that_is_refused_is_told(
    story: Story, alert: str, server: str
) -> None:
    instance = getattr(story, server)
    query = f'ALERTS{{alertname="{alert}RefusesPushes",instance="{instance}"}}'
    assert not story.prometheus.query(query, story.pushed_at)
    assert story.prometheus.query(query, story.pushed_at + SEEN)


def test_prometheus_has_nothing_to_complain_about(story: Story) -> None:
    log = story.prometheus.log.read_text()
    assert "level=warn" not in log
    assert "level=error" not in log
