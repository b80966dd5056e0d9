"""The files of contrib/prometheus: what promtool says of them, and that each alert is
tested both ways, tells where its runbook is, and has one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from doc_examples import DOCS, ROOT
from promtool import needs_promtool
from ruamel.yaml import YAML

from pushrelay.config import OWN_METRICS_PATH

HERE = ROOT / "contrib/prometheus"
RULES = sorted(HERE.glob("*.rules.yml"))
TESTS = sorted((HERE / "tests").glob("*.test.yml"))
SCRAPES = sorted(HERE.glob("scrape-*.yml"))
RUNBOOKS = (DOCS / "runbooks.md").read_text()
ANNOTATIONS = {"summary", "description", "runbook_url"}


@cache
def read(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def rules(kind: str) -> Iterator[dict[str, Any]]:
    """Yield all rules that have this key: alert or record."""
    for path in RULES:
        for group in read(path)["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


ALERTS = {rule["alert"]: rule for rule in rules("alert")}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the directory, with the token that scrape-token.yml has beside it."""
    copy = tmp_path_factory.mktemp("elsewhere") / "prometheus"
    shutil.copytree(HERE, copy)
    (copy / "pushrelay.token").write_text("prt_0")
    return copy


def promtool(directory: Path, *arguments: str) -> str:
    """Return what promtool prints, started elsewhere; it must find nothing wrong."""
    paths = [str(directory / argument) for argument in arguments[2:]]
    done = subprocess.run(
        ["promtool", *arguments[:2], *paths], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.system
@needs_promtool
def test_promtool_takes_all_rules(elsewhere: Path) -> None:
    told = promtool(elsewhere, "check", "rules", *[path.name for path in RULES])
    assert told.count("SUCCESS") == len(RULES) == 5


@pytest.mark.system
@needs_promtool
def test_the_tests_that_are_shipped_pass_wherever_the_directory_is(
    elsewhere: Path,
) -> None:
    tests = [f"tests/{path.name}" for path in TESTS]
    assert promtool(elsewhere, "test", "rules", *tests).count("SUCCESS") == len(TESTS)


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("path", SCRAPES, ids=lambda path: path.name)
def test_promtool_takes_each_scrape_configuration_where_it_is(
    elsewhere: Path, path: Path
) -> None:
    told = promtool(elsewhere, "check", "config", path.name)
    assert told.count("rules found") == len(read(path)["rule_files"])


# Scrape configurations --------------------------------------------------------------


@pytest.mark.parametrize("path", SCRAPES, ids=lambda path: path.name)
def test_a_scrape_configuration_has_all_rules_but_those_for_a_pushgateway(
    path: Path,
) -> None:
    named = {each.name for each in RULES} - {"pushgateway.rules.yml"}
    assert {*read(path)["rule_files"]} == named
    assert read(path)["alerting"]["alertmanagers"]


@pytest.mark.parametrize("path", SCRAPES, ids=lambda path: path.name)
def test_what_jobs_push_keeps_its_labels(path: Path) -> None:
    for job in read(path)["scrape_configs"]:
        own = job.get("metrics_path") == OWN_METRICS_PATH
        assert job.get("honor_labels", False) is not own
        # Alerts on relays go by these names.
        assert job["job_name"] == ("pushrelay-replicas" if own else "pushrelay")


# Alerts -----------------------------------------------------------------------------


def test_no_two_alerts_have_a_name() -> None:
    assert [name for name, n in names("alert").items() if n > 1] == []


def names(kind: str) -> Counter[str]:
    """Return how often each name is used."""
    return Counter(rule[kind] for rule in rules(kind))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == ANNOTATIONS
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    sections = re.findall(r"^## (.*)$", RUNBOOKS, re.MULTILINE)
    assert sorted(sections) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_has_all_that_one_looks_for_at_night(name: str) -> None:
    _, _, section = RUNBOOKS.partition(f"\n## {name}\n")
    section = section.partition("\n## ")[0]
    severity = ALERTS[name]["labels"]["severity"]
    assert section.startswith(f"\n`{severity}`. ")
    for word in ("First", "Usual causes", "Ends", "On purpose"):
        assert f"\n- **{word}**: " in section, word


def expected_alerts() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name that is asked for, and the alerts that should be, of all tests."""
    for path in TESTS:
        for test in read(path)["tests"]:
            for asked in test.get("alert_rule_test", ()):
                yield asked["alertname"], asked["exp_alerts"]


def test_each_alert_is_tested_firing_and_silent() -> None:
    fires = {name for name, alerts in expected_alerts() if alerts}
    silent = {name for name, alerts in expected_alerts() if not alerts}
    assert fires == silent == {*ALERTS}


def test_alerts_are_tested_with_all_that_they_say() -> None:
    for name, alerts in expected_alerts():
        for alert in alerts:
            assert alert["exp_annotations"].keys() == ANNOTATIONS, name
            severity = ALERTS[name]["labels"]["severity"]
            assert alert["exp_labels"]["severity"] == severity


# Recording rules --------------------------------------------------------------------


def test_records_are_named_as_prometheus_advises_and_tested() -> None:
    tested = " ".join(path.read_text() for path in TESTS)
    recorded = names("record")
    assert len(recorded) == 11
    for name, times in recorded.items():
        assert times == 1
        assert re.fullmatch(r"[a-z_]+:pushrelay_[a-z_]+:[a-z0-9_]+", name)
        assert name in tested


def test_no_alert_needs_a_record_of_another_file() -> None:
    for path in RULES:
        rules = [rule for group in read(path)["groups"] for rule in group["rules"]]
        here = {rule["record"] for rule in rules if "record" in rule}
        texts = " ".join(rule["expr"] for rule in rules if "alert" in rule)
        assert not [name for name in {*names("record")} - here if name in texts]


def test_alerts_look_back_for_days_where_that_is_cheap() -> None:
    # At 10,000 jobs, two weeks of one gauge of each take 20 s to read. These are few.
    few = {
        "ALERTS",
        "pushrelay_job_groups",
        "pushrelay_job_paused_until_timestamp_seconds",
    }
    windows = re.compile(r"([\w:]+)(?:\{[^}]*\})?\[\d+[dw]")
    long = {
        metric for rule in ALERTS.values() for metric in windows.findall(rule["expr"])
    }
    assert long == few
