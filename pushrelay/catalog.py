"""What a check has to know of all that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import MetricType


class Catalog(Protocol):
    """What is stored, as far as a check has to know it."""

    def group(self, key: GroupingKey) -> Group | None:
        """The group of `key`."""

    def holders(self, name: str, but: GroupingKey) -> Mapping[MetricType, bytes]:
        """The types that groups other than `but` hold the family `name` with, each
        with the canonical key of one such group."""

    def own_type(self, name: str) -> MetricType | None:
        """The type of the relay's own family `name`."""

    def key_shapes(self, last_name: str) -> Iterable[tuple[str, ...]]:
        """Each sequence of grouping label names that some group has and that ends with
        `last_name`; `job` comes first, the others are sorted."""
