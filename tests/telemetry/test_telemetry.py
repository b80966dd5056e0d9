from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace

import pytest

from pushrelay import __version__
from pushrelay.commit import commit
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.text_renderer import render_series
from pushrelay.model import Histogram, MetricFamily, MetricType
from pushrelay.telemetry import OWN_FAMILIES, OWN_TYPES, Gauges, Telemetry
from pushrelay.telemetry.telemetry import (
    BATCH_BUCKETS,
    NAMED_JOB_BYTES,
    NAMED_JOBS,
)

GAUGES = Gauges(
    groups=2,
    series=9,
    revision=5,
    store_up=True,
    clock_skew=-1.5,
    limits={"stored_groups": 10},
    used={"stored_groups": 2},
)


def families(telemetry: Telemetry, now: float = 0.0) -> dict[str, MetricFamily]:
    return {family.name: family for family in telemetry.families(GAUGES, now)}


def samples(telemetry: Telemetry, name: str, now: float = 0.0) -> list[str]:
    family = families(telemetry, now)[name]
    lines = b"".join(render_series(family, Escaping.UNDERSCORES)).decode()
    return lines.splitlines()


def test_names_and_types_of_own_families_are_known() -> None:
    telemetry = Telemetry()
    telemetry.request("push", "PUT", 200, 0.1, 100)
    telemetry.compatible_request("push", "PUT", 200)
    telemetry.push("PUT", 0.1, 100, now=0)
    telemetry.rejected("type")
    telemetry.limit_exceeded("series")
    telemetry.reloaded(1.0)
    telemetry.token_file_read(True)
    telemetry.web_config_read(True)
    found = families(telemetry)
    assert {name: family.type for name, family in found.items()} == OWN_TYPES
    assert [own.name for own in OWN_FAMILIES] == sorted(OWN_TYPES)
    for family in found.values():
        assert family.help.endswith(".")
        assert family.metrics


def test_only_old_names_are_not_the_relays_own() -> None:
    foreign = {name for name in OWN_TYPES if not name.startswith("pushrelay_")}
    assert {name for name in foreign if not name.startswith("process_")} == {
        "pushgateway_build_info",
        "pushgateway_http_push_duration_seconds",
        "pushgateway_http_push_size_bytes",
        "pushgateway_http_requests_total",
    }


def test_families_without_samples_are_left_out() -> None:
    found = families(Telemetry())
    assert "pushgateway_http_requests_total" not in found
    assert "pushrelay_pushes_rejected_total" not in found
    assert "pushgateway_http_push_size_bytes" not in found
    assert "pushrelay_groups" in found


def test_requests_are_counted_by_handler_method_and_code() -> None:
    telemetry = Telemetry()
    for code in (200, 200, 400):
        telemetry.request("push", "PUT", code, 0.02, 300)
    assert samples(telemetry, "pushrelay_http_requests_total") == [
        'pushrelay_http_requests_total{code="200",handler="push",method="put"} 2',
        'pushrelay_http_requests_total{code="400",handler="push",method="put"} 1',
    ]


def test_times_and_sizes_are_told_by_handler_method_and_code() -> None:
    telemetry = Telemetry()
    for code in (200, 200, 400):
        telemetry.request("push", "PUT", code, 0.02, 300)
    name = "pushrelay_http_request_duration_seconds"
    seconds = samples(telemetry, name)
    accepted = 'code="200",handler="push",method="put"'
    refused = 'code="400",handler="push",method="put"'
    assert f'{name}_bucket{{{accepted},le="0.01"}} 0' in seconds
    assert f'{name}_bucket{{{accepted},le="0.025"}} 2' in seconds
    assert f"{name}_count{{{accepted}}} 2" in seconds
    assert f"{name}_count{{{refused}}} 1" in seconds
    name = "pushrelay_http_request_size_bytes"
    sizes = samples(telemetry, name)
    assert f"{name}_sum{{{accepted}}} 600" in sizes
    assert f"{name}_sum{{{refused}}} 300" in sizes


def test_methods_that_clients_invent_are_one_label_value() -> None:
    telemetry = Telemetry()
    for method in ("FROB", "get\n", "X" * 1000, "TRACE"):
        telemetry.request("other", method, 405, 0.1, 1)
        telemetry.compatible_request("other", method, 405)
        telemetry.push(method, 0.1, 1, now=0)
    for prefix in ("pushrelay", "pushgateway"):
        name = f"{prefix}_http_requests_total"
        assert samples(telemetry, name) == [
            f'{name}{{code="405",handler="other",method="other"}} 3',
            f'{name}{{code="405",handler="other",method="trace"}} 1',
        ]
    for name, family in families(telemetry).items():
        for metric in family.metrics:
            method = dict(metric.labels).get("method", "other")
            assert method in ("other", "trace"), name


def test_pushes_are_told_under_the_pushgateways_names() -> None:
    telemetry = Telemetry()
    telemetry.compatible_request("push", "POST", 200)
    telemetry.push("POST", 0.25, 100, now=10)
    telemetry.push("POST", 0.25, 100, now=10)
    assert samples(telemetry, "pushgateway_http_requests_total", 10) == [
        'pushgateway_http_requests_total{code="200",handler="push",method="post"} 1'
    ]
    name = "pushgateway_http_push_duration_seconds"
    assert samples(telemetry, name, 10) == [
        f'{name}{{method="post",quantile="0.1"}} 0.25',
        f'{name}{{method="post",quantile="0.5"}} 0.25',
        f'{name}{{method="post",quantile="0.9"}} 0.25',
        f'{name}_sum{{method="post"}} 0.5',
        f'{name}_count{{method="post"}} 2',
    ]


REJECTIONS = "pushrelay_pushes_rejected_total"


def test_rejections_are_counted_by_reason_and_job() -> None:
    telemetry = Telemetry()
    for reason, job in [("type", "b"), ("type", "a"), ("limit", "a"), ("type", "b")]:
        telemetry.rejected(reason, job)
    telemetry.rejected("type", None)
    assert samples(telemetry, REJECTIONS) == [
        f'{REJECTIONS}{{reason="type"}} 1',
        f'{REJECTIONS}{{job="a",reason="limit"}} 1',
        f'{REJECTIONS}{{job="a",reason="type"}} 1',
        f'{REJECTIONS}{{job="b",reason="type"}} 2',
    ]


def test_the_rejections_of_only_so_many_jobs_are_told_apart() -> None:
    telemetry = Telemetry()
    jobs = [f"j{number}" for number in range(NAMED_JOBS + 5)]
    for job in [*jobs, *jobs]:
        telemetry.rejected("type", job)
    lines = samples(telemetry, REJECTIONS)
    assert lines[0] == f'{REJECTIONS}{{reason="type"}} 10'
    assert set(lines[1:]) == {
        f'{REJECTIONS}{{job="{job}",reason="type"}} 2' for job in jobs[:NAMED_JOBS]
    }


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ("j" * NAMED_JOB_BYTES, True),
        ("é" * (NAMED_JOB_BYTES // 2), True),
        ("j" * (NAMED_JOB_BYTES + 1), False),
        ("é" * (NAMED_JOB_BYTES // 2 + 1), False),
    ],
)
def test_the_rejections_of_a_job_with_a_long_name_are_among_the_others(
    job: str, named: bool
) -> None:
    telemetry = Telemetry()
    telemetry.rejected("type", job)
    [line] = samples(telemetry, REJECTIONS)
    assert (job in line) is named


def test_what_is_over_a_limit_is_counted_by_its_name() -> None:
    telemetry = Telemetry()
    for limit in ("series", "body_bytes", "series"):
        telemetry.limit_exceeded(limit)
    name = "pushrelay_limit_exceeded_total"
    assert samples(telemetry, name) == [
        f'{name}{{limit="body_bytes"}} 1',
        f'{name}{{limit="series"}} 2',
    ]


def test_commits_are_measured() -> None:
    telemetry = Telemetry()
    telemetry.commit(0.002, 3)
    telemetry.commit(0.2, 1)
    writes = families(telemetry)["pushrelay_store_commit_writes"].metrics[0].value
    assert isinstance(writes, Histogram)
    assert (writes.sample_count, writes.sample_sum) == (2, 4)
    assert dict(writes.buckets)[BATCH_BUCKETS[0]] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pushrelay_groups", 2),
        ("pushrelay_series", 9),
        ("pushrelay_store_clock_skew_seconds", -1.5),
        ("pushrelay_store_revision", 5),
        ("pushrelay_store_up", 1),
    ],
)
def test_gauges_are_shown_as_they_are_read(name: str, value: float) -> None:
    assert samples(Telemetry(), name) == [f"{name} {value}"]


def test_a_store_that_is_down_is_told() -> None:
    down = replace(GAUGES, store_up=False)
    found = {family.name: family for family in Telemetry().families(down, 0)}
    assert found["pushrelay_store_up"].metrics[0].value == 0


def test_the_build_is_named_under_both_names() -> None:
    telemetry = Telemetry()
    for name in ("pushrelay_build_info", "pushgateway_build_info"):
        [line] = samples(telemetry, name)
        assert f'revision="{commit()}"' in line
        assert f'version="{__version__}"' in line
        assert line.endswith(" 1")
    labels = [
        name
        for name, _ in families(telemetry)["pushgateway_build_info"].metrics[0].labels
    ]
    assert labels == [
        "branch",
        "goarch",
        "goos",
        "goversion",
        "revision",
        "tags",
        "version",
    ]


def test_the_process_is_measured() -> None:
    found = families(Telemetry())

    def value(name: str) -> float:
        number = found[name].metrics[0].value
        assert isinstance(number, float)
        return number

    assert 0 < value("process_open_fds") <= value("process_max_fds")
    assert value("process_resident_memory_bytes") > 10**6
    assert value("process_resident_memory_bytes") < value(
        "process_virtual_memory_bytes"
    )
    assert value("process_cpu_seconds_total") > 0
    assert abs(value("process_start_time_seconds") - time.time()) < 60
    assert found["process_cpu_seconds_total"].type is MetricType.COUNTER


def test_a_scrape_may_be_interrupted_wherever_python_collects_garbage() -> None:
    telemetry = Telemetry()
    for number in range(100):
        telemetry.rejected(f"r{number}")
        telemetry.request(f"h{number}", "GET", 200, 0.1, 1)

    def record(*_: object) -> None:
        if len(telemetry.requests) < 1000:  # it makes garbage itself
            telemetry.rejected(f"r{len(telemetry.rejections)}")
            telemetry.request(f"h{len(telemetry.requests)}", "GET", 200, 0.1, 1)

    thresholds = gc.get_threshold()
    gc.callbacks.append(record)
    gc.set_threshold(5)
    try:
        families(telemetry)
    finally:
        gc.callbacks.remove(record)
        gc.set_threshold(*thresholds)
    assert len(telemetry.rejections) > 110


def test_a_scrape_may_happen_while_numbers_are_recorded() -> None:
    telemetry = Telemetry()
    done = threading.Event()

    def record() -> None:
        for number in range(3000):
            telemetry.request(f"h{number}", "GET", 200, 0.1, 1)
            telemetry.rejected(f"r{number}")
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    while not done.is_set():
        families(telemetry)
    thread.join()
    assert len(families(telemetry)["pushrelay_http_requests_total"].metrics) == 3000
