"""Which commit this is: what was built says it, and so does a checkout."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pushrelay import __version__

PACKAGE = Path(__file__).parent
BUILT_FROM = "commit.txt"
"""The file in the package that builds write, see setup.py. A checkout has none."""


@cache
def commit() -> str:
    """Return the commit that this was built from, with `-dirty` behind it if there
    were changes beside; or the one that is checked out. "" where neither is known."""
    try:
        return (PACKAGE / BUILT_FROM).read_text().strip()
    except OSError:
        return checked_out(PACKAGE.parent)


def version() -> str:
    """Return what is running, for people: the version, and the commit if known."""
    known = commit()
    return f"{__version__} (commit {known})" if known else __version__


def checked_out(root: Path) -> str:
    """Return the commit that is checked out at `root`, or "" where git does not keep
    it in the files it always did. Needs no git, which may not be installed here."""
    try:
        git = _git_directory(root)
        head = _read(git / "HEAD")
        if not head.startswith("ref: "):
            return head
        return _tip(_common_directory(git), head.removeprefix("ref: "))
    except OSError:
        return ""


def _git_directory(root: Path) -> Path:
    git = root / ".git"
    if git.is_dir():
        return git
    # A worktree: one line that says where the directory is.
    return root / _read(git).removeprefix("gitdir: ")


def _common_directory(git: Path) -> Path:
    """Return where the branches of all worktrees are."""
    told = git / "commondir"
    return git / _read(told) if told.exists() else git


def _tip(git: Path, branch: str) -> str:
    loose = git / branch
    if loose.exists():
        return _read(loose)
    packed = _read(git / "packed-refs").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {branch}")), "")


def _read(path: Path) -> str:
    """Return what is in a file; paths and branches need not be text."""
    return os.fsdecode(path.read_bytes()).strip()
