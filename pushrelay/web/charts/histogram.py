"""A histogram: how many observations fell into each bucket."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite

from markupsafe import Markup

from pushrelay.web.charts.buckets import Bucket, columns
from pushrelay.web.charts.svg import WIDTH, element, number, path, plane
from pushrelay.web.charts.svg import text as words_at

_HEIGHT = 110
_HEADROOM = 18
_AXIS = 18
# Units between bars, if they are wide enough for it.
_GAP = 2.0
# A bucket with any observation is at least so many pixels high.
_LOWEST = 2.0
_WIDEST = 250.0
_FEWEST_FOR_THIRDS = 6
# From here on, counts have exponents.
_MANY = 1e15
# Sums of such counts are still finite.
_LARGEST = 1e300


def histogram(buckets: Sequence[Bucket], label: str) -> Markup:
    """Return a bar for each bucket, all of the same width, the lowest at the left.

    label: what was observed. Counts that are no numbers are shown as none.
    """
    shown = columns([(lower, upper, _sane(n)) for lower, upper, n in buckets])
    total = sum([count for _, _, count in shown], 0.0)
    most = max([count for _, _, count in shown], default=0.0)
    width = min(WIDTH / max(len(shown), 1), _WIDEST)
    bars = [
        _bar(bucket, place * width, width, most)
        for place, bucket in enumerate(shown)
        if bucket[2]
    ]
    grid = path("grid", f"M0 {_HEADROOM}h{WIDTH}M0 {_HEIGHT}h{WIDTH}")
    return element(
        "svg",
        {
            "class": "chart histogram",
            "role": "img",
            "aria-label": f"{label}: {_gist(buckets, shown, total)}",
            "width": "100%",
            "height": _HEIGHT + _AXIS,
        },
        plane(0, _HEIGHT, grid, *bars),
        words_at(_amount(most), 0, _HEADROOM - 4, look="tick"),
        *_axis(shown, width),
    )


def _bar(bucket: Bucket, left: float, width: float, most: float) -> Markup:
    height = max(bucket[2] / most * (_HEIGHT - _HEADROOM), _LOWEST)
    gap = _GAP if width > 3 * _GAP else 0
    title = f"{_range(bucket)}: {_amount(bucket[2])}"
    return element(
        "rect",
        {
            "x": number(left + gap / 2),
            "y": number(_HEIGHT - height),
            "width": number(width - gap),
            "height": number(height),
        },
        element("title", {}, title),
    )


def _axis(shown: list[Bucket], width: float) -> list[Markup]:
    """Return the names of both ends of the axis and of what is between."""
    if len(shown) < 2:
        return [_tick(_range(bucket), 0) for bucket in shown]
    (lower, first, _), (last, upper, _) = shown[0], shown[-1]
    return [
        _tick(_bound(lower) if isfinite(lower) else f"≤ {_bound(first)}", 0),
        *_between(shown, width),
        _tick(
            _bound(upper) if isfinite(upper) else f"> {_bound(last)}",
            len(shown) * width,
            "end",
        ),
    ]


def _between(shown: list[Bucket], width: float) -> list[Markup]:
    """Return the name of zero if it has a bucket around it well between the ends, or
    else of the bounds at each third."""
    for place, (lower, upper, _) in enumerate(shown):
        middle = (place + 0.5) * width
        if lower < 0 < upper and WIDTH / 4 < middle < WIDTH * 3 / 4:
            return [_tick("0", middle, "middle")]
    if len(shown) < _FEWEST_FOR_THIRDS:
        return []
    thirds = [round(len(shown) / 3), round(len(shown) * 2 / 3)]
    return [_tick(f"{shown[n][0]:.3g}", n * width, "middle") for n in thirds]


def _tick(words: str, left: float, anchor: str = "start") -> Markup:
    return words_at(words, left, _HEIGHT + _AXIS - 4, anchor, "tick")


def _gist(buckets: Sequence[Bucket], shown: list[Bucket], total: float) -> str:
    if not total:
        return "no observations"
    counts = f"{_amount(total)} observation{'' if total == 1 else 's'}"
    fullest = max(shown, key=lambda bucket: bucket[2])
    of_all = f"{len(buckets)} bucket{'' if len(buckets) == 1 else 's'}"
    return f"{counts} in {of_all}; the most, {_amount(fullest[2])}, {_range(fullest)}"


def _range(bucket: Bucket) -> str:
    lower, upper, _ = bucket
    if lower == -inf:
        return "all" if upper == inf else f"up to {_bound(upper)}"
    if upper == inf:
        return f"above {_bound(lower)}"
    return f"from {_bound(lower)} to {_bound(upper)}"


def _bound(bound: float) -> str:
    return f"{bound:.6g}"


def _amount(count: float) -> str:
    return f"{count:,.0f}" if count.is_integer() and count < _MANY else f"{count:,.4g}"


def _sane(count: float) -> float:
    return min(float(count), _LARGEST) if isfinite(count) and count > 0 else 0.0
