"""The dashboards of contrib/grafana as files: what is on them and how it is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dashboards import (
    ALL_QUERIES,
    FILES,
    GRAFANA,
    SCRAPE_JOBS,
    chosen,
    panels_of,
    queries_of,
    read,
    states_of,
    variables_of,
)
from doc_examples import ROOT
from exposed import LABELS, exposed
from promtool import accepted, needs_promtool
from ruamel.yaml import YAML

from pushrelay.board_rows import RowState

JOBS, RELAY = (GRAFANA / "dashboards" / name for name in ("jobs.json", "relay.json"))
BUILT_IN = {"bargauge", "heatmap", "row", "stat", "state-timeline", "table"}
BUILT_IN |= {"timeseries"}
UNITS = {"none", "short", "s", "h", "bytes", "percentunit", "reqps", "ops"}
UNITS |= {"dateTimeFromNow"}
_BOARDS = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def yaml_of(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


# As files ---------------------------------------------------------------------------


@_BOARDS
def test_a_dashboard_is_written_so_that_changes_are_small(path: Path) -> None:
    written = json.dumps(read(path), indent=2, ensure_ascii=False) + "\n"
    assert path.read_text() == written


def test_dashboards_have_fixed_ids_of_their_own() -> None:
    boards = [read(path) for path in FILES]
    assert {board["uid"] for board in boards} == {"pushrelay-jobs", "pushrelay-relay"}
    assert all(board["id"] is None for board in boards)
    assert len({board["title"] for board in boards}) == len(boards)


@_BOARDS
def test_panels_have_ids_of_their_own_and_places_that_do_not_overlap(
    path: Path,
) -> None:
    panels = read(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        across = range(place["x"], place["x"] + place["w"])
        down = range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in across for y in down}
        assert min(across) >= 0
        assert max(across) < 24
        assert not cells & taken
        taken |= cells
    # No line is left empty, and none is full in part.
    assert len(taken) == 24 * (max(y for _, y in taken) + 1)


@_BOARDS
def test_panels_are_of_grafana_itself_and_say_what_they_show(path: Path) -> None:
    assert {panel["type"] for panel in read(path)["panels"]} <= BUILT_IN
    panels = panels_of(read(path))
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        shown = panel["fieldConfig"]
        units = [shown["defaults"]["unit"]] + [
            each["value"]
            for override in shown["overrides"]
            for each in override["properties"]
            if each["id"] == "unit"
        ]
        assert {*units} <= UNITS, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted({*references}), panel["title"]


@_BOARDS
def test_the_data_source_is_a_variable_everywhere(path: Path) -> None:
    board = read(path)
    source = variables_of(board)["datasource"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    ours = {"type": "prometheus", "uid": "${datasource}"}
    others = [each for each in variables_of(board).values() if each["type"] == "query"]
    asking = [*panels_of(board), *others, *board["annotations"]["list"]]
    assert all(each["datasource"] == ours for each in asking)
    assert path.read_text().count('"uid"') == len(asking) + 1


@_BOARDS
def test_every_variable_is_used_and_no_other(path: Path) -> None:
    text = re.sub(r"\$\{__(?:value|field|data)\.[^}]*\}", "", path.read_text())
    used = {a or b for a, b in re.findall(r"\$(?:([a-z_]+)|\{(\w+)\})", text)}
    assert {name for name in used if not name.startswith("__")} == {
        *variables_of(read(path))
    }


def test_columns_are_named_and_looked_after_by_the_names_that_they_get() -> None:
    for panel in [panel for path in FILES for panel in panels_of(read(path))]:
        if panel["type"] != "table":
            continue
        organized = panel["transformations"][-1]["options"]
        names = {*organized["renameByName"].values()}
        values = {name for name in organized["renameByName"] if "Value" in name}
        references = [target["refId"] for target in panel["targets"]]
        several = {f"Value #{reference}" for reference in references}
        assert values == (several if len(references) > 1 else {"Value"})
        assert organized["indexByName"].keys() == organized["renameByName"].keys()
        styled = [each["matcher"] for each in panel["fieldConfig"]["overrides"]]
        assert {each["options"] for each in styled} <= names
        assert {each["displayName"] for each in panel["options"]["sortBy"]} <= names


def test_states_are_those_of_the_board_in_its_order() -> None:
    numbered = states_of(read(JOBS))
    worst_first = [numbered[number] for number in sorted(numbered, reverse=True)]
    assert worst_first == [state.value for state in RowState]


def test_all_tell_states_by_the_same_rules() -> None:
    texts = [query.text for query in queries_of(JOBS) if "abandoned" in query.text]
    around = r"^count\(\(\n|\n\) == \d\) or vector\(0\)$|^topk\(30, |(?<=\))\)$"
    rules = {re.sub(around, "", text).replace("$shown", "$job") for text in texts}
    assert len(texts) == len(RowState) + 3
    assert len({text.replace("\n", " ") for text in rules}) == 1
    tiles = re.findall(r"\) == (\d)\) or", " ".join(texts))
    named = [states_of(read(JOBS))[int(number)] for number in tiles]
    assert named == [panel["title"].lower() for panel in panels_of(read(JOBS))[:8]]


def test_what_has_a_line_for_each_job_is_about_some() -> None:
    """Of 10,000 jobs, Prometheus answers too late, and nobody sees 10,000 lines."""
    for query in queries_of(JOBS):
        labels = query.target.get("legendFormat") or query.target.get("titleFormat", "")
        if "{{job}}" in labels and not query.is_instant:
            seldom = ("changes(", "overlaps_total", "early_runs_total", "job_groups")
            few = "$shown" in query.text or any(word in query.text for word in seldom)
            assert few, query


def test_a_timeline_tells_states_by_their_names_and_not_by_thresholds() -> None:
    panels = [panel for path in FILES for panel in panels_of(read(path))]
    lines = [panel for panel in panels if panel["type"] == "state-timeline"]
    assert len(lines) == 2
    for shown in (line["fieldConfig"]["defaults"] for line in lines):
        assert shown["mappings"]
        assert shown["color"]["mode"] == "fixed"


def test_a_job_leads_to_its_page_on_the_relay() -> None:
    table = next(panel for panel in panels_of(read(JOBS)) if panel["type"] == "table")
    [url] = re.findall(r'"url": "([^"]*)"', json.dumps(table))
    assert url == "${relay}/job?job=${__value.raw:percentencode}"


# Provisioning -----------------------------------------------------------------------


def test_grafana_is_told_where_the_dashboards_are() -> None:
    provisioned = "contrib/grafana/provisioning"
    [provider] = yaml_of(f"{provisioned}/dashboards/pushrelay.yml")["providers"]
    [source] = yaml_of(f"{provisioned}/datasources/prometheus.yml")["datasources"]
    grafana = yaml_of("contrib/compose/compose.yaml")["services"]["grafana"]
    mounted = dict(mount.split(":")[:2] for mount in grafana["volumes"][:2])
    assert mounted == {
        "../grafana/provisioning": "/etc/grafana/provisioning",
        "../grafana/dashboards": provider["options"]["path"],
    }
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["url"] == "http://prometheus:9090"


def test_the_scrape_jobs_of_the_examples_are_found() -> None:
    wanted = re.compile(variables_of(read(RELAY))["scrape"]["regex"].strip("/"))
    files = (ROOT / "contrib").glob("*/*.yml")
    texts = [text for file in files if "scrape_configs:" in (text := file.read_text())]
    names = set(re.findall(r"job_name: (.*)", " ".join(texts)))
    assert {name for name in names if wanted.search(name)} == {*SCRAPE_JOBS}
    assert names - {*SCRAPE_JOBS} <= {"haproxy"}


# What is asked ----------------------------------------------------------------------


@pytest.mark.system
@needs_promtool
def test_prometheus_understands_all_queries(tmp_path: Path) -> None:
    some = chosen(job=["a", "b (c)"], instance=["db1:80"], scrape=["x"])
    asked = [query.asked(each) for query in ALL_QUERIES for each in (chosen(), some)]
    assert len(asked) > 150
    assert accepted(asked, tmp_path) == asked


def test_metrics_and_labels_that_are_named_exist() -> None:
    names = {*exposed(), "up", "scrape_duration_seconds", "scrape_samples_scraped"}
    for query in ALL_QUERIES:
        text = re.sub(r'"[^"]*"', "", query.text)
        metrics = re.findall(r"\b(?:up|(?:push|process|scrape)\w*_\w+)\b", text)
        assert metrics, query
        assert {*metrics} <= names, query
        grouped = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", text)
        labels = {*re.findall(r"\w+", " ".join(grouped))}
        shown = " ".join(
            query.target.get(name, "")
            for name in ("legendFormat", "titleFormat", "textFormat", "tagKeys")
        )
        labels |= {*re.findall(r"\{\{(\w+)\}\}", shown)}
        assert labels - {"pushed"} <= LABELS, query


def test_a_legend_has_labels_that_the_query_keeps() -> None:
    for query in ALL_QUERIES:
        kept = re.match(r"(?:sum|max|min|count|group) by \(([^)]*)\)", query.text)
        if kept and query.target.get("legendFormat"):
            shown = re.findall(r"\{\{(\w+)\}\}", query.target["legendFormat"])
            assert {*shown} <= {*kept[1].split(", ")}, query
