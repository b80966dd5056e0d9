"""The relay's own metrics: plain numbers that a scrape turns into families."""

from pushrelay.telemetry.families import OWN_FAMILIES, OWN_TYPES
from pushrelay.telemetry.telemetry import Gauges, Telemetry

__all__ = ["OWN_FAMILIES", "OWN_TYPES", "Gauges", "Telemetry"]
