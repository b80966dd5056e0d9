"""What a batch of writes is decided by that no view holds, in its transaction."""

from __future__ import annotations

from pushrelay.store.receipts import find_receipt
from pushrelay.store.run_rows import RunRows
from pushrelay.store.session import Session


class Books:
    """The receipts and the runs, read and written in one transaction of the writer.

    now: Unix nanoseconds. runs: what is put there is undone with the transaction.
    """

    def __init__(self, session: Session, now: int) -> None:
        self._session = session
        self._now = now
        self.runs = RunRows(session)

    def receipt(self, id_: bytes) -> bytes | None:
        """Return what was pushed under the id of a receipt, None for nothing."""
        return find_receipt(self._session, id_, self._now)
