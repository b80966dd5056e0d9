"""What the spool lets go, so that it does not grow for ever."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from spooled import DAY, NOW, URL, files, finished, reports_of

from pushrelay.wrapper import spool as spool_module
from pushrelay.wrapper.envelopes import envelope
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import MOST_SECONDS, Spool


# exec.md: 17
def test_it_holds_64_mib_and_20_000_reports_and_29_days() -> None:
    assert (spool_module.MOST_BYTES, MOST_SECONDS) == (64 << 20, 29 * DAY)
    assert spool_module.MOST_FILES == 20_000


def kept_of_old(spool: Spool, happened: float, written: float) -> Report:
    """Keep a report of what happened so many days before NOW, in a file as old as if
    it was written so many days before."""
    report = finished(NOW - happened * DAY)
    path = spool.keep(report, URL, NOW - written * DAY)
    os.utime(path, (NOW - written * DAY, NOW - written * DAY))
    return report


# exec.md: 17
@pytest.mark.parametrize(
    ("happened", "written", "stays"),
    [
        (28.9, 28.9, True),
        (29.1, 29.1, False),
        (
            29.1,
            28.9,
            True,
        ),  # the clock was put back when it ran, or it waited elsewhere
        (28.9, 29.1, True),
        (4000, 29.1, False),
        (59, 59, False),
    ],
)
def test_what_happened_and_was_kept_too_long_ago_goes(
    happened: float, written: float, stays: bool, spool: Spool
) -> None:
    old = kept_of_old(spool, happened, written)
    last = finished(NOW)
    spool.keep(last, URL, NOW)
    assert reports_of(spool) == ([old] if stays else []) + [last]


# exec.md: 17
@pytest.mark.parametrize("days", [61, 365, 30_000])
def test_a_clock_that_leaps_ahead_empties_no_spool(days: float, spool: Spool) -> None:
    reports = [kept_of_old(spool, ago, ago) for ago in (3, 2, 1)]
    for seconds in range(2):
        reports.append(finished(NOW + days * DAY + seconds))
        spool.keep(reports[-1], URL, NOW + days * DAY)
    assert reports_of(spool) == reports


# exec.md: 17
def test_of_too_many_the_oldest_go_and_first_what_was_refused(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST_FILES", 3)
    reports = [finished(NOW + number) for number in range(5)]
    for report in reports[:3]:
        spool.keep(report, URL, NOW)
    spool.set_aside(spool.waiting()[2], "no")
    spool.keep(reports[3], URL, NOW)
    assert (reports_of(spool), spool.refused()) == ([*reports[:2], reports[3]], [])
    spool.keep(reports[4], URL, NOW)
    assert reports_of(spool) == [reports[1], *reports[3:]]


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


# exec.md: 17
def test_in_a_large_spool_the_bounds_hold_about(
    spool: Spool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(envelope(finished(), URL, NOW))
    monkeypatch.setattr(spool_module, "MOST_BYTES", 32 * size)
    monkeypatch.setattr(spool_module, "_FEW_FILES", 4)
    monkeypatch.setattr(spool_module, "_SLACK_BYTES", 16 * size)
    # The same ones each time, since the ids decide when to look after the bounds.
    ids = Random(0)
    most = 0
    for number in range(200):
        id_ = str(UUID(int=ids.getrandbits(128)))
        spool.keep(finished(NOW + number, id_), URL, NOW)
        most = max(most, len(files(home)))
    assert 32 < most < 3 * 32


def test_few_keeps_in_a_large_spool_look_after_its_bounds() -> None:
    turns = [spool_module._is_turn(finished(), 1000, 40_000) for _ in range(2000)]
    assert sum(turns) < 100


@pytest.mark.parametrize(("size", "files"), [(1000, 256), (1 << 20, 40_000)])
def test_small_spools_and_large_reports_always_have_their_turn(
    size: int, files: int
) -> None:
    assert all(spool_module._is_turn(finished(), size, files) for _ in range(500))
