"""The docs name all series, states and expectations of runs, and no other."""

from __future__ import annotations

from dataclasses import fields

import pytest
from doc_examples import code_words, table

from pushrelay.exposition.run_families import RUN_TYPES
from pushrelay.run_states import State
from pushrelay.schedule import Expectation


def test_every_series_about_runs_is_documented() -> None:
    shown = table("runs.md", "## What is shown of runs")
    shown += [
        [cell, "gauge"] for cell, _ in table("runs.md", "or for each of its instances:")
    ]
    documented = {
        f"pushrelay_job_{name.partition('{')[0]}": type_
        for cell, type_, *_ in shown
        for name in code_words(cell)
    }
    assert documented == {name: t.name.lower() for name, t in RUN_TYPES.items()}


def test_what_may_be_expected_is_documented() -> None:
    rows = table("runs.md", "## What is expected")
    documented = [word for row in rows for word in code_words(row[0])]
    assert sorted(documented) == sorted(field.name for field in fields(Expectation))


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("cli.md", "A job has one state"),
        ("runs.md", "## States"),
        ("api.md", '"expectation_from": "report"'),
    ],
)
def test_the_states_of_jobs_are_documented_in_their_order(
    page: str, heading: str
) -> None:
    documented = [word for row in table(page, heading) for word in code_words(row[0])]
    assert documented == [state.value for state in State]
