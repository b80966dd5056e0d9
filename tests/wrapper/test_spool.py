"""The spool with real files: what is kept, found again, and let go."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spooled import DAY, NOW, OTHER_URL, URL, files, finished, started

from pushrelay.wrapper import spool as spool_module
from pushrelay.wrapper.envelopes import envelope, parse_envelope
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import MOST_SECONDS, Spool

BROKEN = [
    (b"", "is no JSON"),
    (b'{"url": "http', "is no JSON"),
    (b"\xff\xfe", "is no JSON"),
    (b'{"spooled_at": NaN}', "is no JSON"),
    (b"[" * 200_000, "is nested too deeply"),
    (b"[1]", "is no JSON object"),
    (b"{}", "has no text as its run_id"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def spool(home: Path) -> Spool:
    return Spool([str(home)])


def reports_of(spool: Spool, url: str | None = None) -> list[Report]:
    return [entry.report for entry in spool.waiting(url)]


def test_what_is_kept_is_found_in_the_order_in_which_it_happened(spool: Spool) -> None:
    later, earlier, first = finished(NOW), started(NOW - 60), finished(NOW - 90)
    for report in (later, earlier, first):
        spool.keep(report, URL, NOW)
    assert reports_of(spool) == [first, earlier, later]
    assert {entry.url for entry in spool.waiting()} == {URL}
    assert {entry.spooled_at for entry in spool.waiting()} == {NOW}


def test_each_relay_has_its_reports(spool: Spool) -> None:
    ours, theirs = finished(), finished()
    spool.keep(ours, URL, NOW)
    spool.keep(theirs, OTHER_URL, NOW)
    assert reports_of(spool, URL) == [ours]
    assert reports_of(spool, OTHER_URL) == [theirs]
    assert len(spool.paths()) == 2
    assert len(spool.paths(URL)) == 1


# exec.md: 13
def test_files_are_private_and_named_by_what_they_tell(
    spool: Spool, home: Path
) -> None:
    report = finished(1795378800.25)
    previous = os.umask(0)
    try:
        spool.keep(report, URL, NOW)
    finally:
        os.umask(previous)
    [name] = files(home)
    assert name.startswith("1795378800.250000-")
    assert name.endswith(f"-{report.run_id}-finished.json")
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (home, home / "spool", home / "spool" / name)
    }
    assert list(modes.values()) == [0o700, 0o700, 0o600]


def test_user_and_password_are_not_written(spool: Spool, home: Path) -> None:
    report = finished()
    spool.keep(report, "https://backup:s3cret@relay.example.org/push", NOW)
    [name] = files(home)
    assert "s3cret" not in (home / "spool" / name).read_text()
    assert reports_of(spool, "https://relay.example.org/push") == [report]


def test_any_text_survives(spool: Spool) -> None:
    tail = {"stdout": "\udcff\0é\u2028\ud800", "stderr": "\x1b[1m"}
    report = finished(output_tail=tail, metrics='a{b="\\n"} 1e+300\n')
    spool.keep(report, URL, NOW)
    assert reports_of(spool) == [report]


def test_a_finish_takes_the_place_of_its_start(spool: Spool, home: Path) -> None:
    start, other = started(), started()
    spool.keep(start, URL, NOW)
    spool.keep(other, URL, NOW)
    finish = finished(run_id=start.run_id)
    spool.keep(finish, URL, NOW)
    assert reports_of(spool) == [other, finish]
    assert len(files(home)) == 2


def test_a_finish_outlives_the_delivery_of_its_start(spool: Spool) -> None:
    start = started()
    spool.keep(start, URL, NOW)
    [being_delivered] = spool.waiting()
    finish = finished(run_id=start.run_id)
    spool.keep(finish, URL, NOW)
    spool.delivered(being_delivered)
    assert reports_of(spool) == [finish]


def test_what_was_reported_otherwise_is_dropped(spool: Spool) -> None:
    start, other = started(), started()
    spool.keep(start, URL, NOW)
    spool.keep(other, URL, NOW)
    spool.drop(start.run_id.upper())
    spool.drop("0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00")
    assert reports_of(spool) == [other]


def test_what_was_refused_is_kept_with_the_reason(spool: Spool) -> None:
    first, second = finished(NOW - 60), finished(NOW - 30)
    for report in (second, first):
        spool.keep(report, URL, NOW)
    for entry in spool.waiting():
        spool.set_aside(entry, f"not {entry.report.at:g}")
    assert spool.waiting() == []
    refused = [(entry.report, entry.reason, entry.url) for entry in spool.refused()]
    assert refused == [
        (first, f"not {first.at:g}", URL),
        (second, f"not {second.at:g}", URL),
    ]


def test_what_two_have_read_is_forgotten_once(spool: Spool) -> None:
    spool.keep(finished(), URL, NOW)
    [entry] = spool.waiting()
    spool.delivered(entry)
    spool.delivered(entry)
    assert spool.waiting() == []


@pytest.mark.parametrize(("content", "problem"), BROKEN)
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


def test_reports_that_vanish_are_not_there(spool: Spool) -> None:
    spool.keep(finished(), URL, NOW)
    [path] = spool.paths()
    os.unlink(path)
    assert spool.read(path) is None


@pytest.mark.parametrize("is_shared", ["state", "state/spool"])
def test_directories_that_others_may_change_are_not_read(
    is_shared: str, spool: Spool, tmp_path: Path
) -> None:
    spool.keep(finished(), URL, NOW)
    (tmp_path / is_shared).chmod(0o777)
    assert spool.waiting() == []
    with pytest.raises(PermissionError, match="others may write"):
        spool.keep(finished(), URL, NOW)


def test_reports_are_found_wherever_they_were_kept(tmp_path: Path) -> None:
    home, fallback = str(tmp_path / "home"), str(tmp_path / "fallback")
    early, late = finished(NOW - 60), finished()
    Spool([fallback]).keep(early, URL, NOW)
    spool = Spool([home, fallback])
    spool.keep(late, URL, NOW)
    assert [entry.path.startswith(home) for entry in spool.waiting()] == [False, True]
    for entry in spool.waiting():
        spool.set_aside(entry, "no")
    assert [entry.report for entry in spool.refused()] == [early, late]


def test_a_directory_that_cannot_be_made_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool([str(tmp_path / "file" / "home"), str(tmp_path / "fallback")])
    spool.keep(finished(), URL, NOW)
    assert len(files(tmp_path / "fallback")) == 1


def test_without_any_directory_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool([str(tmp_path / "file" / "home")])
    with pytest.raises(NotADirectoryError):
        spool.keep(finished(), URL, NOW)
    with pytest.raises(FileNotFoundError):
        Spool([]).keep(finished(), URL, NOW)


def test_looking_into_no_spool_makes_none(spool: Spool, home: Path) -> None:
    assert (spool.waiting(), spool.refused(), spool.paths()) == ([], [], [])
    spool.drop("0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00")
    with spool.locked() as is_ours:
        assert is_ours
    assert not home.exists()


def test_only_one_delivers_at_a_time(spool: Spool, home: Path) -> None:
    spool.keep(finished(), URL, NOW)
    other = Spool([str(home.parent / "other"), str(home)])
    with spool.locked() as is_ours:
        assert is_ours
        with other.locked() as is_theirs:
            assert not is_theirs
    with other.locked() as is_theirs:
        assert is_theirs


# exec.md: 17
def test_it_holds_64_mib_and_29_days() -> None:
    assert (spool_module.MOST_BYTES, MOST_SECONDS) == (64 << 20, 29 * DAY)


# exec.md: 17
def test_what_is_too_old_goes(spool: Spool) -> None:
    old, young = finished(NOW - 20 * DAY), finished(NOW - 5 * DAY)
    for report in (old, young):
        spool.keep(report, URL, NOW - 5 * DAY)
    last = finished(NOW + 10 * DAY)
    spool.keep(last, URL, NOW + 10 * DAY)
    assert reports_of(spool) == [young, last]


def test_what_was_refused_goes_so_long_after_that(spool: Spool) -> None:
    spool.keep(finished(NOW - 20 * DAY), URL, NOW)
    [entry] = spool.waiting()
    spool.set_aside(entry, "no")
    [aside] = spool.refused()
    os.utime(aside.path, (NOW, NOW))
    spool.keep(finished(), URL, NOW + MOST_SECONDS - 1)
    assert spool.refused() == [aside]
    spool.keep(finished(), URL, NOW + MOST_SECONDS + 1)
    assert spool.refused() == []


# exec.md: 17
def test_of_too_much_the_oldest_goes_and_first_what_was_refused(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(envelope(finished(), URL, NOW))
    reports = [finished(NOW + number) for number in range(6)]
    for report in reports[:4]:
        spool.keep(report, URL, NOW)
    entry = spool.waiting()[3]
    spool.set_aside(entry, "no")
    monkeypatch.setattr(spool_module, "MOST_BYTES", 4 * size)
    spool.keep(reports[4], URL, NOW)
    assert (reports_of(spool), spool.refused()) == ([*reports[:3], reports[4]], [])
    spool.keep(reports[5], URL, NOW)
    assert reports_of(spool) == [*reports[1:3], *reports[4:]]
    # What comes late is the last to go, though it is the oldest.
    late = finished(NOW - 60)
    spool.keep(late, URL, NOW)
    assert reports_of(spool) == [late, reports[2], *reports[4:]]


def test_a_report_larger_than_the_spool_is_not_kept(
    spool: Spool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST_BYTES", 100)
    with pytest.raises(OSError, match="more than 100 bytes"):
        spool.keep(finished(), URL, NOW)
    assert not home.exists()


def test_what_a_crash_left_is_removed_an_hour_later(spool: Spool, home: Path) -> None:
    spool.keep(finished(), URL, NOW)
    [kept] = files(home)
    place = home / "spool"
    for name, age in (("old", 3601), ("new", 3599)):
        (place / f".{kept}.{name}").write_text("{")
        os.utime(place / f".{kept}.{name}", (NOW - age, NOW - age))
    assert len(spool.waiting()) == 1
    spool.keep(finished(), URL, NOW)
    assert kept in files(home)
    assert [name for name in files(home) if name[0] == "."] == [f".{kept}.new"]


def test_many_may_keep_and_read_at_once(spool: Spool) -> None:
    reports = [finished(NOW + number / 8) for number in range(40)]

    def keep(own: list[Report]) -> None:
        for report in own:
            spool.keep(report, URL, NOW)
            assert report in reports_of(spool)

    threads = [threading.Thread(target=keep, args=(reports[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports_of(spool) == reports
    assert spool.refused() == []


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
        optional={"started_at": JSON, "finished_at": JSON},
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
        written = envelope(entry.report, entry.url, entry.spooled_at, entry.reason)
        assert parse_envelope(written, "path") == entry
    assert problem.startswith(("is ", "has no ")) or not problem
