"""Charts as inline SVG: pure functions from data to markup.

They need charts.css, which has their colours, and nothing else: no scripts, no style
attributes, no ids. Each says in words what it shows; a page has the same as a table.
"""

from pushrelay.web.charts.buckets import Bucket, single_counts, spelled_out
from pushrelay.web.charts.durations import durations
from pushrelay.web.charts.histogram import histogram
from pushrelay.web.charts.looks import legend
from pushrelay.web.charts.sparkline import sparkline
from pushrelay.web.charts.timeline import Lane, timeline

__all__ = [
    "Bucket",
    "Lane",
    "durations",
    "histogram",
    "legend",
    "single_counts",
    "sparkline",
    "spelled_out",
    "timeline",
]
