"""What is known of the host: names, zones and traces."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.wrapper import host
from pushrelay.wrapper.host import (
    new_run_id,
    temporary_directories,
    time_zone,
    trace_id,
    trace_parent,
)

KNOWN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_temporary_files_go_where_they_should_or_else_where_they_may() -> None:
    all_users = ["/tmp", "/var/tmp", "/dev/shm"]
    assert temporary_directories({}) == all_users
    assert temporary_directories({"TMPDIR": ""}) == all_users
    assert temporary_directories({"TMPDIR": "/t"}) == ["/t", *all_users]


def test_large_ones_do_not_go_to_memory_first() -> None:
    directories = temporary_directories({"TMPDIR": "/t"}, for_much=True)
    assert directories == ["/t", "/var/tmp", "/tmp", "/dev/shm"]


def test_a_current_directory_that_is_gone_keeps_no_run_from_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert temporary_directories({"TMPDIR": "t"})[:2] == ["t", "/tmp"]


def test_run_ids_are_random_uuids_of_version_4() -> None:
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    for each in ids:
        parsed = uuid.UUID(each)
        assert str(parsed) == each
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_a_trace_goes_on_as_it_is() -> None:
    assert trace_parent(KNOWN) == KNOWN
    assert trace_id(KNOWN) == "0af7651916cd43dd8448eb211c80319c"


def test_a_trace_of_a_later_version_goes_on_with_what_it_has_more() -> None:
    later = KNOWN.replace("00-", "01-", 1) + "-more"
    assert trace_parent(later) == later


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "00",
        KNOWN[:-1],
        KNOWN.upper(),
        KNOWN.replace("0af7", "xxxx"),
        "ff" + KNOWN[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_what_is_no_trace_makes_a_new_one(broken: str) -> None:
    made = trace_parent(broken)
    assert made != broken
    assert trace_id(made)
    assert made != trace_parent(broken)


@given(st.text())
def test_any_text_makes_a_trace(text: str) -> None:
    assert trace_id(trace_parent(text))


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only zones that this host, which is in Paris, knows."""
    zones = tmp_path / "zoneinfo"
    for name in ("Europe/Berlin", "EST5EDT", "UTC", "Etc/GMT+1", "localtime"):
        (zones / name).parent.mkdir(parents=True, exist_ok=True)
        (zones / name).touch()
    monkeypatch.setattr(host, "_ZONES", str(zones))
    monkeypatch.setattr(host, "_LOCALTIME", f"{zones}/Europe/Paris")
    return zones


@pytest.mark.parametrize(
    ("named", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        (":/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("EST5EDT", "EST5EDT"),
        ("Etc/GMT+1", "Etc/GMT+1"),
    ],
)
def test_the_zone_is_that_of_the_environment_if_it_names_one(
    named: str, zone: str, zones: Path
) -> None:
    assert time_zone({"TZ": named}) == zone


@pytest.mark.parametrize(
    "named",
    [
        *("", ":", "/", ".", "..", "Europe", "Europe/", "Europe/../UTC", "\udcff"),
        *("/etc/localtime", ":/etc/localtime", "localtime", ":localtime"),
        *("UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "Mars/Olympus"),
        *("/usr/share/zoneinfo/", "/usr/share/zoneinfo/Mars", "/opt/zone"),
    ],
)
def test_what_names_no_zone_leaves_that_of_the_host(named: str, zones: Path) -> None:
    assert time_zone({"TZ": named}) == "Europe/Paris"


def test_zones_are_where_the_environment_says(tmp_path: Path, zones: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "Mars").touch()
    environ = {"TZ": "Mars", "TZDIR": str(tmp_path / "more")}
    assert time_zone(environ) == "Mars"


def test_the_zones_of_this_host_are_found() -> None:
    assert time_zone({"TZ": ":Asia/Tokyo"}) == "Asia/Tokyo"


def test_the_zone_is_else_that_of_the_host(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    localtime, written = f"{tmp_path}/localtime", f"{tmp_path}/timezone"
    monkeypatch.setattr(host, "_LOCALTIME", localtime)
    monkeypatch.setattr(host, "_TIMEZONE", written)
    assert time_zone({}) is None
    with open(written, "w") as file:
        file.write("America/New_York\n")
    assert time_zone({}) == "America/New_York"
    monkeypatch.setattr(host, "_LOCALTIME", f"{tmp_path}/zoneinfo/Europe/Paris")
    assert time_zone({"TZ": ""}) == "Europe/Paris"
