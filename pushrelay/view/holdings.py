"""Who holds which family: what hangs on the groups of a view."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import chain

from pushrelay.changes import JobRecord
from pushrelay.exposition.evidence import JOB_EVIDENCE, evidence_of, evidence_shape
from pushrelay.groups import FamilyShape, Group, Holder
from pushrelay.stock import Stock
from pushrelay.view.blocks import HolderChange
from pushrelay.view.family import Family
from pushrelay.view.jobs import Jobs, outlives_groups
from pushrelay.view.key_shapes import KeyShapes
from pushrelay.view.loading import load_families

_EVIDENCE_BYTES = 100
"""About what a line of a group's evidence takes, but for its labels."""

NewGroups = dict[bytes, Group | None]
"""What groups are from now on, by their id; None is nothing."""


class Holdings:
    """The families of groups, by name, and what else follows from the groups.

    pending: groups of which only values changed, by id, until `settle`. changed: names
    of the families that look different since someone emptied it. series, size: label
    sets that are shown, and about how many bytes of text.
    """

    def __init__(self, groups: Iterable[Group] = (), jobs: Jobs | None = None) -> None:
        held = list(groups)
        self.jobs = jobs or Jobs()
        known = self.jobs.all()
        self.families = load_families(held, known)
        self.key_shapes = KeyShapes(group.key.names for group in held)
        self.series = sum(map(_series_of, held)) + len(JOB_EVIDENCE) * len(known)
        self.size = sum(map(size_of, held))
        self.stock = Stock(held)
        self.pending: dict[bytes, Group] = {}
        self.changed: set[str] = set()

    def settle(self) -> None:
        """Bring the groups of which only values changed into their blocks."""
        changes: dict[str, list[HolderChange]] = defaultdict(list)
        for group in self.pending.values():
            change = (group.key.canonical, group)
            for name in _shown(group):
                changes[name].append(change)
        for name, of_family in changes.items():
            self.families[name].groups.update(of_family)
        self.changed.update(changes)
        self.pending = {}

    def work_of(self, groups: dict[bytes, Group], new: NewGroups) -> int:
        """Return how many blocks and help texts `change` would look at."""
        work = 0
        for id_, group in new.items():
            old = groups.get(id_)
            if _only_values_differ(old, group):
                work += 0 if id_ in self.pending else _families_of(group)
                continue
            work += _families_of(old) + _families_of(group)
            for name in group.payload.layout.index if group else ():
                family = self.families.get(name)
                work += len(family.helps) if family else 0
        return work

    def change(
        self,
        groups: dict[bytes, Group],
        new: NewGroups,
        records: list[JobRecord],
        forgotten: Collection[Group] = (),
    ) -> None:
        """Take `new` over into `groups`, and what the store has of jobs.

        forgotten: the groups that are in the store beside `groups`.
        """
        moved: dict[str, list[HolderChange]] = defaultdict(list)
        gone: list[Group] = []
        for id_, group in new.items():
            old = groups.get(id_)
            self.stock.change(old, group)
            self._count_for_job(old, group)
            if old and group and _only_values_differ(old, group):
                self.pending[id_] = groups[id_] = group
                self.size += len(group.payload.text) - len(old.payload.text)
                continue
            self.pending.pop(id_, None)
            if group is not None:
                self._move(old, group, moved)
                groups[id_] = group
            elif old is not None:
                gone.append(old)
                del groups[id_]
        for alike in _by_kind(gone):
            self._remove(alike, moved)
        retired = self.jobs.record(records)
        if retired:
            # Mostly, none of them has groups any more.
            gone_with = self.jobs.are_without_groups(retired)
            live = () if gone_with else groups.values()
            self.jobs.recount(retired, chain(live, forgotten))
        self._move_jobs(moved)
        for name, changes in moved.items():
            family = self.families[name]
            family.groups.update(changes)
            if not family.is_held:
                del self.families[name]
        self.changed.update(moved)

    def _remove(self, alike: list[Group], moved: dict[str, list[HolderChange]]) -> None:
        """Note in `moved` that groups of one kind are no more."""
        one, times = alike[0], len(alike)
        for name, shape in _shapes_of(one).items():
            self.families[name].uncount(shape, times)
            # Whether or not it was shown, it may be that nobody else has it.
            moved[name] += ()
        keys = [group.key.canonical for group in alike]
        changes: list[HolderChange] = [(key, None) for key in keys]
        for name in _shown(one):
            moved[name] += changes
        for name in one.withheld:
            self.families[name].withheld.difference_update(keys)
        self.key_shapes.remove(one.key.names, times)
        self.series -= times * _series_of(one)
        self.size -= sum(map(size_of, alike))

    def _move(
        self, old: Group | None, new: Group, moved: dict[str, list[HolderChange]]
    ) -> None:
        """Note in `moved` what becomes of the families of one group."""
        before = _shapes_of(old)
        for name, shape in _shapes_of(new).items():
            held = before.pop(name, None)
            if held is not shape:
                self._family(name).count(shape)
                if held is not None:
                    self.families[name].uncount(held)
                # Whether or not it is shown, its help may be that of others now.
                moved[name] += ()
        for name, shape in before.items():
            self.families[name].uncount(shape)
            # Likewise, it may be that nobody else has it.
            moved[name] += ()
        if old is None:
            self.key_shapes.add(new.key.names)
        else:
            self._show(old, _shown(old) - _shown(new), None, moved)
            for name in old.withheld:
                self.families[name].withheld.discard(old.key.canonical)
            self._count(old, -1)
        self._show(new, _shown(new), new, moved)
        for name in new.withheld:
            self.families[name].withheld.add(new.key.canonical)
        self._count(new, 1)

    @staticmethod
    def _show(
        holder: Holder,
        names: Iterable[str],
        shown: Holder | None,
        moved: dict[str, list[HolderChange]],
    ) -> None:
        """Note that the families `names` of `holder` are those of `shown` now."""
        for name in names:
            moved[name].append((holder.key.canonical, shown))

    def _move_jobs(self, moved: dict[str, list[HolderChange]]) -> None:
        """Note in `moved` what becomes of the evidence of jobs."""
        for old, new in self.jobs.take_changed():
            known = new or old
            if known is None:
                continue
            for name in JOB_EVIDENCE:
                shape = evidence_shape(known.key, name)
                if old is None:
                    self._family(name).count(shape)
                if new is None:
                    self.families[name].uncount(shape)
            self._show(known, JOB_EVIDENCE, new, moved)
            self.series += len(JOB_EVIDENCE) * ((new is not None) - (old is not None))

    def _family(self, name: str) -> Family:
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(name)
        return family

    def _count_for_job(self, old: Group | None, new: Group | None) -> None:
        if old is not None and outlives_groups(old):
            self.jobs.remove(old)
        if new is not None and outlives_groups(new):
            self.jobs.add(new)

    def _count(self, group: Group, times: int) -> None:
        self.series += times * _series_of(group)
        self.size += times * size_of(group)


def _by_kind(groups: Iterable[Group]) -> Iterable[list[Group]]:
    """Return `groups` in lists of those that have and show the same families, and have
    the same label names."""
    kinds: dict[object, list[Group]] = defaultdict(list)
    for group in groups:
        shown = (group.payload.layout, group.withheld, evidence_of(group))
        kinds[shown, group.key.names].append(group)
    return kinds.values()


def _only_values_differ(old: Group | None, new: Group | None) -> bool:
    return bool(
        old
        and new
        and old.payload.layout is new.payload.layout
        and old.withheld == new.withheld
        and evidence_of(old) is evidence_of(new)
    )


def _shapes_of(group: Group | None) -> dict[str, FamilyShape]:
    """The shapes of all that `group` has, shown or withheld, by name."""
    if group is None:
        return {}
    shapes = {family.name: family for family in group.payload.layout.families}
    names = evidence_of(group)
    return shapes | {name: evidence_shape(group.key, name) for name in names}


def _shown(group: Group | None) -> set[str]:
    """The names of all that a scrape shows of `group`."""
    if group is None:
        return set()
    return {*group.payload.layout.index, *evidence_of(group)} - group.withheld


def _families_of(group: Group | None) -> int:
    if group is None:
        return 0
    return len(group.payload.layout.families) + len(evidence_of(group))


def _series_of(group: Group) -> int:
    layout = group.payload.layout
    hidden = [layout.families[layout.index[name]].size for name in group.withheld]
    return layout.size - sum(hidden) + len(evidence_of(group))


def size_of(group: Group) -> int:
    """Return about how many bytes of text a scrape shows of `group`."""
    evidence = len(evidence_of(group)) * (_EVIDENCE_BYTES + len(group.key.canonical))
    return len(group.payload.text) + evidence
