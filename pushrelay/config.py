"""All settings, read once into frozen objects; nothing else reads the environment."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take, in bytes, series, labels and seconds."""

    body_bytes: int = 64 * MIB
    series: int = 1_000_000
    labels: int = 256
    label_value_bytes: int = 64 * 1024
    target_bytes: int = MIB
    idle_seconds: float = 30.0
    request_seconds: float = 300.0
