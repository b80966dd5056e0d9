"""Files of the spool with whatever is in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spooled import NOW, URL, files, finished, reports_of, started

from pushrelay.wrapper.envelopes import envelope, parse_envelope
from pushrelay.wrapper.gauges import labels_of, metrics_of, news
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool

BROKEN = [
    (b"", "is no JSON"),
    (b'{"url": "http', "is no JSON"),
    (b"\xff\xfe", "is no JSON"),
    (b'{"spooled_at": NaN}', "is no JSON"),
    (b"[" * 200_000, "is nested too deeply"),
    (b"[1]", "is no JSON object"),
    (b"{}", "has no text as its run_id"),
]


def of_finish(**fields: object) -> bytes:
    """Return the file of a finish, whole but for these fields of its document."""
    report = finished()
    return envelope(Report(report.run_id, {**report.document, **fields}), URL, NOW)


BROKEN_DOCUMENTS = [
    (of_finish(job=None), "has no text as its job"),
    (of_finish(job=5), "has no text as its job"),
    (of_finish(started_at="y"), "has no time as its started_at"),
    (of_finish(started_at=None), "has no time as its started_at"),
    (of_finish(finished_at=None), "has no time as its finished_at"),
    (of_finish(outcome=["success"]), "has no text as its outcome"),
    (of_finish(metrics=7), "has no text as its metrics"),
    (of_finish(labels=["a"]), "has no object as its labels"),
    (of_finish(labels={"a": 1}), "has no texts as its labels"),
    (of_finish(usage="much"), "has no object as its usage"),
]


@pytest.mark.parametrize(("content", "problem"), [*BROKEN, *BROKEN_DOCUMENTS])
def test_broken_files_are_set_aside(
    content: bytes, problem: str, spool: Spool, home: Path
) -> None:
    report, whole = started(NOW - 60), finished()
    spool.keep(report, URL, NOW)
    spool.keep(whole, URL, NOW)
    path = Path(spool.paths()[0])
    path.write_bytes(content)
    assert reports_of(spool) == [whole]
    [entry] = spool.refused()
    assert problem in entry.reason
    assert entry.path in entry.reason
    assert (entry.report.run_id, entry.report.at) == (report.run_id, report.at)
    assert Path(entry.path).read_bytes() == content
    assert not path.exists()


def test_files_that_are_none_of_the_spool_are_left_alone(
    spool: Spool, home: Path
) -> None:
    report = finished()
    spool.keep(report, URL, NOW)
    place = home / "spool"
    [name] = files(home)
    taken = [name.replace(name[:10], f"{number}000000000") for number in range(2, 6)]
    (place / "notes.txt").write_text("mine")
    (place / taken[0]).symlink_to(place / name)
    (place / taken[1]).symlink_to("/nowhere")
    (place / taken[2]).mkdir()
    os.mkfifo(place / taken[3])
    before = sorted(place.iterdir())
    assert reports_of(spool) == [report]
    assert spool.refused() == []
    assert sorted(place.iterdir()) == before
    assert [spool.read(str(place / each)) for each in taken] == [None] * 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ["url", "run_id", "spooled_at", "reason", "document"]
ENVELOPES = st.builds(
    lambda changed, document: json.dumps(
        {
            **json.loads(envelope(finished(), URL, NOW)),
            **({"document": document} if document else {}),
            **changed,
        }
    ).encode(),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
    st.none()
    | st.fixed_dictionaries(
        {"state": st.sampled_from(["started", "finished", "x"]) | JSON},
        optional={
            "job": st.just("a") | JSON,
            "started_at": st.just(NOW) | JSON,
            "finished_at": st.just(NOW) | JSON,
            "labels": JSON,
            "metrics": JSON,
            "outcome": st.just("success") | JSON,
            "usage": JSON,
        },
    ),
)
CUT = st.builds(
    lambda at, more: envelope(finished(), URL, NOW)[:at] + more,
    st.integers(0, 400),
    st.binary(max_size=4),
)


ANYTHING = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())


@given(ENVELOPES | CUT | ANYTHING)
def test_whatever_is_in_a_file_is_a_report_or_broken(content: bytes) -> None:
    try:
        entry = parse_envelope(content, "path")
    except ValueError as error:
        problem = str(error)
    else:
        problem = ""
        assert isinstance(entry.report.at, float)
        assert isinstance(entry.report.is_finish, bool)
        # Whatever reads it for a Pushgateway can.
        assert labels_of(entry.report)["job"] is not None
        assert isinstance(metrics_of(entry.report), str)
        assert news(entry.report, {}, NOW)
        written = envelope(entry.report, entry.url, entry.spooled_at, entry.reason)
        assert parse_envelope(written, "path") == entry
    assert problem.startswith(("is ", "has no ")) or not problem
