"""Threads that all must end well."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE = 150.0
"""Longer than any client tries something."""


class Crew:
    """Threads that all must end well."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._is_over = threading.Event()

    def start(self, work: Callable[..., None], *of: object) -> None:
        """Have `work` done, which is told whether it is over, and then `of`."""
        thread = threading.Thread(target=self._run, args=(work, *of), daemon=True)
        self._threads.append(thread)
        thread.start()

    def require_well(self) -> None:
        """Raise what any of them has raised."""
        if self._failures:
            raise AssertionError("a thread has failed") from self._failures[0]

    def finish(self) -> None:
        """Tell all that it is over, wait for them, and require that all are well."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a client hangs"
        self.require_well()

    def _run(self, work: Callable[..., None], *of: object) -> None:
        try:
            work(self._is_over.is_set, *of)
        except BaseException as failure:  # noqa: BLE001  # raised where somebody looks
            self._failures.append(failure)
