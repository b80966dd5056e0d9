from __future__ import annotations

from datetime import UTC
from typing import Any

import click
import pytest
from canned_runs import FULL, ID, NOW, started

from pushrelay.cli.run_details import details


def test_one_run_with_all_its_fields() -> None:
    lines = details(FULL, (NOW + 7200) * 10**9, UTC)
    assert click.unstyle("\n".join(lines)) == (
        f"run        {ID.format(0)}\n"
        'job        {job="backup",instance="db1"}\n'
        "outcome    failure\n"
        "started    2023-11-14 22:13:20, 2h ago\n"
        "finished   2023-11-14 22:14:01, 1h59m ago\n"
        "duration   41.2s\n"
        "exit code  3\n"
        "attempt    2\n"
        "host       db1\n"
        "trace      0af7651916cd43dd8448eb211c80319c\n"
        "CPU time   12.1s user, 800ms system\n"
        "memory     100 MiB at most\n"
        "blocks     12 read, 40 written\n"
        "switches   900 voluntary\n"
        "expected   min interval 1h\n"
        "\n"
        "problems of its metrics:\n"
        "  line 3: what is this?\n"
        "\n"
        "end of its standard output:\n"
        "  a\n"
        "          bred\n"
        "  \n"
        "\n"
        "end of its standard error:\n"
        "  oh?"
    )


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, True),
        ({"outcome": "signal"}, True),
        ({"outcome": "timeout"}, True),
        ({"output_tail": {"stdout": "", "stderr": ""}}, False),
        ({"outcome": "success"}, False),
        ({"outcome": "skipped"}, False),
        ({"state": "started", "abandoned": True}, False),
        ({"usage": None}, False),
    ],
)
def test_how_to_see_the_output_of_what_failed_is_told(
    changes: dict[str, Any], is_told: bool
) -> None:
    run = {**FULL, "output_tail": None, **changes}
    lines = [click.unstyle(each) for each in details(run, NOW * 10**9, UTC)]
    told = "output     not reported; --output-tail 10kB takes it along"
    assert (told in lines) is is_told


def test_a_run_of_which_little_is_known_is_short() -> None:
    lines = [click.unstyle(each) for each in details(started(), NOW * 10**9, UTC)]
    assert [each.split()[0] for each in lines] == [
        *("run", "job", "outcome", "started", "attempt", "host")
    ]
    assert lines[2].split() == ["outcome", "running"]
