from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from builders import group_of, key_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pushrelay.changes import Changes, Emptied, GroupChange, Position
from pushrelay.exposition.evidence import evidence_family
from pushrelay.exposition.negotiation import negotiate
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, StoredFamily
from pushrelay.model import PUSH_EVIDENCE
from pushrelay.view import view as view_module
from pushrelay.view.exposition import Exposition
from pushrelay.view.family import Family
from pushrelay.view.holdings import Holdings
from pushrelay.view.snapshot import Snapshot
from pushrelay.view.view import View

TEXT = negotiate(None)
BODIES = [
    "",
    "x 1",
    "# HELP x One text.\n# TYPE x untyped\nx 2",
    '# HELP x Another text.\nx{l="a"} 3\nx{l="b"} 4',
    "# TYPE y counter\ny 1\n# TYPE a_gauge gauge\na_gauge 2",
    '# TYPE z histogram\nz_bucket{le="+Inf"} 1\nz_sum 1\nz_count 1\nx 5',
    "# TYPE Z summary\nZ_sum 1\nZ_count 1",
]
KEYS = [
    key_of("a"),
    key_of("a", instance="i"),
    key_of("a b"),
    key_of("a", zone="1", instance=""),
    key_of("b"),
    key_of("\x00"),
    key_of("é🦆"),
]


def page_of(view: View) -> str:
    return page_of_snapshot(view.snapshot())


def page_of_snapshot(snapshot: Snapshot) -> str:
    return b"".join(Exposition(snapshot, [], TEXT).chunks()).decode()


def naive_page(groups: Iterable[Group]) -> str:
    """The page of `groups`, by the shortest way to say what it is."""
    held: dict[str, list[StoredFamily]] = {}
    for group in sorted(groups, key=lambda group: group.key.canonical):
        evidence = [evidence_family(group, name) for name in PUSH_EVIDENCE]
        for family in (*group.families.values(), *evidence):
            held.setdefault(family.name, []).append(family)
    page = ""
    for name, families in sorted(held.items()):
        helps = Counter(f.help for f in families if f.help)
        if helps:
            help_ = max(helps, key=lambda text: (helps[text], text))
            page += f"# HELP {name} {help_}\n"
        page += f"# TYPE {name} {families[0].type.name.lower()}\n"
        page += "".join(family.series.decode() for family in families)
    return page


def position(revision: int, nonce: bytes = b"here") -> Position:
    return Position(revision, nonce)


def loaded(*groups: GroupChange, revision: int = 1) -> View:
    view = View()
    view.apply(Changes(None, position(revision), list(groups)))
    return view


def change(view: View, *groups: GroupChange, revision: int) -> None:
    view.apply(Changes(view.position, position(revision), list(groups)))


class ViewMachine(RuleBasedStateMachine):
    """A view beside a dict of the groups."""

    small_work = view_module.SMALL_WORK

    def __init__(self) -> None:
        super().__init__()
        self.usual = view_module.SMALL_WORK
        view_module.SMALL_WORK = self.small_work
        self.view = loaded(revision=0)
        self.groups: dict[bytes, Group] = {}
        self.revision = 0
        self.asks = True

    def teardown(self) -> None:
        view_module.SMALL_WORK = self.usual

    @rule(
        # A batch may write one group several times.
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=5),
        data=st.data(),
    )
    def commit(self, keys: list[GroupingKey], data: Any) -> None:
        self.revision += 1
        changes: list[GroupChange] = []
        for key in keys:
            body = data.draw(st.none() | st.sampled_from(BODIES))
            if body is None:
                self.groups.pop(key.id, None)
                changes.append(Emptied(key.id, self.revision))
            else:
                group = group_of(
                    body, key, revision=self.revision, pushed_at=self.revision
                )
                self.groups[key.id] = group
                changes.append(group)
        change(self.view, *changes, revision=self.revision)

    @rule()
    def reload(self) -> None:
        self.view.apply(
            Changes(None, position(self.revision), list(self.groups.values()))
        )

    @rule()
    def wipe(self) -> None:
        self.revision += 1
        emptied = [Emptied(id_, self.revision) for id_ in self.groups]
        change(self.view, *emptied, revision=self.revision)
        self.groups.clear()

    @rule(asks=st.booleans())
    def ask_or_not(self, asks: bool) -> None:
        """Let snapshots be taken after each commit, or only now and then."""
        self.asks = asks

    @invariant()
    def shows_all_groups(self) -> None:
        if not self.asks:
            return
        assert page_of(self.view) == naive_page(self.groups.values())
        snapshot = self.view.snapshot()
        assert snapshot.groups == len(self.groups)
        assert snapshot.position == position(self.revision)
        lines = [line for line in page_of(self.view).splitlines() if line[0] != "#"]
        assert snapshot.series <= len(lines)

    @invariant()
    def a_reload_gives_the_same(self) -> None:
        again = loaded(*self.groups.values(), revision=self.revision)
        if self.asks:
            assert page_of(again) == page_of(self.view)
            shown, expected = self.view.snapshot(), again.snapshot()
            assert (shown.series, shown.size) == (expected.series, expected.size)
        assert again.groups == self.view.groups
        assert again.key_shapes == self.view.key_shapes
        assert again.stock.total == self.view.stock.total
        for job in {key.job for key in KEYS}:
            assert again.stock.of_job(job) == self.view.stock.of_job(job)
        assert again.families.keys() == self.view.families.keys()
        for name, family in again.families.items():
            held = self.view.families[name]
            assert (held.types, held.helps) == (family.types, family.helps)


TestView = ViewMachine.TestCase
TestView.settings = settings(max_examples=30, stateful_step_count=15)


class LargeChangesMachine(ViewMachine):
    """The same with what a view does only when changes are large."""

    small_work = 4


TestLargeChanges = LargeChangesMachine.TestCase
TestLargeChanges.settings = settings(max_examples=30, stateful_step_count=15)


def test_a_view_before_its_first_reading_is_empty() -> None:
    view = View()
    assert page_of(view) == ""
    assert view.snapshot().sample().families == ()


def test_groups_are_listed_by_their_keys() -> None:
    view = loaded(*(group_of("x 1", key) for key in KEYS))
    listed = [group.key.canonical for group in view.sorted_groups()]
    assert listed == sorted(key.canonical for key in KEYS)


def test_changes_of_the_past_are_not_applied_again() -> None:
    view = loaded(group_of("x 1", KEYS[0], revision=1), revision=1)
    first = position(1)
    change(view, group_of("x 2", KEYS[0], revision=2), revision=2)
    page = page_of(view)
    view.apply(Changes(first, position(2), [group_of("x 0", KEYS[0], revision=2)]))
    view.apply(Changes(position(0), first, [Emptied(KEYS[0].id, 1)]))
    assert page_of(view) == page
    assert view.position == position(2)


def test_changes_that_overlap_are_applied_from_where_the_view_is() -> None:
    view = loaded(group_of("x 1", KEYS[0], revision=3), revision=3)
    late = group_of("x 9", KEYS[0], revision=2)
    new = group_of("y 1", KEYS[1], revision=5)
    view.apply(Changes(position(1), position(5), [late, new]))
    assert "x{" in page_of(view)
    assert "} 9" not in page_of(view)
    assert view.position == position(5)


def test_changes_after_a_gap_wait_for_the_next_reading() -> None:
    view = loaded(revision=1)
    view.apply(
        Changes(position(2), position(3), [group_of("x 1", KEYS[0], revision=3)])
    )
    assert view.position == position(1)
    assert page_of(view) == ""


def test_a_whole_reading_replaces_a_newer_revision_of_another_history() -> None:
    view = loaded(group_of("x 1", KEYS[0], revision=9), revision=9)
    restored = group_of("y 1", KEYS[1], revision=4)
    view.apply(Changes(None, position(4, b"restored"), [restored]))
    assert page_of(view) == naive_page([restored])
    assert view.position == position(4, b"restored")


def test_a_snapshot_is_not_changed_by_what_comes_later() -> None:
    view = loaded(group_of("x 1", KEYS[0]))
    page = Exposition(view.snapshot(), [], TEXT)
    before = b"".join(page.chunks())
    change(view, group_of("y 2", KEYS[0], revision=2), revision=2)
    assert b"".join(page.chunks()) == before


def test_a_family_vanishes_with_its_last_group() -> None:
    view = loaded(group_of("x 1", KEYS[0]), group_of("x 1", KEYS[4]))
    change(view, Emptied(KEYS[0].id, 2), revision=2)
    assert page_of(view).count("# TYPE x ") == 1
    change(view, group_of("y 1", KEYS[4], revision=3), revision=3)
    assert "# TYPE x " not in page_of(view)
    change(view, Emptied(KEYS[4].id, 4), revision=4)
    assert page_of(view) == ""
    assert list(view.key_shapes) == []


@pytest.mark.parametrize(
    ("helps", "shown"),
    [
        (["", ""], None),
        (["", "Only."], "Only."),
        (["Rare.", "Common.", "Common."], "Common."),
        (["Alpha.", "Beta."], "Beta."),
    ],
)
def test_the_help_that_most_groups_give_is_shown(
    helps: list[str], shown: str | None
) -> None:
    groups = [
        group_of(f"# HELP x {text}\nx 1" if text else "x 1", key)
        for text, key in zip(helps, KEYS, strict=False)
    ]
    lines = page_of(loaded(*groups)).splitlines()
    found = [line for line in lines if line.startswith("# HELP x ")]
    assert found == ([] if shown is None else [f"# HELP x {shown}"])


def test_the_type_follows_the_only_group_that_changes_it() -> None:
    view = loaded(group_of("# TYPE x gauge\nx 1", KEYS[0]))
    change(view, group_of("# TYPE x counter\nx 1", KEYS[0], revision=2), revision=2)
    assert "# TYPE x counter\n" in page_of(view)


def test_a_sample_of_a_snapshot_is_one_block() -> None:
    view = loaded(*(group_of("x 1", key_of(f"j{n:04}")) for n in range(1000)))
    sample = view.snapshot().sample()
    assert [len(family.blocks) for family in sample.families] == [1]


def test_the_evidence_of_a_group_says_when_it_was_pushed() -> None:
    group = group_of(
        "", key_of("a", instance="i"), pushed_at=15 * 10**8, failed_at=25 * 10**8
    )
    assert page_of(loaded(group)).splitlines()[1:3] == [
        "# TYPE push_failure_time_seconds gauge",
        'push_failure_time_seconds{instance="i",job="a"} 2.5',
    ]
    assert 'push_time_seconds{instance="i",job="a"} 1.5\n' in page_of(loaded(group))


def hold_up(monkeypatch: pytest.MonkeyPatch) -> tuple[Event, Event]:
    """Let changes of the view wait; return what says so, and what lets them go on."""
    waiting, go_on = Event(), Event()
    change = Holdings.change

    def wait(*arguments: Any) -> None:
        change(*arguments)
        waiting.set()
        assert go_on.wait(10)

    monkeypatch.setattr(Holdings, "change", wait)
    return waiting, go_on


@pytest.mark.parametrize("is_asked_before", [True, False])
def test_a_snapshot_does_not_wait_for_large_changes(
    is_asked_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = loaded(group_of("x 1", KEYS[0]))
    change(view, group_of("x 2", KEYS[0], revision=2), revision=2)
    # What apply returned from is shown, whether or not someone asked for it before.
    before = page_of(view) if is_asked_before else ""
    body = "\n".join(f"x{n} 1" for n in range(view_module.SMALL_WORK))
    large = group_of(body, KEYS[0], revision=3)
    waiting, go_on = hold_up(monkeypatch)
    with ThreadPoolExecutor() as threads:
        applied = threads.submit(change, view, large, revision=3)
        try:
            assert waiting.wait(10)
            shown = view.snapshot()
            groups = view.sorted_groups()
            assert not applied.done()
        finally:
            go_on.set()
        applied.result()
    assert shown.position == position(2)
    page = page_of_snapshot(shown)
    assert 'x{instance="",job="a"} 2\n' in page
    assert not is_asked_before or page == before
    assert [group.revision for group in groups] == [2]
    assert page_of(view) == naive_page([large])


def test_small_changes_do_not_hold_up_who_may_see_the_state_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = loaded(group_of("x 1", KEYS[0]))
    before = view.snapshot()
    waiting, go_on = hold_up(monkeypatch)
    with ThreadPoolExecutor() as threads:
        small = group_of("x 2", KEYS[0], revision=2)
        applied = threads.submit(change, view, small, revision=2)
        try:
            assert waiting.wait(10)
            assert view.snapshot() is before
        finally:
            go_on.set()
        applied.result()
    assert view.snapshot().position == position(2)


def test_in_a_view_of_many_families_a_snapshot_is_there_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_module, "SMALL_FAMILIES", 2)
    view = loaded(group_of("x 1", KEYS[0]))
    change(view, group_of("x 2", KEYS[0], revision=2), revision=2)
    monkeypatch.setattr(Family, "snapshot", None)
    assert "} 2" in page_of(view)


@pytest.mark.parametrize("count", [3, 1_000])
def test_a_wipe_leaves_an_empty_view(count: int) -> None:
    body = "# HELP x Text.\nx 1\n# TYPE y counter\ny 2"
    held = [group_of(body, key_of(f"j{n}", zone=f"{n % 7}")) for n in range(count)]
    view = loaded(*held)
    change(view, *(Emptied(group.key.id, 2) for group in held), revision=2)
    snapshot = view.snapshot()
    assert snapshot.families == ()
    assert (snapshot.groups, snapshot.series, snapshot.size) == (0, 0, 0)
    assert (view.groups, view.families, list(view.key_shapes)) == ({}, {}, [])
    again = group_of("x 1", KEYS[0], revision=3)
    change(view, again, revision=3)
    assert page_of(view) == naive_page([again])


def test_after_changes_that_failed_the_last_state_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [group_of("x 1", key_of(f"j{n}")) for n in range(view_module.SMALL_WORK)]
    view = loaded(*held)
    before = page_of(view)
    with monkeypatch.context() as patched:
        patched.setattr(Holdings, "change", None)
        with pytest.raises(TypeError):
            change(view, *(Emptied(g.key.id, 2) for g in held), revision=2)
    assert page_of(view) == before
    view.apply(Changes(None, position(2), []))
    assert page_of(view) == ""


def test_new_values_do_not_pile_up_until_someone_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_module, "SMALL_WORK", 30)
    view = loaded(*(group_of("x 1", key_of(f"j{n}")) for n in range(50)))
    groups = []
    for revision in range(2, 52):
        key = key_of(f"j{revision - 2}")
        groups.append(group_of("x 2", key, revision=revision))
        change(view, groups[-1], revision=revision)
        assert len(view._holdings.pending) <= 30
    assert page_of(view) == naive_page(groups)
