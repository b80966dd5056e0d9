from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from compat.exposition_page import read_page, value
from hypothesis import example, given
from hypothesis import strategies as st
from node_exporter_process import NodeExporter
from run_reports import FINISH, FULL, START
from textfiles import FINISHED, page, write

from pushrelay.grouping_key import GroupingKey
from pushrelay.wrapper.gauges import (
    GAUGES,
    LAST_FINISH,
    LAST_START,
    LAST_SUCCESS,
)
from pushrelay.wrapper.textfile import file_name, parse_textfile

STARTED = 1795378800.25
EXIT_CODE = "pushrelay_job_last_exit_code"


def test_a_file_tells_of_the_run_and_has_its_metrics(tmp_path: Path) -> None:
    assert write(tmp_path, FULL) == []
    said = page(tmp_path)
    for name in GAUGES:
        value(said, name, job="nightly", instance="db1")
    assert 'rows{instance="db1",job="nightly"} 5\n' in said
    assert len(read_page(said)) == len(GAUGES) + 1


def test_labels_of_the_run_replace_those_of_its_metrics(tmp_path: Path) -> None:
    metrics = (
        "# HELP t Took.\n# TYPE t histogram\n"
        't_bucket{le="1",job="x",disk="a"} 2\nt_bucket{le="+Inf",job="x",disk="a"} 3\n'
        't_sum{job="x",disk="a"} 4\nt_count{job="x",disk="a"} 3\n'
    )
    write(tmp_path, FINISH, labels={"zone": 'a"\\\n'}, metrics=metrics)
    labels = 'disk="a",job="nightly",zone="a\\"\\\\\\n"'
    assert page(tmp_path).endswith(
        "# HELP t Took.\n# TYPE t histogram\n"
        f't_bucket{{{labels},le="1"}} 2\nt_bucket{{{labels},le="+Inf"}} 3\n'
        f"t_sum{{{labels}}} 4\nt_count{{{labels}}} 3\n"
    )


def test_labels_that_are_empty_are_as_none(tmp_path: Path) -> None:
    write(tmp_path, FULL, labels={"instance": "", "a": ""})
    assert [file.name for file in tmp_path.iterdir()] == ["pushrelay_nightly.prom"]
    assert {sample.labels for sample in read_page(page(tmp_path))} == {
        (("job", "nightly"),)
    }


def test_a_start_leaves_what_is_known_of_earlier_runs(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    write(tmp_path, START, labels=FULL["labels"], started_at=STARTED + 50)
    said = page(tmp_path)
    assert value(said, LAST_START) == STARTED + 50
    assert value(said, LAST_FINISH) == value(said, LAST_SUCCESS) == FINISHED
    assert 'rows{instance="db1",job="nightly"} 5\n' in said


def test_a_failure_leaves_the_last_success_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    failed = {**FULL, "outcome": "signal", "finished_at": FINISHED + 50}
    for unknown in ("exit_code", "usage", "metrics"):
        failed[unknown] = None
    write(tmp_path, failed)
    said = page(tmp_path)
    assert value(said, LAST_SUCCESS) == FINISHED
    assert value(said, LAST_FINISH) == FINISHED + 50
    assert EXIT_CODE not in said
    assert "rows" not in said


def test_a_run_that_was_overtaken_changes_nothing_that_is_newer(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    before = page(tmp_path)
    late = {**FULL, "started_at": STARTED - 50, "finished_at": FINISHED - 1}
    assert write(tmp_path, late, exit_code=3, metrics="rows 7\n") == []
    assert page(tmp_path) == before


def test_a_run_that_was_skipped_changes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path, FULL, outcome="skipped") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (
            "rows 5\nrows five\n",
            'text format parsing error in line 2: expected float as value, got "five"',
        ),
        (
            "rows 5",
            "text format parsing error in line 1: unexpected end of input stream",
        ),
        ("a 1\nrows 5 17\n", "line 2: pushed metrics must not have timestamps"),
        (
            f"\n{EXIT_CODE} 5\n",
            f'line 2: collected metric named "{EXIT_CODE}": names that begin with '
            "pushrelay_ are the relay's own; rename it",
        ),
        (
            'a{b="1"} 1\na{b="1"} 2\n',
            'line 2: collected metric "a" {b="1", instance="", job="nightly"} was '
            "collected before with the same name and label values",
        ),
        (
            'a 1\na{b="' + "x" * 70_000 + '"} 1\n',
            'line 2: the value of label "b" is longer than the limit of 65536 bytes',
        ),
    ],
)
def test_metrics_that_are_wrong_are_left_out_with_a_reason(
    tmp_path: Path, metrics: str, told: str
) -> None:
    sentences = write(tmp_path, FINISH, metrics=metrics)
    assert sentences == [f"metrics of the run were left out: {told}"]
    assert value(page(tmp_path), LAST_FINISH) == FINISHED
    assert {sample.name for sample in read_page(page(tmp_path))} <= GAUGES.keys()


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"job": "nightly-report"}, r"pushrelay_nightly-report\.prom"),
        ({"job": "a.b_c"}, r"pushrelay_a\.b_c\.prom"),
        ({"job": "a", "l": "v"}, r"pushrelay_a_[0-9a-f]{12}\.prom"),
        ({"job": "../a b"}, r"pushrelay_\.\._a_b_[0-9a-f]{12}\.prom"),
        ({"job": "ü" * 200}, r"pushrelay___[0-9a-f]{12}\.prom"),
        ({"job": "x" * 300}, r"pushrelay_x{100}_[0-9a-f]{12}\.prom"),
        (
            {"job": "a_0123456789ab"},
            r"pushrelay_a_0123456789ab_[0-9a-f]{12}\.prom",
        ),
    ],
)
def test_files_are_named_after_jobs(labels: dict[str, str], name: str) -> None:
    assert re.fullmatch(name, file_name(GroupingKey.of(labels)))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True))
def test_no_two_jobs_share_a_file(jobs: list[str]) -> None:
    names = {file_name(GroupingKey.of({"job": job})) for job in jobs}
    assert len(names) == len(jobs)
    assert all("/" not in name and len(name) < 200 for name in names)


def test_a_file_can_be_read_by_all_and_nothing_else_is_left(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path, FULL)
        write(tmp_path, FULL)
    finally:
        os.umask(before)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_understood_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "pushrelay_nightly.prom").write_text("{{{\n")
    assert write(tmp_path, FINISH) == []
    assert value(page(tmp_path), LAST_FINISH) == FINISHED


@given(st.binary() | st.text(st.characters(codec="utf-8")).map(str.encode))
@example(f"# TYPE {LAST_START} summary\n{LAST_START} 5\n".encode())
@example(f"{LAST_START} 5\n{LAST_START} NaN\n".encode())
def test_any_file_can_be_what_was_there_before(content: bytes) -> None:
    gauges, families = parse_textfile(content)
    assert all(type(number) is float for number in gauges.values())
    assert all(family.name not in GAUGES for family in families)


@pytest.mark.system
def test_a_real_node_exporter_shows_the_files_of_several_jobs(tmp_path: Path) -> None:
    if NodeExporter.executable is None:
        pytest.skip("there is no prometheus-node-exporter")
    shown = tmp_path / "shown"
    shown.mkdir()
    labels = {"disk.name": 'a"\\\n', "instance": "ü"}
    write(shown, FULL, metrics="# TYPE rows counter\nrows 5\n", labels=labels)
    write(shown, FINISH, job="other", outcome="failure")
    write(shown, START, job="third")
    (shown / ".pushrelay_half.prom.0123").write_text("half a li")
    with NodeExporter(tmp_path, shown) as exporter:
        said = exporter.page()
        assert value(said, "node_textfile_scrape_error") == 0
        escaped = {"disk_name": 'a"\\\n', "instance": "ü", "job": "nightly"}
        for name in GAUGES:
            value(said, name, **escaped)
        assert value(said, "rows", **escaped) == 5
        assert value(said, LAST_FINISH, job="other") == FINISHED
        assert value(said, LAST_START, job="third") == STARTED
        write(shown, FINISH, job="third", exit_code=4)
        assert value(exporter.page(), EXIT_CODE, job="third") == 4
    assert "error" not in exporter.log.replace("scrape_error", "")
