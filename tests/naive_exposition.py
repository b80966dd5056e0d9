"""What scrapes must show, from the rows of a database by the shortest way."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import Any

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.evidence import evidence_family, evidence_of
from pushrelay.exposition.protobuf_encoder import encode_header, encode_metrics
from pushrelay.exposition.protobuf_wire import split_delimited
from pushrelay.exposition.stored import from_stored
from pushrelay.exposition.text_renderer import (
    exposition_order,
    render_header,
    render_series,
)
from pushrelay.freshness import Policy, standing_of
from pushrelay.groups import Group, StoredFamily
from pushrelay.model import MetricFamily
from pushrelay.store.group_rows import from_row
from pushrelay.telemetry import OWN_FAMILIES
from pushrelay.web.query_api import _document

OWN_HELPS = {family.name: family.help for family in OWN_FAMILIES}
"""Help texts of the relay's own families. They win over pushed ones."""

_BLOCK = re.compile(
    r'((?:# HELP .*\n)?# TYPE ("(?:[^"\\]|\\.)*"|\S+) .*\n)((?:[^#].*\n)*)'
)
# The relay's own series may name a job, but never an instance.
_OF_A_GROUP = re.compile(r'[{,]instance="')


def stored_groups(database: Path) -> list[Group]:
    """Return all groups as they are now, in the order in which they are shown."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM groups").fetchall()
    found = [from_row(dict(row)) for row in rows]
    groups = [standing_now(group) for group in found if isinstance(group, Group)]
    return sorted(groups, key=attrgetter("key.canonical"))


def standing_now(group: Group) -> Group:
    """Return `group` with its standing, if its last push gave it a policy."""
    if group.stale_after is None:
        return group
    policy, never = Policy(group.stale_after), lambda _: False
    return group.with_standing(standing_of(policy, group.times, never, time.time_ns()))


class NaiveExposition:
    """The exposition of `groups`, which are in order, in all formats."""

    def __init__(self, groups: Iterable[Group]) -> None:
        held: dict[str, list[StoredFamily]] = {}
        shown: dict[str, list[StoredFamily]] = {}
        for group in groups:
            evidence = [evidence_family(group, name) for name in evidence_of(group)]
            for family in (*group.families.values(), *evidence):
                held.setdefault(family.name, []).append(family)
                if family.name not in group.withheld:
                    shown.setdefault(family.name, []).append(family)
        self._families = [
            _joined(name, held[name], families)
            for name, families in sorted(shown.items())
        ]

    def text(self, escaping: Escaping) -> list[str]:
        """Return the families in the text format."""
        return [
            b"".join(
                (
                    render_header(whole.name, whole.type, whole.help, escaping),
                    *(line for part in parts for line in render_series(part, escaping)),
                )
            ).decode()
            for whole, parts in self._families
            if any(part.metrics for part in parts)
        ]

    def messages(self, escaping: Escaping) -> list[pb.MetricFamily]:
        """Return the families as protobuf messages."""
        messages = [
            b"".join(
                (
                    encode_header(whole.name, whole.type, whole.help, escaping),
                    *(encode_metrics(part, escaping) for part in parts),
                )
            )
            for whole, parts in self._families
            if any(part.metrics for part in parts)
        ]
        return _without_own(messages)


def document_of(groups: list[Group]) -> list[Any]:
    """Return what the query API answers, which goes by the groups one by one."""
    found: list[Any] = json.loads("".join(_document(groups)))["data"]
    return found


def text_without_own(page: bytes) -> list[str]:
    """Return the families of a page in the text format, without what the relay says
    of itself."""
    text, shown, end = page.decode(), [], 0
    for block in _BLOCK.finditer(text):
        assert block.start() == end, f"no family: {text[end : block.start()]!r}"
        end = block.end()
        header, name, lines = block.groups()
        if name in OWN_HELPS:
            pushed = [
                line for line in lines.splitlines(True) if _OF_A_GROUP.search(line)
            ]
            if not pushed:
                continue
            lines = "".join(pushed)
        shown.append(header + lines)
    assert end == len(text), f"no family: {text[end:]!r}"
    return shown


def messages_without_own(page: bytes) -> list[pb.MetricFamily]:
    """Return the messages of a delimited page, without what the relay says of
    itself."""
    return _without_own(split_delimited(page))


def inflated(body: bytes) -> bytes:
    """Return what is in the one gzip member that `body` is."""
    stream = zlib.decompressobj(31)
    data = stream.decompress(body)
    assert stream.eof, "the gzip member has no end"
    assert not stream.unused_data, "there is something behind the gzip member"
    return data


def _joined(
    name: str, stored: list[StoredFamily], shown: list[StoredFamily]
) -> tuple[MetricFamily, list[MetricFamily]]:
    """Return what is said of a family once, and what each group shows of it."""
    types = {family.type for family in stored}
    assert len(types) == 1, f"{name} is stored with several types: {types}"
    parts = [from_stored(family, pushed_order=False) for family in shown]
    for part in parts:
        in_order = list(range(len(part.metrics)))
        assert exposition_order(part.metrics) == in_order, f"out of order: {part}"
    return MetricFamily(name, types.pop(), _help(name, stored)), parts


def _help(name: str, families: list[StoredFamily]) -> str:
    helps = Counter(family.help for family in families if family.help)
    if name in OWN_HELPS or not helps:
        return OWN_HELPS.get(name, "")
    return max(helps, key=lambda text: (helps[text], text))


def _without_own(messages: Iterable[bytes]) -> list[pb.MetricFamily]:
    found = []
    for family in map(pb.MetricFamily.FromString, messages):
        if family.name.decode() in OWN_HELPS:
            pushed = [m for m in family.metric if "instance" in _label_names(m)]
            if not pushed:
                continue
            del family.metric[:]
            family.metric.extend(pushed)
        found.append(family)
    return found


def _label_names(metric: pb.Metric) -> set[str]:
    return {label.name.decode() for label in metric.label}
