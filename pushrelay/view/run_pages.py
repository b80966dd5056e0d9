"""The families of all run pages: what scrapes show of runs and of expectations."""

from __future__ import annotations

from collections import defaultdict

from pushrelay.groups import FamilyShape, RunPage
from pushrelay.view.family import Family


class RunPages:
    """Run pages by a name that is theirs alone, and the families that they have.

    families: by name, as of the last `update`. series, size: how many label sets all
    pages have, and how many bytes of text.
    """

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self.series = self.size = 0
        self._pages: dict[str, RunPage] = {}
        # By family and by canonical key; the last change of a page counts.
        self._moved: defaultdict[str, dict[bytes, RunPage | None]] = defaultdict(dict)
        # As long as a family shows a page, it must count it.
        self._uncounted: list[FamilyShape] = []

    def all(self) -> list[RunPage]:
        """Return all pages."""
        return list(self._pages.values())

    def put(self, name: str, page: RunPage) -> None:
        """Let `page` be what is shown under `name`."""
        self._replace(self._pages.get(name), page)
        self._pages[name] = page

    def remove(self, name: str) -> None:
        """Let nothing be shown under `name`."""
        old = self._pages.pop(name, None)
        if old is not None:
            self._replace(old, None)

    def update(self) -> set[str]:
        """Bring what changed into the families; return the names of those that look
        different."""
        for shape in self._uncounted:
            self.families[shape.name].uncount(shape)
        self._uncounted = []
        moved, self._moved = self._moved, defaultdict(dict)
        for name, changes in moved.items():
            family = self.families[name]
            family.groups.update(list(changes.items()))
            if not family.is_held:
                del self.families[name]
        return set(moved)

    def _replace(self, old: RunPage | None, new: RunPage | None) -> None:
        gone = _shapes_of(old)
        for name, shape in _shapes_of(new).items():
            before = gone.pop(name, None)
            if before is not shape:
                self._family(name).count(shape)
                if before is not None:
                    self._uncounted.append(before)
        self._uncounted += gone.values()
        self._note(old, set(gone), None)
        self._note(new, set(_shapes_of(new)), new)
        self._count(old, -1)
        self._count(new, 1)

    def _note(
        self, holder: RunPage | None, names: set[str], shown: RunPage | None
    ) -> None:
        """Note that the families `names` of `holder` are those of `shown` now."""
        if holder is not None:
            for name in names:
                self._moved[name][holder.key.canonical] = shown

    def _family(self, name: str) -> Family:
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = Family(name)
        return family

    def _count(self, page: RunPage | None, times: int) -> None:
        if page is not None:
            self.series += times * page.payload.layout.size
            self.size += times * len(page.payload.text)


def _shapes_of(page: RunPage | None) -> dict[str, FamilyShape]:
    if page is None:
        return {}
    return {shape.name: shape for shape in page.payload.layout.families}
