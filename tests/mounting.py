"""File systems of the tests' own, which are small, read-only or gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def _can_mount() -> bool:
    mounting = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    is_root = os.geteuid() == 0
    return is_root and not subprocess.run(mounting, capture_output=True).returncode


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="only root may mount")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Make `directory`, and put an empty file system there that has so much space."""
    directory.mkdir()
    options = ["-o", f"size={size},mode=0700"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", directory], check=True)
    try:
        yield directory
    finally:
        # Whatever a test that failed has open there.
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def mounted(source: Path, directory: Path) -> Iterator[None]:
    """Have what is in `source` at `directory`, too; it goes whoever uses it."""
    subprocess.run(["mount", "--bind", source, directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def remount(directory: Path, options: str) -> None:
    """Change the file system at `directory`: its size, or whether it is read-only."""
    subprocess.run(["mount", "-o", f"remount,{options}", directory], check=True)


def fill(directory: Path) -> None:
    """Leave no space in the file system at `directory`."""
    with (directory / "all").open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert not os.statvfs(directory).f_bavail
