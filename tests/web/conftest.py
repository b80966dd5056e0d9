"""A relay whose pages several modules read, and names for its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from pages_use import Told, told_relay

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A relay of a module's own, and what is told to it."""
    with told_relay(tmp_path_factory.mktemp("relay")) as relay:
        yield relay


@pytest.fixture
def job() -> str:
    """A name that no other test has."""
    return f"job-{next(_NUMBERS)}"
