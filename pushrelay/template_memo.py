"""Remembers the templates of the latest pushes."""

from __future__ import annotations

import re
import threading
from operator import itemgetter
from sys import getsizeof

from cachetools import LRUCache

from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Payload
from pushrelay.model import Labels
from pushrelay.templates import (
    Names,
    ReadMarked,
    Skeleton,
    Template,
    Values,
    make_template,
)

MEMO_BYTES = 32 * 1024 * 1024
"""What all templates may take together, about."""

LARGEST_BODY = 1024 * 1024
"""Larger bodies are rare, and splitting them would hold up all other threads."""

LARGEST_LABELS = 8 * 1024 * 1024
"""What the grouping labels may take in all lines of a push. With long ones on many
lines, even making a template would take far longer than reading a small body."""

SEEN = 4096
"""Skeletons that came once are remembered by their hash, so many at a time."""

_VALUE = re.compile(r" ([-+.0-9eE]+)\n")
_FAMILY_BYTES = 700
"""What a family with a short name takes in a layout, about."""


class Templates:
    """The templates of the latest pushes, in limited memory. For any thread.

    largest_labels: as LARGEST_LABELS, if less.
    """

    def __init__(
        self, read_marked: ReadMarked, largest_labels: int = LARGEST_LABELS
    ) -> None:
        self._read_marked = read_marked
        self._largest_labels = min(LARGEST_LABELS, largest_labels)
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._kept: LRUCache[object, tuple[Template | None, int]]
        self._kept = LRUCache(MEMO_BYTES, getsizeof=itemgetter(1))

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        return int(self._kept.currsize)

    @property
    def seen(self) -> int:
        """How many skeletons it knows that came once."""
        return len(self._seen)

    def fill(self, body: bytes, key: GroupingKey, now: int) -> Payload | None:
        """Return the payload of `body`, pushed to `key` at `now`.

        None where the body must be read whole, which also tells what is wrong with it.
        """
        labels, label_bytes = key.labels, len(key.canonical)
        template, values = self._find(body, labels, label_bytes)
        if template is None or template.lines * label_bytes > self._largest_labels:
            return None
        try:
            return template.fill(values, labels, now)
        except ValueError:
            return None

    def _find(
        self, body: bytes, labels: Labels, label_bytes: int
    ) -> tuple[Template | None, Values]:
        """Return the template of `body`, made if it comes for the second time, and the
        values to fill it with."""
        if (
            len(body) > LARGEST_BODY
            or body.count(b"\n") * label_bytes > self._largest_labels
        ):
            return None, []
        try:
            parts = _VALUE.split(body.decode())
        except UnicodeDecodeError:
            return None, []
        names = tuple([name for name, _ in labels])
        skeleton = tuple(parts[::2])
        identity = (names, skeleton)
        with self._lock:
            kept = self._kept.get(identity)
            if kept is None and not self._came_before(hash(identity)):
                return None, []
        if kept is None:
            kept = _sized(
                names, skeleton, make_template(skeleton, names, self._read_marked)
            )
            with self._lock:
                if kept[1] <= MEMO_BYTES:
                    self._kept[identity] = kept
        return kept[0], parts[1::2]

    def _came_before(self, hashed: int) -> bool:
        if hashed in self._seen:
            return True
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen.add(hashed)
        return False


def _sized(
    names: Names, skeleton: Skeleton, template: Template | None
) -> tuple[Template | None, int]:
    """Return `template` with about how many bytes it takes to keep it; None in place of
    one that takes too much, or else it would be made for each push."""
    parts = sum([getsizeof(part) + 8 for part in (*names, *skeleton)])
    if template is None:
        return None, parts
    numbers = 36 * len(skeleton) + 8 * (
        template.text.count("%s") + len(template.counts)
    )
    families = _FAMILY_BYTES * len(template.layout.families)
    size = parts + getsizeof(template.text) + numbers + families
    return (template, size) if size <= MEMO_BYTES else (None, parts)
