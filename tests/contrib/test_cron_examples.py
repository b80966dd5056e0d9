"""The examples of contrib/cron are crontabs, and say what `pushrelay crontab` does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pushrelay.crontab import adopt
from pushrelay.wrapper.command_line import read_command_line

CRON = Path(__file__).parents[2] / "contrib/cron"


@pytest.mark.parametrize(
    ("name", "system", "without"),
    [("crontab", False, 1), ("pushrelay.cron.d", True, 0)],
)
def test_the_lines_are_understood(name: str, system: bool, without: int) -> None:
    text = (CRON / name).read_text()
    after, remarks = adopt(text, system=system)
    assert not remarks
    # All are behind pushrelay exec but those that show how to do without it.
    changed = [
        line
        for line, now in zip(text.split("\n"), after.split("\n"), strict=True)
        if line != now
    ]
    assert len(changed) == without
    assert all("pushrelay_run" in line for line in changed)


def test_exec_takes_the_options_of_the_lines() -> None:
    pages = [(CRON / name).read_text() for name in ("crontab", "pushrelay.cron.d")]
    lines = re.findall(r"^[0-9*@].* exec (-.*)", "\n".join(pages), re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        assert read_command_line(shlex.split(line), {})


def test_the_schedules_are_those_of_the_lines() -> None:
    text = (CRON / "crontab").read_text() + (CRON / "pushrelay.cron.d").read_text()
    for line in re.findall(r"^[0-9*].*--schedule.*", text, re.MULTILINE):
        [schedule] = re.findall("--schedule '([^']*)'", line)
        assert line.startswith(schedule + " ")


def test_the_example_is_what_becomes_of_a_crontab() -> None:
    _, _, section = (CRON / "README.md").read_text().partition("## All of a crontab")
    section = section.partition("\n## ")[0]
    before, after = re.findall(r"\n\n```crontab\n(.*?)```", section, re.DOTALL)
    assert adopt(before) == (after, [])
