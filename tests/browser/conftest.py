"""A browser for each file of tests, and a relay with something in every state."""

from __future__ import annotations

from collections.abc import Iterator

import page_data
import pytest
from browsers import chromium
from page_data import Shown
from playwright.sync_api import Browser
from relay_process import StartRelay


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shown(start_relay: StartRelay, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A relay that pages can show, and what it was filled with."""
    relay = start_relay(*page_data.flags(tmp_path_factory.mktemp("rules")))
    return Shown(relay, page_data.fill(relay))
