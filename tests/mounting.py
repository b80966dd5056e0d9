"""Tests that need file systems of their own."""

from __future__ import annotations

import os
import subprocess

import pytest


def _can_mount() -> bool:
    mounting = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    is_root = os.geteuid() == 0
    return is_root and not subprocess.run(mounting, capture_output=True).returncode


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="only root may mount")
