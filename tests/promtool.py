"""What the real parser of PromQL says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)


def accepted(expressions: list[str], directory: Path) -> list[str]:
    """Return those of `expressions` that promtool can parse."""
    rules = [
        {"record": f"r{number}", "expr": expression}
        for number, expression in enumerate(expressions)
    ]
    groups = {"groups": [{"name": "g", "rules": rules}]}
    file = directory / "rules.yml"
    file.write_text(json.dumps(groups, ensure_ascii=False))
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True
    )
    refused = re.findall(r', "r(\d+)": could not parse expression: ', done.stderr)
    assert len(refused) == done.stderr.count(str(file)), done.stderr
    return [
        expression
        for number, expression in enumerate(expressions)
        if str(number) not in refused
    ]


Firing = Mapping[tuple[str, str | None], list[tuple[float, float]]]
"""When alerts fire: by name and job, from and until which hours."""

_WHO_FIRES = 'group by (alertname, job) (ALERTS{alertstate="firing"})'


def alerts_in(rules: str) -> set[str]:
    """Return the names of the alerts that `rules`, as YAML, are about."""
    return set(re.findall(r"alert: (\w+)", rules))


def together(*rules: str) -> str:
    """Return the groups of all of these `rules`, as YAML, as one file has them."""
    return "groups:\n" + "".join(text.partition("groups:\n")[2] for text in rules)


def assert_alerts(
    rules: str,
    firing: Firing,
    scrapes: list[dict[str, float]],
    step: float,
    directory: Path,
) -> None:
    """Let promtool evaluate `rules`, as YAML, over `scrapes`, which are `step` hours
    apart, and see that alerts fire as `firing` says, around each change and between."""
    rule_file = directory / "rules.yml"
    rule_file.write_text(rules)
    interval, hours = f"{step * 60:.0f}m", len(scrapes) * step
    turns = {turn for spans in firing.values() for span in spans for turn in span}
    moments = {turn - step for turn in turns} | turns | set(range(0, int(hours), 6))
    tests = {
        "rule_files": [str(rule_file)],
        "evaluation_interval": interval,
        "tests": [
            {
                "interval": interval,
                "input_series": _input_series(scrapes),
                "promql_expr_test": [
                    {
                        "expr": _WHO_FIRES,
                        "eval_time": f"{moment * 60:.0f}m",
                        "exp_samples": _expected_at(moment, firing),
                    }
                    for moment in sorted(moments - {hours})
                ],
            }
        ],
    }
    file = directory / "tests.yml"
    file.write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _expected_at(hour: float, firing: Firing) -> list[dict[str, object]]:
    """Return the samples of who should be firing."""
    names = [
        (alert, f',job="{job}"' if job else "")
        for (alert, job), spans in firing.items()
        if any(since <= hour < until for since, until in spans)
    ]
    return [
        {"labels": f'{{alertname="{alert}"{of_job}}}', "value": 1}
        for alert, of_job in names
    ]


def _input_series(scrapes: list[dict[str, float]]) -> list[dict[str, str]]:
    """Return the series as promtool reads them: what vanishes ends with a mark."""
    found = []
    for series in {series for scrape in scrapes for series in scrape}:
        values, before = [], False
        for scrape in scrapes:
            missing = "stale" if before else "_"
            values.append(repr(scrape[series]) if series in scrape else missing)
            before = series in scrape
        found.append({"series": series, "values": " ".join(values)})
    return found
