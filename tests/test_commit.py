"""Which commit a checkout is, and which one a build writes down."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pushrelay import __version__, commit
from pushrelay.cli.main import cli
from pushrelay.commit import checked_out, version
from setup import commit_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("git"), reason="git is not installed"),
]

NAMED = ("-c", "user.name=x", "-c", "user.email=x@example.org")


def git(root: Path, *arguments: str) -> str:
    """Run git at `root` and return what it printed."""
    command = ["git", *NAMED, *arguments]
    return subprocess.check_output(command, cwd=root, text=True).strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=a/branch")
    (root / "a").write_text("a\n")
    git(root, "add", "a")
    git(root, "commit", "--quiet", "--message=A")
    git(root, "tag", "--annotate", "--message=A", "v1")
    return root


def as_it_is(root: Path) -> Path:
    return root


def packed(root: Path) -> Path:
    git(root, "pack-refs", "--all")
    return root


def detached(root: Path) -> Path:
    git(root, "checkout", "--quiet", "--detach")
    return root


def worktree(root: Path) -> Path:
    git(root, "worktree", "add", "--quiet", "-b", "other", "../beside")
    return root.parent / "beside"


def no_text(root: Path) -> Path:
    place = root.parent / os.fsdecode(b"\xff")
    shutil.move(root, place)
    return worktree(place)


@pytest.mark.parametrize("change", [as_it_is, packed, detached, worktree, no_text])
def test_the_commit_of_a_checkout_is_that_of_git(
    root: Path, change: Callable[[Path], Path]
) -> None:
    place = change(root)
    told = git(place, "rev-parse", "HEAD")
    assert len(told) == 40
    assert checked_out(place) == commit_of(place) == told


def test_a_build_tells_of_changes_beside_the_commit(root: Path) -> None:
    told = git(root, "rev-parse", "HEAD")
    (root / "built").touch()
    assert commit_of(root) == told
    (root / "a").write_text("b\n")
    assert commit_of(root) == f"{told}-dirty"


def test_what_an_earlier_build_wrote_goes_before_git(root: Path) -> None:
    (root / "pushrelay").mkdir()
    (root / "pushrelay/commit.txt").write_text("0123456789abcdef\n")
    assert commit_of(root) == "0123456789abcdef"


def test_below_another_repository_there_is_no_commit(root: Path) -> None:
    place = root / "site-packages"
    place.mkdir()
    assert checked_out(place) == commit_of(place) == ""


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert checked_out(tmp_path) == commit_of(tmp_path) == ""


def test_without_git_a_build_knows_no_commit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = git(root, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of(root) == ""
    assert checked_out(root) == told


@pytest.mark.parametrize(
    ("known", "told"),
    [("0123abc", f"{__version__} (commit 0123abc)"), ("", __version__)],
)
def test_people_are_told_the_commit_where_it_is_known(
    known: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "package").mkdir()
    if known:
        (tmp_path / "package/commit.txt").write_text(f"{known}\n")
    monkeypatch.setattr(commit, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(commit, "commit", commit.commit.__wrapped__)
    assert commit.version() == told


def test_the_command_tells_the_version_and_the_commit() -> None:
    done = CliRunner().invoke(cli, ["--version"])
    assert (done.exit_code, done.output) == (0, f"pushrelay, version {version()}\n")
