"""Installs pushrelay as its users do: from a wheel, into a venv of its own.

The venv of development has editable installs and coverage in it, whose files every
Python there reads when it starts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_SOURCES = (
    *("pushrelay", "migrations", "bin", "setup.cfg", "pyproject.toml"),
    *("README.md", "LICENSE"),
)


def install(directory: Path) -> Path:
    """Install pushrelay below `directory`; return the folder of its commands.

    What it depends on is not installed, for `pushrelay exec` needs nothing of it.
    """
    environment = directory / "venv"
    venv.create(environment, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "wheel", "--no-deps", "-w", directory / "dist", _copied(directory))
    (wheel,) = (directory / "dist").iterdir()
    python = environment / "bin/python3"
    _run(*pip, "--python", python, "install", "--no-deps", wheel)
    return environment / "bin"


def _copied(directory: Path) -> Path:
    """Return a copy of the sources; a build leaves files behind in them."""
    copy = directory / "source"
    copy.mkdir()
    for name in _SOURCES:
        source = _REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, symlinks=True, ignore=ignored)
        elif source.exists():
            shutil.copy(source, copy)
    return copy


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pushrelay cannot be installed: {done.stderr}")
