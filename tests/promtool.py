"""What the real parser of PromQL says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
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
