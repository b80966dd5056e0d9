"""What is found once for the shards of a block, and what is not kept with it."""

from __future__ import annotations

import pytest
from builders import group_of, key_of

from pushrelay.changes import Position
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.negotiation import FormatKind, ScrapeFormat
from pushrelay.model import MetricType
from pushrelay.shards import Shard, shard_number
from pushrelay.view import parts
from pushrelay.view.blocks import Block
from pushrelay.view.exposition import Exposition
from pushrelay.view.parts import parts_of
from pushrelay.view.snapshot import FamilySnapshot, Snapshot

GROUPS = [group_of("x 1", key_of("a", instance=f"{number:02}")) for number in range(20)]
OTHER = group_of("x 2", GROUPS[0].key)
NEW = group_of("x 1", key_of("b"))


@pytest.fixture
def block() -> Block:
    keys = tuple(group.key.canonical for group in GROUPS)
    return Block.of("x", keys, tuple(GROUPS))


def test_where_groups_are_is_found_once_until_one_comes_or_goes(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def noted(*asked: object) -> int:
        found.append(asked)
        return shard_number(*asked)  # type: ignore[arg-type]  # whatever it is given

    monkeypatch.setattr(parts, "shard_number", noted)

    def looked_for(block: Block) -> int:
        found.clear()
        for number in range(4):
            parts_of([block], Shard(number, 4))
        return len(found)

    assert looked_for(block) == len(GROUPS)
    pushed = block.changed([(OTHER.key.canonical, OTHER)])
    assert looked_for(pushed) == 0
    grown = pushed.changed([(NEW.key.canonical, NEW)])
    assert looked_for(grown) == len(GROUPS) + 1
    assert looked_for(grown.changed([(OTHER.key.canonical, None)])) == len(GROUPS)


@pytest.mark.parametrize("kind", FormatKind)
def test_what_is_small_is_not_kept(block: Block, kind: FormatKind) -> None:
    family = FamilySnapshot("x", MetricType.UNTYPED, "", (block,))
    snapshot = Snapshot(Position(1, b""), (family,), len(GROUPS), len(GROUPS), 1)
    page = Exposition(snapshot, (), ScrapeFormat(kind, Escaping.UNDERSCORES))
    assert b"".join(page.of(Shard(1, 4)).gzip_chunks())
    assert not block.derived
