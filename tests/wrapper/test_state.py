"""Where the wrapper keeps its state."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pushrelay.wrapper.state import state_directories, usable_directory

LAST = f"/var/tmp/pushrelay-{os.geteuid()}"


# exec.md: 13
@pytest.mark.parametrize(
    ("environment", "directories"),
    [
        ({"PUSHRELAY_STATE_DIR": "/s", "HOME": "/h"}, ["/s"]),
        (
            {"XDG_STATE_HOME": "/x", "HOME": "/h"},
            ["/x/pushrelay", "/h/.local/state/pushrelay", LAST],
        ),
        ({"HOME": "/h"}, ["/h/.local/state/pushrelay", LAST]),
        ({"HOME": "h", "XDG_STATE_HOME": "x"}, [LAST]),
    ],
)
def test_state_is_where_it_is_said_to_be_or_usually_is(
    environment: dict[str, str], directories: list[str]
) -> None:
    assert state_directories(environment) == directories


def test_without_home_in_the_environment_it_is_that_of_the_user() -> None:
    home = os.path.expanduser("~" + os.environ.get("USER", "root"))
    assert state_directories({})[0].startswith(home)


def test_a_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = usable_directory([str(tmp_path / "state")], "spool")
    assert made == str(tmp_path / "state/spool")
    assert [os.stat(each).st_mode & 0o777 for each in (made, tmp_path / "state")] == [
        0o700,
        0o700,
    ]


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o755), (0o027, 0o750)])
def test_what_leads_to_a_directory_cannot_be_changed_by_others(
    umask: int, mode: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        usable_directory([str(tmp_path / ".local/state/pushrelay")], "spool")
    finally:
        os.umask(before)
    for made in (".local", ".local/state"):
        assert (tmp_path / made).stat().st_mode & 0o777 == mode
    assert (tmp_path / ".local/state/pushrelay").stat().st_mode & 0o777 == 0o700


def test_a_directory_may_be_made_by_several_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "a/b/c/state")
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: usable_directory([path], "s"), range(32)))
    assert set(made) == {f"{path}/s"}


def test_a_relative_directory_in_one_that_is_gone_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    directories = state_directories({"PUSHRELAY_STATE_DIR": "state"})
    with pytest.raises(FileNotFoundError, match="state"):
        usable_directory(directories, "spool")


def test_a_directory_that_others_may_change_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    other = tmp_path / "other"
    found = usable_directory([str(tmp_path / "open"), str(other)], "spool")
    assert found == str(other / "spool")
    with pytest.raises(PermissionError, match="others may write"):
        usable_directory([str(tmp_path / "open")], "spool")


def test_a_link_or_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "target").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("file", "link"):
        with pytest.raises(OSError, match=name):
            usable_directory([str(tmp_path / name)], "spool")


def test_where_nothing_can_be_made_the_first_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="proc"):
        usable_directory(["/proc/nothing", "/proc/else"], "spool")
