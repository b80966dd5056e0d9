"""What a relay exposes of its own: the names of series and of labels."""

from __future__ import annotations

from collections.abc import Iterator

from pushrelay.exposition.evidence import HELP as EVIDENCE
from pushrelay.exposition.run_families import RUN_TYPES
from pushrelay.model import MetricType
from pushrelay.telemetry import OWN_FAMILIES

LABELS = frozenset(
    {"job", "instance", "le", "outcome", "mode"}
    | {label for own in OWN_FAMILIES for label in own.labels}
)
"""All labels that series of the relay's own have once they are scraped."""


def exposed() -> Iterator[str]:
    """Yield the names of all series that a relay has."""
    types = {own.name: own.type for own in OWN_FAMILIES} | RUN_TYPES
    for name, type_ in (types | dict.fromkeys(EVIDENCE, MetricType.GAUGE)).items():
        yield name
        if type_ is MetricType.HISTOGRAM:
            yield from (f"{name}_{part}" for part in ("bucket", "sum", "count"))
