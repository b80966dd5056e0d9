"""What a backup says of itself, so that damage shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pushrelay.store.kept_rows import Row

FORMAT = 1
"""Of the seal; that of the tables is the schema of the store."""


class Digest:
    """Sums up the rows of a table, in their order."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def add(self, rows: Iterable[Row]) -> None:
        """Take in these rows, too."""
        for row in rows:
            self.rows += 1
            self._hash.update(b"".join(map(_written, row)))

    def of(self, columns: Iterable[str]) -> SealedTable:
        """Return what is said of a table with these columns and the rows so far."""
        return SealedTable(list(columns), self.rows, self._hash.hexdigest())


def _written(value: object) -> bytes:
    # With its length, so that what follows cannot be taken for a part of it.
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"%s %d:%s" % (type(value).__name__.encode(), len(data), data)


@dataclass(frozen=True, slots=True)
class SealedTable:
    """What a backup says of one of its tables."""

    columns: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Seal:
    """What a backup says of itself.

    made_by: the version of pushrelay. made_at: Unix nanoseconds. tables: by name.
    """

    made_by: str
    made_at: int
    tables: dict[str, SealedTable]

    def packed(self) -> str:
        """Return it as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)})


def read_seal(packed: str) -> Seal | None:
    """Return the seal that was packed; None if its format is a newer one. Raises
    ValueError, LookupError and TypeError for what is none."""
    said = json.loads(packed)
    if said["format"] > FORMAT:
        return None
    made_at = int(said["made_at"])
    if not 0 <= made_at < 2**63:
        raise ValueError(f"it was made {made_at} ns after 1970")
    tables = {
        name: SealedTable(list(map(str, each["columns"])), each["rows"], each["sha256"])
        for name, each in dict(said["tables"]).items()
    }
    return Seal(str(said["made_by"]), made_at, tables)
