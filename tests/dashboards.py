"""Dashboards of Grafana as files: what is on them, and what they ask Prometheus.

Grafana's variables are put in as Grafana does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from doc_examples import ROOT

GRAFANA = ROOT / "contrib/grafana"
FILES = tuple(sorted((GRAFANA / "dashboards").glob("*.json")))

_SPECIAL = re.compile(r"[\\$^*{}\[\]+?.()|]")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_LOOKUP = re.compile(r"(label_values|query_result)\((.*)\)")  # all in one line

SCRAPE_JOBS = ["pushrelay", "pushrelay-replicas"]
"""The jobs that scrape relays, as the examples of configurations name them."""

HOUR_SEEN = 6
"""So many seconds of Prometheus stand for an hour, and hold some scrapes even if the
machine is busy."""

Chosen = Mapping[str, str | list[str]]
"""Values of variables: text as it is, or values that are to match."""


@dataclass(frozen=True)
class Query:
    """What is asked at some place of the dashboard `board`. is_instant: of one moment.
    panel: the panel, the variable or the annotation. target: with the legend."""

    board: str
    place: str
    text: str
    is_instant: bool
    panel: dict[str, Any]
    target: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.board}: {self.place}"

    def asked(self, chosen: Chosen) -> str:
        """Return the expression that Prometheus gets."""
        return _VARIABLE.sub(lambda found: _value(found, chosen), self.text)


def _value(found: re.Match[str], chosen: Chosen) -> str:
    name = found[1] or found[2]
    if name.isdigit():
        return found[0]  # of label_replace
    value = chosen[name]
    if isinstance(value, str):
        return value
    escaped = [_SPECIAL.sub(r"\\\\\g<0>", each) for each in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def chosen(seconds: int = 15, /, **more: str | list[str]) -> Chosen:
    """Return the values of variables when all is chosen. seconds: that are shown."""
    return {
        "__interval": f"{HOUR_SEEN}s",
        "__rate_interval": "10s",
        "__range": f"{seconds}s",
        "job": ".*",
        "instance": ".*",
        "shown": ".*",
        "scrape": SCRAPE_JOBS,
        **more,
    }


@cache
def read(path: Path) -> dict[str, Any]:
    """Return the dashboard in a file."""
    board: dict[str, Any] = json.loads(path.read_text())
    return board


def panels_of(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables_of(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables by name."""
    return {each["name"]: each for each in board["templating"]["list"]}


def queries_of(path: Path) -> Iterator[Query]:
    """Yield all that a dashboard asks: by panels, variables and annotations."""
    board, name = read(path), path.stem
    for panel in panels_of(board):
        for target in panel["targets"]:
            place = f"{panel['title']}, {target['refId']}"
            yield Query(name, place, target["expr"], target["instant"], panel, target)
    for each in variables_of(board).values():
        if each["type"] == "query":
            text = _looked_up(each["query"]["query"])
            yield Query(name, f"variable {each['name']}", text, True, each, {})
    for each in board["annotations"]["list"]:
        yield Query(name, f"annotation {each['name']}", each["expr"], False, each, each)


def _looked_up(query: str) -> str:
    """Return the expression whose series have what a variable looks up."""
    found = _LOOKUP.fullmatch(query)
    assert found, query
    if found[1] == "query_result":
        return found[2]
    metric, _, label = found[2].rpartition(",")
    return f"group by ({label.strip()}) ({metric})"


ALL_QUERIES = [query for path in FILES for query in queries_of(path)]


def states_of(board: dict[str, Any]) -> dict[int, str]:
    """Return the states that the first table tells apart, by their numbers."""
    table = next(panel for panel in board["panels"] if panel["type"] == "table")
    [state] = [
        each
        for each in table["fieldConfig"]["overrides"]
        if each["matcher"]["options"] == "State"
    ]
    [mappings] = [
        each["value"] for each in state["properties"] if each["id"] == "mappings"
    ]
    [mapping] = mappings
    return {int(code): shown["text"] for code, shown in mapping["options"].items()}
