"""The spool with real files: what is kept, found again, and let go."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from spooled import (
    NOW,
    OTHER_URL,
    URL,
    files,
    finish_of,
    finished,
    reports_of,
    started,
)

from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool


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
    finish = finish_of(start)
    spool.keep(finish, URL, NOW)
    assert reports_of(spool) == [other, finish]
    assert len(files(home)) == 2


def test_a_finish_takes_the_place_of_a_start_in_another_directory(
    tmp_path: Path,
) -> None:
    home, fallback = str(tmp_path / "home"), str(tmp_path / "fallback")
    start = started()
    Spool([fallback]).keep(start, URL, NOW)
    finish = finish_of(start)
    Spool([home, fallback]).keep(finish, URL, NOW)
    assert reports_of(Spool([home, fallback])) == [finish]


def test_a_finish_outlives_the_delivery_of_its_start(spool: Spool) -> None:
    start = started()
    spool.keep(start, URL, NOW)
    [being_delivered] = spool.waiting()
    finish = finish_of(start)
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
