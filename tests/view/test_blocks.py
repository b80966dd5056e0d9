from __future__ import annotations

from typing import Any

import pytest
from builders import key_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pushrelay.groups import FamilyShape, Group, Payload, StoredFamily
from pushrelay.model import PUSH_TIME, MetricType
from pushrelay.view import blocks
from pushrelay.view.blocks import Block, BlockList

BLOCK_GROUPS = 3
KEYS = st.integers(0, 40).map(lambda number: f"{number:02}".encode())


def group(size: int) -> Group:
    """Return a group that has the family `x` with so many metrics."""
    shape = FamilyShape.of("x", MetricType.GAUGE, size=size)
    payload = Payload.of([StoredFamily(shape, 0, b"x 1\n" * size)])
    return Group(key_of(), 1, 0, 0, payload)


def built(held: dict[bytes, Group]) -> BlockList:
    """Return a block list as it is built when a view is loaded."""
    keys = sorted(held)
    starts = range(0, len(keys), blocks.BLOCK_GROUPS)
    chunks = [tuple(keys[start : start + blocks.BLOCK_GROUPS]) for start in starts]
    return BlockList(
        "x", [Block.of("x", chunk, tuple(map(held.get, chunk))) for chunk in chunks]
    )


def size_of(held: Group) -> int:
    return held.payload.layout.size


def listed(held: tuple[Block, ...]) -> list[tuple[bytes, Group]]:
    return [
        pair for block in held for pair in zip(block.keys, block.groups, strict=True)
    ]


class BlockListMachine(RuleBasedStateMachine):
    """A block list beside a dict, and snapshots of it beside copies."""

    def __init__(self) -> None:
        super().__init__()
        self.list = BlockList("x")
        self.model: dict[bytes, Group] = {}
        self.snapshots: list[tuple[tuple[Block, ...], list[Any]]] = []
        self.usual = blocks.BLOCK_GROUPS
        blocks.BLOCK_GROUPS = BLOCK_GROUPS

    def teardown(self) -> None:
        blocks.BLOCK_GROUPS = self.usual

    @rule(key=KEYS, size=st.integers(0, 3))
    def put(self, key: bytes, size: int) -> None:
        self.model[key] = group(size)
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
            key: None if size is None else group(size)
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
        self.list = built(self.model)

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
        assert self.list.series == sum(map(size_of, self.model.values()))

    @invariant()
    def blocks_are_neither_empty_nor_large(self) -> None:
        for block in self.list.blocks:
            assert 0 < len(block.keys) <= 2 * BLOCK_GROUPS
            assert block.series == sum(map(size_of, block.groups))
            assert b"".join(block.text()) == b"x 1\n" * block.series

    @invariant()
    def snapshots_stay_as_they_were(self) -> None:
        for held, copy in self.snapshots:
            assert listed(held) == copy


TestBlockList = BlockListMachine.TestCase
TestBlockList.settings = settings(max_examples=30, stateful_step_count=40)


def test_a_push_makes_one_block_anew() -> None:
    held = built({f"{n:04}".encode(): group(1) for n in range(1000)})
    before = held.blocks
    before[0].derived["text"] = b"kept"
    held.update([(b"0999", group(2))])
    after = held.blocks
    assert [a is b for a, b in zip(before, after, strict=True)] == [True] * 3 + [False]
    assert after[0].derived == {"text": b"kept"}
    assert after[3].derived == {}


def test_unchanged_blocks_are_listed_once() -> None:
    held = built({b"a": group(1)})
    assert held.blocks is held.blocks


def test_a_batch_makes_each_touched_block_anew_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = built({f"{n:04}".encode(): group(1) for n in range(1024)})
    made: list[int] = []
    changed = Block.changed

    def count(block: Block, changes: list[blocks.GroupChange]) -> Block:
        made.append(len(changes))
        return changed(block, changes)

    monkeypatch.setattr(Block, "changed", count)
    first, second, *_ = held.blocks
    removed = [(f"{n:04}".encode(), None) for n in range(512, 1024)]
    held.update([(b"0007", group(2)), *removed, (b"0003", group(3))])
    assert made == [256, 256, 2]
    assert len(held.blocks) == 2
    assert held.blocks[0].keys is first.keys
    assert held.blocks[1] is second


def test_many_new_groups_make_many_blocks() -> None:
    held = BlockList("x")
    held.update([(f"{n:05}".encode(), group(1)) for n in reversed(range(10_000))])
    sizes = [len(block.keys) for block in held.blocks]
    assert sum(sizes) == held.series == 10_000
    assert max(sizes) <= 2 * blocks.BLOCK_GROUPS


def group_that_holds(
    x: bytes, *, type_: MetricType = MetricType.GAUGE, message: bytes | None = None
) -> Group:
    """Return a group that has the families `x`, with this text, and `y`."""
    families = [
        StoredFamily(FamilyShape.of("x", type_), 0, x, message),
        StoredFamily(FamilyShape.of("y", MetricType.GAUGE), 0, b"y 1\n"),
    ]
    return Group(key_of(), 1, 0, 0, Payload.of(families))


def test_what_was_made_of_a_block_outlives_pushes_that_do_not_change_it() -> None:
    old = group_that_holds(b"x 1\n")
    block = Block.of("x", (b"1", b"2"), (old, old))
    block.derived["a way"] = b"made"
    again = block.changed([(b"1", group_that_holds(b"x 1\n"))])
    assert again.groups[0] is not old
    assert again.derived == {"a way": b"made"}
    for changes in (
        [(b"1", group_that_holds(b"x 1\n")), (b"2", group_that_holds(b"x 2\n"))],
        [(b"1", group_that_holds(b"x 1\n", type_=MetricType.COUNTER))],
        [(b"1", group_that_holds(b"x 1\n", message=b"m"))],
        [(b"1", None)],
        [(b"3", old)],
    ):
        assert block.changed(changes).derived == {}


def test_push_times_are_made_anew_with_each_push() -> None:
    old = group_that_holds(b"x 1\n")
    block = Block.of(PUSH_TIME, (b"1",), (old,))
    block.derived["a way"] = b"made"
    assert block.changed([(b"1", group_that_holds(b"x 1\n"))]).derived == {}
