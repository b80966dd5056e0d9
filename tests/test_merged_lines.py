from __future__ import annotations

import pytest
from builders import families_of, key_of
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InconsistentPush
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.findings import Findings
from pushrelay.groups import StoredFamily
from pushrelay.merged_family import merge_families
from pushrelay.merged_lines import merge_lines

KEY = key_of("etl", **{"na.me": 'of \\ "the"\n\r group'})


def stored(text: str, pushed_at: int = 1) -> StoredFamily:
    (family,) = families_of(text, KEY)
    return to_stored(family, pushed_at)


def merged_by_reading(
    held: StoredFamily, pushed: StoredFamily, *, adds: bool
) -> StoredFamily | None:
    """Return what reading and rendering the metrics makes of both; None if they are
    refused."""
    findings = Findings()
    families = from_stored(held), from_stored(pushed)
    merged = merge_families(*families, findings, adds=adds)
    try:
        findings.raise_if_any()
    except InconsistentPush:
        return None
    return to_stored(merged, pushed.pushed_at)


SPELLINGS = ["0", "-0", "1", "2.5", "1e6", "9007199254740992", "NaN", "+Inf", "-Inf"]
numbers = st.one_of(st.sampled_from(SPELLINGS), st.floats().map(str))


@st.composite
def bodies(draw: st.DrawFn, type_: str, labels: st.SearchStrategy[list[str]]) -> str:
    help_ = draw(st.sampled_from(["", "# HELP x Help.\n", "# HELP x Other.\n"]))
    lines = [f'x{{l="{label}"}} {draw(numbers)}\n' for label in draw(labels)]
    return f"{help_}# TYPE x {type_}\n{''.join(lines)}"


LABELS = ["", "1", "2", " 3 ", "\\n", "é \x85"]
subsets = st.lists(st.sampled_from(LABELS), min_size=1, unique=True)


@given(st.data(), st.sampled_from(["counter", "gauge", "untyped"]), st.booleans())
def test_lines_are_merged_as_metrics_are(
    data: st.DataObject, type_: str, adds: bool
) -> None:
    adds = adds and type_ == "counter"
    held = stored(data.draw(bodies(type_, st.permutations(LABELS))), 1)
    pushed = stored(data.draw(bodies(type_, subsets)), 2)
    by_reading = merged_by_reading(held, pushed, adds=adds)

    by_lines = merge_lines(held, pushed, adds=adds)

    if by_lines is None:
        # Only what lines do not show is left to be read.
        odd = held.message is not None or pushed.message is not None
        assert odd or by_reading is None
    else:
        assert by_reading is not None
        assert by_lines.series == by_reading.series
        assert by_lines.shape is by_reading.shape
        assert (by_lines.pushed_at, by_lines.message) == (2, by_reading.message)


@pytest.mark.parametrize(
    ("held", "pushed"),
    [
        ("x 1", 'x 1\nx{l="1"} 1'),
        ("x -0", "x 1"),
        ("# TYPE x summary\nx_count 1", "# TYPE x summary\nx_count 1"),
        ("# TYPE x histogram\nx_count 1", "# TYPE x histogram\nx_count 1"),
    ],
    ids=["a new series", "a message", "a summary", "a histogram"],
)
def test_lines_are_not_enough(held: str, pushed: str) -> None:
    assert merge_lines(stored(held), stored(pushed), adds=False) is None
