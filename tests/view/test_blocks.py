from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pushrelay.model import MetricType, StoredFamily
from pushrelay.view import blocks
from pushrelay.view.blocks import Block, BlockList

BLOCK_GROUPS = 3
KEYS = st.integers(0, 40).map(lambda number: f"{number:02}".encode())


def piece(size: int) -> StoredFamily:
    return StoredFamily("x", MetricType.GAUGE, "", 0, b"x 1\n" * size, size)


def listed(held: tuple[Block, ...]) -> list[tuple[bytes, StoredFamily]]:
    return [
        pair for block in held for pair in zip(block.keys, block.pieces, strict=True)
    ]


class BlockListMachine(RuleBasedStateMachine):
    """A block list beside a dict, and snapshots of it beside copies."""

    def __init__(self) -> None:
        super().__init__()
        self.list = BlockList()
        self.model: dict[bytes, StoredFamily] = {}
        self.snapshots: list[tuple[tuple[Block, ...], list[Any]]] = []
        self.usual = blocks.BLOCK_GROUPS
        blocks.BLOCK_GROUPS = BLOCK_GROUPS

    def teardown(self) -> None:
        blocks.BLOCK_GROUPS = self.usual

    @rule(key=KEYS, size=st.integers(0, 3))
    def put(self, key: bytes, size: int) -> None:
        self.model[key] = piece(size)
        self.list.update([(key, self.model[key])])

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        del self.model[key]
        self.list.update([(key, None)])

    @rule(changes=st.dictionaries(KEYS, st.none() | st.integers(0, 3)))
    def change_many(self, changes: dict[bytes, int | None]) -> None:
        update = {
            key: None if size is None else piece(size)
            for key, size in changes.items()
            if size is not None or key in self.model
        }
        self.list.update(list(update.items()))
        for key, new in update.items():
            if new is None:
                del self.model[key]
            else:
                self.model[key] = new

    @rule()
    def clear(self) -> None:
        self.list.update([(key, None) for key in self.model])
        self.model.clear()

    @rule()
    def build_anew(self) -> None:
        self.list = BlockList(reversed(list(self.model.items())))

    @rule()
    def take_snapshot(self) -> None:
        held = self.list.blocks
        self.snapshots.append((held, listed(held)))

    @invariant()
    def holds_what_the_dict_holds_in_order(self) -> None:
        assert listed(self.list.blocks) == sorted(
            self.model.items(), key=lambda entry: entry[0]
        )
        assert bool(self.list) == bool(self.model)
        held = self.model.values()
        assert self.list.series == sum(each.size for each in held)
        assert self.list.size == sum(len(each.series) for each in held)

    @invariant()
    def blocks_are_neither_empty_nor_large(self) -> None:
        for block in self.list.blocks:
            assert 0 < len(block.keys) <= 2 * BLOCK_GROUPS
            assert block.size == sum(len(each.series) for each in block.pieces)

    @invariant()
    def snapshots_stay_as_they_were(self) -> None:
        for held, copy in self.snapshots:
            assert listed(held) == copy


TestBlockList = BlockListMachine.TestCase
TestBlockList.settings = settings(max_examples=30, stateful_step_count=40)


def test_a_push_makes_one_block_anew() -> None:
    held = BlockList((f"{n:04}".encode(), piece(1)) for n in range(1000))
    before = held.blocks
    before[0].derived["text"] = b"kept"
    held.update([(b"0999", piece(2))])
    after = held.blocks
    assert [a is b for a, b in zip(before, after, strict=True)] == [True] * 3 + [False]
    assert after[0].derived == {"text": b"kept"}
    assert after[3].derived == {}


def test_unchanged_blocks_are_listed_once() -> None:
    held = BlockList([(b"a", piece(1))])
    assert held.blocks is held.blocks


def test_a_batch_makes_each_touched_block_anew_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = BlockList((f"{n:04}".encode(), piece(1)) for n in range(1024))
    made: list[int] = []
    changed = Block.changed

    def count(block: Block, changes: list[blocks.PieceChange]) -> Block:
        made.append(len(changes))
        return changed(block, changes)

    monkeypatch.setattr(Block, "changed", count)
    first, second, *_ = held.blocks
    removed = [(f"{n:04}".encode(), None) for n in range(512, 1024)]
    held.update([(b"0007", piece(2)), *removed, (b"0003", piece(3))])
    assert made == [256, 256, 2]
    assert len(held.blocks) == 2
    assert held.blocks[0].keys is first.keys
    assert held.blocks[1] is second


def test_many_new_groups_make_many_blocks() -> None:
    held = BlockList()
    held.update([(f"{n:05}".encode(), piece(1)) for n in reversed(range(10_000))])
    sizes = [len(block.keys) for block in held.blocks]
    assert sum(sizes) == held.series == 10_000
    assert max(sizes) <= 2 * blocks.BLOCK_GROUPS
