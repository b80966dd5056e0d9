"""What tests of the store have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import new_database

from pushrelay.store.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database of a test's own."""
    database = new_database(tmp_path)
    yield database
    database.close()
