"""What mode accumulate takes for a restart of a native histogram is what a real
Prometheus takes for a reset."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from metric_messages import HEADERS
from native_histograms import add, count_of, made
from prometheus_process import Prometheus, require_prometheus
from relay_process import RelayProcess, StartRelay

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import upper_bound
from pushrelay.exposition.native_increase import native_increase
from pushrelay.exposition.protobuf_encoder import delimit

pytestmark = pytest.mark.system

PAIRS = 150
THRESHOLDS = (2.0**-128, 0.25, 0.3)
KNOWN = 1000
"""The increase of one more pair, by which the others are measured: `increase()`
extrapolates."""


def test_restarts_are_resets(start_relay: StartRelay, tmp_path: Path) -> None:
    require_prometheus()
    pairs = [(made(0, {1: 1}), made(0, {1: 1 + KNOWN})), *pairs_of(random.Random(7))]
    expected = [count_of(pushed) - count_of(last) for last, pushed in pairs]
    restarts = 0
    for at, (last, pushed) in enumerate(pairs):
        fell = expected[at] < 0
        if fell or native_increase(last, pushed, expected[at]) is None:
            expected[at] = count_of(pushed)
            restarts += 1
    assert PAIRS / 4 < restarts < PAIRS * 3 / 4
    assert found_by_prometheus(start_relay(), tmp_path, pairs) == expected


def found_by_prometheus(
    relay: RelayProcess,
    directory: Path,
    pairs: list[tuple[pb.Histogram, pb.Histogram]],
) -> list[float]:
    """Return by how much Prometheus says that the counts of `pairs` increased."""
    flag = "--enable-feature=native-histograms"
    with Prometheus(directory, relay, flag) as prometheus:
        for side, name in enumerate(("first", "second")):
            for number, pair in enumerate(pairs):
                push(relay, number, pair[side])
            assert relay.put(f"/metrics/job/{name}", f"{name} 1\n").status == 200
            prometheus.wait_for(name)
        found = {
            int(labels["pair"]): value
            for labels, value in prometheus.query(
                "histogram_count(increase(x_seconds[5m]))"
            )
        }
    return [round(found[at] / found[0] * KNOWN, 6) for at in range(len(pairs))]


def push(relay: RelayProcess, number: int, histogram: pb.Histogram) -> None:
    metric = pb.Metric(histogram=histogram)
    family = pb.MetricFamily(name=b"x_seconds", type=pb.HISTOGRAM, metric=[metric])
    message = family.SerializeToString()
    body = delimit(len(message)) + message
    answer = relay.put(f"/metrics/job/x/pair/{number}", body, HEADERS)
    assert answer.status == 200, answer.text


def pairs_of(chance: random.Random) -> Iterator[tuple[pb.Histogram, pb.Histogram]]:
    """Yield what was pushed last and what is pushed then; mostly it is more of the
    same. Pairs differ in their resolution or in their zero bucket: where both differ,
    Prometheus 2.42 counts a fine bucket twice, and may see a reset that is none."""
    for _ in range(PAIRS):
        threshold = chance.choice(THRESHOLDS)
        thresholds, schemas = (threshold,) * 2, (chance.randrange(-1, 3),) * 2
        if chance.random() < 0.5:
            thresholds = chance.choice(THRESHOLDS), chance.choice(THRESHOLDS)
        else:
            schemas = chance.randrange(-1, 3), chance.randrange(-1, 3)
        last, pushed = map(partial(drawn, chance), schemas, thresholds)
        if chance.random() < 0.7:
            pushed = add(last, pushed)
        if chance.random() < 0.2 and pushed.positive_delta:
            pushed.positive_delta[0] -= 1
            if len(pushed.positive_delta) > 1:
                pushed.positive_delta[1] += 1
        yield last, pushed


def drawn(chance: random.Random, schema: int, threshold: float) -> pb.Histogram:
    sides = [
        {
            index: chance.randrange(1, 9)
            for index in chance.sample(range(-9, 9), chance.randrange(1, 6))
            if upper_bound(index - 1, schema) >= threshold
        }
        for _ in range(2)
    ]
    zero = chance.randrange(5)
    return made(schema, *sides, zero=zero, threshold=threshold)
