"""Text files of runs in a directory that is empty at first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run_reports import ID

from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.textfile import write_textfile

FINISHED, NOW = 1795378841.5, 1795378900.0


def write(directory: Path, document: dict[str, Any], **fields: Any) -> list[str]:
    """Write what a document with these fields reports; return what was told."""
    report = Report(str(ID), {**document, **fields})
    return write_textfile(str(directory), report, NOW)


def page(directory: Path) -> str:
    """Return what the only file says."""
    [file] = directory.iterdir()
    return file.read_text()
