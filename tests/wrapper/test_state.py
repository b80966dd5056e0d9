"""Where the wrapper keeps its state."""

from __future__ import annotations

import os
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
