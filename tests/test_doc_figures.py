"""The figures in the docs are those that were measured."""

from __future__ import annotations

import re

import pytest
from doc_examples import ROOT, table

MEASURED_IN = ROOT / "benchmarks"


def results(name: str) -> dict[str, list[str]]:
    """Return the rows of a table of results by their first cell, without ranges."""
    lines = (MEASURED_IN / name).read_text().splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return {
        label.strip(): [re.sub(r"\(.*\)", "", cell).strip() for cell in cells]
        for label, *cells in rows
    }


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("## What was measured", "RESULTS-replicas.md"),
        ("## A page in shards", "RESULTS-shards.md"),
    ],
)
def test_the_figures_about_scaling_are_those_that_were_measured(
    heading: str, name: str
) -> None:
    measured = (MEASURED_IN / name).read_text()
    lines = measured.replace(" ", "").splitlines()
    shown = table("scaling.md", heading)
    assert len(shown) > 5
    for row in shown:
        assert f"|{'|'.join(row)}|".replace(" ", "") in lines


def test_the_figures_beside_a_pushgateway_are_those_that_were_measured() -> None:
    measured = results("RESULTS.md")
    shown = table("../README.md", "## Why not the Pushgateway")
    assert len(shown) > 5
    for label, *cells in shown:
        assert cells == measured[label]


@pytest.mark.parametrize(
    ("words", "name", "row", "column"),
    [
        (
            r"starts (\d+) ms later",
            "RESULTS-exec.md",
            "added before the start",
            0,
        ),
        (
            r"With 100,000 groups a push takes ([\d.]+) ms",
            "RESULTS-scale.md",
            "push p50, spread over all groups",
            2,
        ),
        (
            r"page above is there in (\d+) ms",
            "RESULTS-board.md",
            "first page, p50",
            1,
        ),
    ],
)
def test_a_figure_in_the_text_of_the_readme_was_measured(
    words: str, name: str, row: str, column: int
) -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    (shown,) = re.findall(words, text)
    decimals = len(shown.partition(".")[2])
    measured = float(results(name)[row][column].removesuffix(" ms"))
    assert f"{measured:.{decimals}f}" == shown
