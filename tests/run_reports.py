"""Run documents for tests, and how they are read there."""

from __future__ import annotations

import json
import uuid
from typing import Any

from hypothesis import strategies as st

from pushrelay.run_documents import parse_run
from pushrelay.runs import Report

SECOND = 10**9
ID = uuid.UUID("0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00")
NOW = 1795378900 * SECOND
START = {"job": "nightly", "state": "started", "started_at": 1795378800.25}
FINISH = {
    **START,
    "state": "finished",
    "finished_at": 1795378841.5,
    "outcome": "success",
}
FULL: dict[str, Any] = {
    **FINISH,
    "labels": {"instance": "db1"},
    "duration_seconds": 41.2,
    "exit_code": 0,
    "signal": None,
    "attempt": 2,
    "host": "db1",
    "trace_id": "4BF92F3577B34DA6A3CE929D0E0E4736",
    "usage": {
        "user_seconds": 12.1,
        "system_seconds": 0.8,
        "max_rss_bytes": 104857600,
        "block_reads": 12,
        "block_writes": 40,
        "voluntary_switches": 900,
        "involuntary_switches": 31,
    },
    "output_tail": {"stdout": "done\n", "stderr": ""},
    "metrics": "rows 5\n",
    "expectation": {"every": "1h", "max_runtime": "2h", "min_interval": "10m"},
}

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["started", "finished", "success", "1h", "0 3 * * *"]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters()), inner)
        | st.dictionaries(st.sampled_from([*FULL["usage"], "stdout", "every"]), inner)
    ),
)
DOCUMENTS = st.builds(
    lambda base, changes: {**base, **changes},
    st.sampled_from([{}, START, FINISH, FULL]),
    st.dictionaries(st.sampled_from([*FULL]) | st.text(st.characters()), _VALUES),
)
"""Any documents, many of them nearly those of runs."""


def parsed(document: object, *, utf8_names: bool = False) -> Report:
    """Return what is read from `document` at NOW."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_run(body, ID, NOW, utf8_names=utf8_names)
