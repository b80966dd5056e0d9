"""Tells node_exporter of runs, in files for its textfile collector.

A file holds the gauges of a job's last run, and the metrics that this run left. The
labels of the run are on each series; empty ones are left out, for they are as none.
node_exporter reads no names beyond the legacy ones, so that others are escaped.
"""

from __future__ import annotations

import os
import re
import time
from hashlib import sha256

from pushrelay.config import Limits
from pushrelay.errors import (
    InconsistentPush,
    InvalidLabels,
    LimitExceeded,
    ParseError,
    PushrelayError,
)
from pushrelay.exposition.escaping import Escaping, escape_label_name
from pushrelay.exposition.text_locations import locate, parse_text_with_lines
from pushrelay.exposition.text_parser import parse_text
from pushrelay.exposition.text_renderer import render_header, render_series
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import MetricFamily
from pushrelay.soundness import check_alone
from pushrelay.wrapper.gauges import (
    GAUGES,
    LAST_FINISH,
    Gauges,
    exposition,
    is_skipped,
    labels_of,
    metrics_of,
    news,
)
from pushrelay.wrapper.locking import locked
from pushrelay.wrapper.reading import read_file
from pushrelay.wrapper.replacing import replace_file
from pushrelay.wrapper.reports import Report

_READABLE_BY_ALL = 0o644
_ESCAPING = Escaping.UNDERSCORES
_LIMITS = Limits()
_NAME_CHARACTERS = 100
_HASH_CHARACTERS = 12
_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]+")
_LIKE_HASHED = re.compile(rf".*_[0-9a-f]{{{_HASH_CHARACTERS}}}", re.DOTALL)
_LONGEST_WAIT = 3.0
_IMPLIED = ("instance", "")


def write_textfile(
    directory: str, report: Report, now: float | None = None
) -> list[str]:
    """Let the file of the run's job and labels in `directory` tell of `report`, and
    return why metrics of the run were left out of it, as sentences.

    What is newer in the file stays, and so does the last success when a run fails. The
    metrics are those of the run that finished last: others do not stay. A run that was
    skipped changes nothing. now: Unix seconds, by default what the clock says.

    Processes that do so at once wait for each other, but for a few seconds at most, so
    that no other user can hold up a run by a lock on the directory.

    Raises OSError about the file, which is as it was then.
    """
    if is_skipped(report):
        return []
    key = _key_of(report)
    path = os.path.join(directory, file_name(key))
    left, told = _left_metrics(metrics_of(report).encode(), key)
    # node_exporter sees nothing of a lock on the directory, and needs none.
    with locked(directory, os.O_RDONLY | os.O_DIRECTORY, _LONGEST_WAIT):
        gauges, families = _read(path)
        changed = news(report, gauges, time.time() if now is None else now)
        is_last = LAST_FINISH in changed
        if changed:
            families = left if is_last else families
            content = _content({**gauges, **changed}, families, key)
            replace_file(path, content, _READABLE_BY_ALL, durable=True)
    return told if is_last else []


def file_name(key: GroupingKey) -> str:
    """Return the name of the file for the job and labels of `key`: the job's, and a
    hash of all labels where that does not tell all of them."""
    safe = _UNSAFE.sub("_", key.job)[:_NAME_CHARACTERS]
    if key.names == ("job",) and safe == key.job and not _LIKE_HASHED.fullmatch(safe):
        return f"pushrelay_{safe}.prom"
    digest = sha256(key.canonical).hexdigest()[:_HASH_CHARACTERS]
    return f"pushrelay_{safe}_{digest}.prom"


def parse_textfile(content: bytes) -> tuple[Gauges, list[MetricFamily]]:
    """Return the gauges and the other families of a file that was written before;
    nothing of what is none."""
    try:
        families = parse_text(content, None, _LIMITS)
    except PushrelayError:
        return {}, []
    ours = {
        family.name: metric.value
        for family in families
        for metric in family.metrics
        if family.name in GAUGES and isinstance(metric.value, float)
    }
    others = [family for family in families if family.name not in GAUGES]
    return ours, _without_implied(others)


def _key_of(report: Report) -> GroupingKey:
    labels = labels_of(report)
    return GroupingKey.of(
        {
            escape_label_name(name, _ESCAPING): value
            for name, value in labels.items()
            if value or name == "job"
        }
    )


def _read(path: str) -> tuple[Gauges, list[MetricFamily]]:
    try:
        return parse_textfile(read_file(path, _LIMITS.rendered_bytes))
    except (FileNotFoundError, ValueError):
        return {}, []


def _left_metrics(
    body: bytes, key: GroupingKey
) -> tuple[list[MetricFamily], list[str]]:
    """Return the families that a run left, or none and what is wrong with them."""
    try:
        families, _ = parse_text_with_lines(body, key, _LIMITS)
        check_alone(families, key)
        return _without_implied(families), []
    except ParseError as error:
        problem = str(error)  # it tells its line
    except InconsistentPush as refusal:
        [found] = locate(refusal.problems[:1], body, key, _LIMITS)
        problem = f"line {found.line}: {found.detail}"
    except (InvalidLabels, LimitExceeded) as error:
        problem = f"line {error.line}: {error}"
    return [], [f"metrics of the run were left out: {problem}"]


def _without_implied(families: list[MetricFamily]) -> list[MetricFamily]:
    for family in families:
        for metric in family.metrics:
            if _IMPLIED in metric.labels:
                pairs = [pair for pair in metric.labels if pair != _IMPLIED]
                metric.labels = tuple(pairs)
    return families


def _content(gauges: Gauges, families: list[MetricFamily], key: GroupingKey) -> bytes:
    known = {name: value for name, value in gauges.items() if value is not None}
    parts = [exposition(known, sorted(key.labels)).encode()]
    for family in families:
        parts.append(render_header(family.name, family.type, family.help, _ESCAPING))
        parts += render_series(family, _ESCAPING)
    return b"".join(parts)
