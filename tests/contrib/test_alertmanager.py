"""The routing of contrib/alertmanager, as amtool and the real Alertmanager read it, and
the alerts that it names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from alertmanager_process import Alertmanager
from doc_examples import ROOT
from promtool import alerts_in
from ruamel.yaml import YAML

HERE = ROOT / "contrib/alertmanager"
TEXT = (HERE / "alertmanager.yml").read_text()
ROUTING = YAML(typ="safe").load(TEXT)
RULES = {path.name: path.read_text() for path in ROOT.glob("contrib/*/*.rules.yml")}
README = (HERE / "README.md").read_text()

needs_amtool = pytest.mark.skipif(not shutil.which("amtool"), reason="no amtool")


def amtool(*arguments: object) -> str:
    """Return what amtool says; it must be content."""
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names_in(matchers: list[str]) -> set[str]:
    """Return the alerts that `matchers` are about."""
    [matcher] = matchers
    found = re.fullmatch(r'alertname=~?"?([\w|]+)"?', matcher)
    assert found, matcher
    return set(found[1].split("|"))


def test_all_alerts_that_are_held_back_or_hold_back_are_in_the_rules() -> None:
    known = {name for rules in RULES.values() for name in alerts_in(rules)}
    for rule in ROUTING["inhibit_rules"]:
        assert names_in(rule["source_matchers"]) <= known
        assert names_in(rule["target_matchers"]) <= known


def test_without_a_relay_all_alerts_on_jobs_are_held_back() -> None:
    [rule] = [
        rule
        for rule in ROUTING["inhibit_rules"]
        if names_in(rule["source_matchers"]) == {"PushrelayDown"}
    ]
    on_jobs = alerts_in(RULES["runs.rules.yml"]) | alerts_in(RULES["groups.rules.yml"])
    assert names_in(rule["target_matchers"]) == on_jobs


def test_there_is_a_route_for_the_severity_of_each_alert() -> None:
    given = re.findall(r"severity: (\w+)", "".join(RULES.values()))
    routed = re.findall(r'severity="(\w+)"', TEXT)
    assert {*given} == {*routed}


@pytest.mark.system
@needs_amtool
def test_alertmanager_takes_the_file() -> None:
    assert "SUCCESS" in amtool("check-config", HERE / "alertmanager.yml")


@pytest.mark.system
@needs_amtool
def test_alertmanager_takes_it_with_the_receivers_of_the_readme(tmp_path: Path) -> None:
    [receivers] = re.findall(r"```yaml\n(receivers:.*?)```", README, re.DOTALL)
    file = tmp_path / "alertmanager.yml"
    file.write_text(TEXT.partition("\nreceivers:")[0] + f"\n{receivers}")
    assert "2 receivers" in amtool("check-config", file)


@pytest.mark.system
@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=JobOverdue", "severity=page", "job=a"], "pages"),
        (["alertname=JobFailed", "severity=ticket", "job=a"], "tickets"),
        (["alertname=PushrelayDown", "severity=page"], "pages"),
        (["alertname=PushrelayNearLimit", "severity=ticket"], "tickets"),
        (["alertname=Mine", "severity=critical"], "tickets"),
        (["alertname=Mine"], "tickets"),
    ],
)
def test_an_alert_goes_where_its_severity_says(
    labels: list[str], receiver: str
) -> None:
    file = f"--config.file={HERE / 'alertmanager.yml'}"
    assert amtool("config", "routes", "test", file, *labels) == f"{receiver}\n"


# What holds back what ---------------------------------------------------------------

ON_A = {"job": "a", "instance": "db1"}
ON_B = {"job": "b", "instance": "db1"}
ON_DB2 = {"job": "a", "instance": "db2"}
RELAY = {"job": "pushrelay", "instance": "relay:9091"}

HELD_BACK = [
    ("PushrelayDown", RELAY, "JobOverlaps", ON_A, True),
    ("PushrelayDown", RELAY, "GroupStale", ON_A, True),
    ("PushrelayDown", RELAY, "PushrelayNearLimit", {}, False),
    ("PushrelayDown", RELAY, "NodeDown", {"job": "node"}, False),
    ("PushrelayReplicaDown", RELAY, "JobOverdue", {"job": "a"}, False),
    ("PushrelayStoreDown", RELAY, "JobOverdue", {"job": "a"}, True),
    ("PushrelayStoreDown", RELAY, "JobAbandoned", ON_A, True),
    ("PushrelayStoreDown", RELAY, "JobFailing", ON_A, False),
    ("JobFailing", ON_A, "JobFailed", ON_A, True),
    ("JobFailing", ON_A, "JobFailed", ON_DB2, False),
    ("JobFailing", ON_A, "JobKilled", ON_A, False),
    ("JobFailed", ON_A, "JobFailing", ON_A, False),
    ("JobNoSuccess", {"job": "a"}, "JobFailed", ON_A, True),
    ("JobOverdue", {"job": "a"}, "GroupStale", ON_A, True),
    ("JobOverdue", {"job": "a"}, "GroupStale", ON_B, False),
    ("JobOverdue", {"job": "a"}, "EphemeralJobSilent", {"job": "a"}, True),
    ("JobOverdue", {"job": "a"}, "JobFailed", ON_A, False),
]


@pytest.fixture(scope="module")
def held_back(tmp_path_factory: pytest.TempPathFactory) -> list[bool]:
    """Whether the second alert of each case is held back, each in a cluster alone."""
    if Alertmanager.executable is None:
        pytest.skip("there is no prometheus-alertmanager")
    alerts: list[dict[str, Any]] = [
        {"labels": {"alertname": name, "cluster": str(number), **labels}}
        for number, (source, on, target, of, _) in enumerate(HELD_BACK)
        for name, labels in ((source, on), (target, of))
    ]
    with Alertmanager(tmp_path_factory.mktemp("alertmanager"), TEXT) as alertmanager:
        as_json = {"Content-Type": "application/json"}
        taken = alertmanager.post("/api/v2/alerts", json.dumps(alerts), as_json)
        assert taken.status == 200, taken.text
        states = {
            (labels["cluster"], labels["alertname"]): alert["status"]["state"]
            for alert in alertmanager.alerts()
            for labels in [alert["labels"]]
        }
    return [
        states[str(number), target] == "suppressed"
        for number, (_, _, target, _, _) in enumerate(HELD_BACK)
    ]


@pytest.mark.system
@pytest.mark.parametrize("number", range(len(HELD_BACK)))
def test_an_alert_is_held_back_by_another_one(
    held_back: list[bool], number: int
) -> None:
    *_, expected = HELD_BACK[number]
    assert held_back[number] is expected, HELD_BACK[number]
