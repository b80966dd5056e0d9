"""Something that is wrong in a database."""

from __future__ import annotations

from dataclasses import dataclass

CLOCK_REMEDY = "back it up, and restore that in its place: the clock begins anew"
ROW_REMEDY = "restore a backup, or delete the row and start the relays again"
FILE_REMEDY = "stop the relays, and restore a backup into a new database"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in a line for a person.

    key: which row of the table it is, if it is one. what: without a subject. remedy:
    what to do.
    """

    table: str
    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.table} {self.key}".rstrip()
        return " ".join(f"{where}: {self.what}; {self.remedy}".split())
