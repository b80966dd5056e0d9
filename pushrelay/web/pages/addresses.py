"""Where pages are, from any other page: all are on one level."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from pushrelay.board_rows import BoardRow
from pushrelay.grouping_key import GroupingKey
from pushrelay.web.pages.keys import written_key


def job_address(job: str, instance: str | None = None, **more: str) -> str:
    """Return that of a job, or of its `instance`."""
    asked = {"job": job}
    if instance is not None:
        asked["instance"] = instance
    return "./job?" + urlencode({**asked, **more})


def row_size(row: BoardRow) -> int:
    """Return how much a page takes to lead to the job and the instance of `row`."""
    return len(job_address(row.job, row.instance))


def run_address(id_: bytes) -> str:
    """Return that of the run with this id."""
    return f"./run?id={uuid.UUID(bytes=id_)}"


def group_address(key: GroupingKey) -> str:
    """Return that of a group."""
    return f"./group?key={written_key(key)}"
