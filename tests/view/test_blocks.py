from __future__ import annotations

from typing import Any

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
        self.list.put(key, self.model[key])

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        del self.model[key]
        self.list.remove(key)

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
        assert self.list.series == sum(each.size for each in self.model.values())

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
    held.put(b"0999", piece(2))
    after = held.blocks
    assert [a is b for a, b in zip(before, after, strict=True)] == [True] * 3 + [False]
    assert after[0].derived == {"text": b"kept"}
    assert after[3].derived == {}


def test_unchanged_blocks_are_listed_once() -> None:
    held = BlockList([(b"a", piece(1))])
    assert held.blocks is held.blocks
