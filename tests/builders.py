"""What tests of the core build from a line of text: keys, families, groups."""

from __future__ import annotations

from pathlib import Path

from pushrelay.config import Limits
from pushrelay.exposition.stored import to_stored
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Group, MetricFamily
from pushrelay.store.engine import Database
from pushrelay.store.migrate import upgrade


def key_of(job: str = "a", **labels: str) -> GroupingKey:
    return GroupingKey.of({"job": job, **labels})


def families_of(text: str, key: GroupingKey) -> list[MetricFamily]:
    """Return the families of a pushed body; its last line end may be missing."""
    body = f"{text}\n".encode() if text else b""
    return parse_text(body, key, Limits(), utf8_names=True)


def group_of(
    text: str = "x 1",
    key: GroupingKey | None = None,
    *,
    revision: int = 1,
    pushed_at: int = 10**9,
    failed_at: int = 0,
) -> Group:
    """Return the group that a push of `text` to `key` leaves."""
    key = key or key_of()
    stored = [to_stored(family, pushed_at) for family in families_of(text, key)]
    families = {family.name: family for family in stored}
    return Group(key, revision, pushed_at, failed_at, families)


def new_database(directory: Path, sync: str = "normal") -> Database:
    """Return a database in `directory` with the newest schema."""
    database = Database(f"sqlite:///{directory}/relay.db", sync)
    upgrade(database)
    return database
