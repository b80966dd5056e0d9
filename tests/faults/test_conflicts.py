"""Pushes that contradict each other, at the same time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from relay_process import RelayProcess

pytestmark = pytest.mark.system

THREADS = 8
ROUNDS = 40
TYPES = ("gauge", "counter", "untyped", "summary")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    directory = tmp_path_factory.mktemp("relay")
    flags = ("--web.enable-admin-api", "--log.format=json")
    with RelayProcess(directory, *flags) as relay:
        yield relay


def contend(
    relay: RelayProcess, push: Callable[[int, int], int]
) -> tuple[list[int], list[str]]:
    """Call `push(thread, round)` from all threads while another one scrapes; return
    the statuses and the pages."""
    relay.wipe()
    done = threading.Event()
    pages: list[str] = []

    def scrape() -> None:
        while not done.is_set():
            pages.append(relay.page())

    def pushes(thread: int) -> list[int]:
        return [push(thread, round_) for round_ in range(ROUNDS)]

    scraper = threading.Thread(target=scrape)
    scraper.start()
    with ThreadPoolExecutor(THREADS) as pool:
        statuses = [s for found in pool.map(pushes, range(THREADS)) for s in found]
    done.set()
    scraper.join()
    return statuses, [*pages, relay.page()]


def check_legal(page: str) -> None:
    """Check that `page` has no family twice and no series twice."""
    types = re.findall(r"^# TYPE (\S+) ", page, re.M)
    assert len(types) == len(set(types))
    families = list(text_string_to_metric_families(page))
    series = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in families
        for sample in family.samples
    ]
    assert len(series) == len(set(series))


def x_types(page: str) -> list[str]:
    return re.findall(r"^# TYPE x (\S+)$", page, re.M)


def test_types_that_contradict_each_other_are_never_both_admitted(
    relay: RelayProcess,
) -> None:
    def push(thread: int, round_: int) -> int:
        type_ = TYPES[(thread + round_) % len(TYPES)]
        sample = "x_sum 1\nx_count 1" if type_ == "summary" else "x 1"
        target = f"/metrics/job/j{thread}"
        status = relay.put(target, f"# TYPE x {type_}\n{sample}\n").status
        if round_ % 2:
            assert relay.delete(target).status == 202
        return status

    statuses, pages = contend(relay, push)
    assert set(statuses) == {200, 400}
    for page in pages:
        check_legal(page)
        assert len(x_types(page)) <= 1
    refused = re.compile(
        r'^pushrelay_pushes_rejected_total\{job="j\d+",reason="type"\} (\d+)$', re.M
    )
    assert sum(map(int, refused.findall(pages[-1]))) == statuses.count(400)


def test_series_that_are_equal_are_never_both_admitted(relay: RelayProcess) -> None:
    targets = [
        ("/metrics/job/a", 'x{k="1",l="2"} %d\n'),
        ("/metrics/job/a/k/1", 'x{l="2"} %d\n'),
        ("/metrics/job/a/l/2", 'x{k="1"} %d\n'),
        ("/metrics/job/a/k/1/l/2", "x %d\n"),
    ]

    def push(thread: int, round_: int) -> int:
        target, body = targets[thread % len(targets)]
        status = relay.put(target, body % round_).status
        if status == 200 and round_ % 3 == 0:
            assert relay.delete(target).status == 202
        return status

    statuses, pages = contend(relay, push)
    assert set(statuses) == {200, 400}
    for page in pages:
        check_legal(page)
        assert len(re.findall(r"^x\{", page, re.M)) <= 1


def test_names_that_collide_are_never_both_admitted(relay: RelayProcess) -> None:
    def push(thread: int, round_: int) -> int:
        target = f"/metrics/job/j{thread}"
        if (thread + round_) % 2:
            body = "# TYPE x summary\nx_sum 1\n"
        else:
            body = "# TYPE x_count gauge\nx_count 1\n"
        status = relay.post(target, body).status
        if round_ % 2:
            assert relay.delete(target).status == 202
        return status

    statuses, pages = contend(relay, push)
    assert set(statuses) == {200, 400}
    for page in pages:
        names = set(re.findall(r"^# TYPE (x\S*) ", page, re.M))
        assert len(names) <= 1


def test_a_refused_push_beside_good_ones_is_answered_rightly(
    relay: RelayProcess,
) -> None:
    def push(thread: int, round_: int) -> int:
        if thread == 0:
            return relay.put("/metrics/job/bad", "x 1\nx 2\n").status
        return relay.put(f"/metrics/job/good{thread}", f"x {round_}\n").status

    statuses, pages = contend(relay, push)
    assert statuses == [400] * ROUNDS + [200] * ROUNDS * (THREADS - 1)
    jobs = {labels["job"] for labels in relay.grouping_keys()}
    assert jobs == {"bad", *(f"good{thread}" for thread in range(1, THREADS))}
    for thread in range(1, THREADS):
        sample = f'x{{instance="",job="good{thread}"}} {ROUNDS - 1}\n'
        assert sample in pages[-1]


def test_keys_with_one_evidence_are_never_both_admitted(relay: RelayProcess) -> None:
    targets = ("/metrics/job/a", "/metrics/job/a/instance@base64/=")

    def push(thread: int, _round: int) -> int:
        target = targets[thread % 2]
        status = relay.put(target, "x 1\n").status
        assert relay.delete(target).status == 202
        return status

    statuses, pages = contend(relay, push)
    assert set(statuses) <= {200, 400}
    for page in pages:
        check_legal(page)


def test_the_relay_has_nothing_to_complain_about(
    relay: RelayProcess, tmp_path: Path
) -> None:
    assert "traceback" not in relay.log
    assert "internal error" not in relay.log
