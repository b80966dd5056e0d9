"""What tests of charts use: marks, and what is in a chart, as an XML parser sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

from hypothesis import strategies as st

from pushrelay.run_marks import RunMark
from pushrelay.runs import Outcome

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = 1_795_694_400 * SECOND
"""2026-11-26 12:00:00 UTC."""

_STEP = re.compile(r"([Mhvz])(?:(-?[\d.]+)(?: (-?[\d.]+))?)?")
_PERCENT = re.compile(r"([\d.]+)%")


def mark_of(
    number: int,
    started_at: int,
    duration: int | None = SECOND,
    outcome: Outcome = Outcome.SUCCESS,
    *,
    is_abandoned: bool = False,
) -> RunMark:
    """Return a run, without an end if its duration is None."""
    id_, key = number.to_bytes(16, "big"), b"k"
    if duration is None:
        return RunMark(id_, key, started_at, None, None, is_abandoned=is_abandoned)
    return RunMark(id_, key, started_at, started_at + duration, outcome)


TIMES = st.one_of(
    st.integers(0, 2**63 - 1),
    st.integers(NOON - 7 * DAY, NOON + DAY),
    st.sampled_from([0, NOON - DAY, NOON, NOON + 1]),
)


@st.composite
def any_mark(draw: st.DrawFn) -> RunMark:
    """Runs at any time, unsorted, some with ends before their starts."""
    outcome = draw(st.none() | st.sampled_from(Outcome))
    finished_at = None if outcome is None else draw(TIMES)
    return RunMark(
        draw(st.binary(min_size=16, max_size=16)),
        b"",
        draw(TIMES),
        finished_at,
        outcome,
        is_abandoned=outcome is None and draw(st.booleans()),
    )


MARKS = st.lists(any_mark(), max_size=40)


def parsed(chart: str) -> Element:
    """Return a chart as XML, after looking for what no chart has."""
    root = fromstring(chart)  # noqa: S314 - our own markup
    for element in root.iter():
        assert element.tag not in ("script", "style", "foreignObject", "image", "use")
        names = set(element.attrib)
        assert not {"style", "id"} & names
        assert not [name for name in names if name.startswith("on")]
    return root


def all_of(root: Element, tag: str, look: str | None = None) -> list[Element]:
    """Return the elements with a tag, and with a class if one is given."""
    return [
        element
        for element in root.iter(tag)
        if look is None or look in element.get("class", "").split()
    ]


def label_of(root: Element) -> str:
    """Return what a chart says to those who do not see it."""
    (image,) = [element for element in root.iter() if element.get("role") == "img"]
    label = image.get("aria-label")
    assert label
    assert not list(image.iter("a")), "a link in an image"
    return label


def titles_of(root: Element) -> list[str]:
    return [element.text or "" for element in root.iter("title")]


def corners(steps: str) -> Iterator[tuple[float, float]]:
    """Yield the points of a path."""
    assert _STEP.sub("", steps) == ""
    x = y = 0.0
    for kind, first, second in _STEP.findall(steps):
        if kind == "M":
            x, y = float(first), float(second)
        elif kind == "h":
            x += float(first)
        elif kind == "v":
            y += float(first)
        yield x, y


def assert_inside(root: Element) -> None:
    """Assert that all that is drawn is inside of what it is drawn in."""
    for plane in [root, *root.iter("svg")]:
        box = plane.get("viewBox")
        if box is None:
            continue
        left, top, width, height = map(float, box.split())
        for x, y in _points(plane):
            assert left <= x <= left + width + 0.11
            assert top <= y <= top + height + 0.11
    total = float(root.get("height", "0"))
    for words in root.iter("text"):
        percent = _PERCENT.fullmatch(words.get("x", ""))
        if percent:
            assert 0 <= float(percent[1]) <= 100
            assert 0 < float(words.get("y", "0")) <= total


def _points(plane: Element) -> Iterator[tuple[float, float]]:
    for drawn in plane.iter("path"):
        yield from corners(drawn.get("d", ""))
    for bar in plane.iter("rect"):
        x, y, width, height = [
            float(bar.get(name, "0")) for name in ("x", "y", "width", "height")
        ]
        assert width > 0
        assert height > 0
        yield from ((x, y), (x + width, y + height))
