"""A real Prometheus scrapes two relays of one database through HAProxy."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from databases import database_url
from haproxy_process import HaproxyProcess, require_haproxy
from prometheus_process import Prometheus, require_prometheus
from relay_process import RelayProcess
from replica_process import Replica

pytestmark = [pytest.mark.postgres, pytest.mark.system]

COUNTED = "# TYPE done_total counter\ndone_total 1\n"
SCRAPED = "count_over_time(done_total[1m]) >= {}"
COUNTERS = 'count by (__name__) ({__name__=~".+_(total|count|sum|bucket)"})'


def test_no_counter_is_reset_through_a_balancer(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    require_haproxy()
    require_prometheus()
    directory = tmp_path_factory.mktemp("site")
    url = database_url(directory)
    with ExitStack() as end:
        relays: list[RelayProcess] = [
            end.enter_context(Replica(tmp_path_factory.mktemp("relay"), url))
            for _ in range(2)
        ]
        addresses = [relay.address for relay in relays]
        balancer = end.enter_context(HaproxyProcess(directory, addresses))
        prometheus = end.enter_context(Prometheus(directory, balancer))
        for number in range(1, 40):
            # They are unlike in what they have done.
            push = relays[0 if number % 3 else 1].post
            assert push("/metrics/job/x?mode=add", COUNTED).status == 200
            assert relays[0].put("/metrics/job/x", "a 1 1\n").status == 400
        prometheus.wait_for(SCRAPED.format(3))
        assert relays[0].stop() == 0
        assert balancer.post("/metrics/job/x?mode=add", COUNTED).status == 200
        prometheus.wait_for("done_total == 40")
        names = {labels["__name__"] for labels, _ in prometheus.query(COUNTERS)}
        assert names
        reset = {name for name in names if prometheus.query(f"resets({name}[1m]) > 0")}
        up = prometheus.query('min_over_time(up{job="relay"}[1m])')
    assert reset == set()
    assert [value for _, value in up] == [1]
