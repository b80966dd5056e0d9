"""Spools, relays that take all, and what jobs find around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from executed import Executor, taking
from noting_relay import NotingRelay

from pushrelay.wrapper.spool import Spool


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory for the state of the spool; it is not there yet."""
    return tmp_path / "state"


@pytest.fixture
def spool(home: Path) -> Spool:
    """A spool in `home`."""
    return Spool([str(home)])


@pytest.fixture
def job_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for what must outlive a run of this process; nothing else that jobs
    go by is in the environment."""
    for name in ("PUSHRELAY_TOKEN", "PUSHRELAY_TOKEN_FILE", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PUSHRELAY_STATE_DIR", str(tmp_path / "state"))
    # Where nobody listens.
    monkeypatch.setenv("PUSHRELAY_URL", "http://127.0.0.1:1")
    return tmp_path / "state"


@pytest.fixture
def noting_relay(
    job_state: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NotingRelay]:
    """A relay that takes all reports; jobs of this process find it."""
    with NotingRelay() as server:
        monkeypatch.setenv("PUSHRELAY_URL", server.url)
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NotingRelay]:
    """A relay that takes all reports, and makes the file `began` at the first."""
    with NotingRelay(taking(tmp_path / "began")) as server:
        yield server


@pytest.fixture
def executor(server: NotingRelay, tmp_path: Path) -> Executor:
    """What reports there."""
    return Executor(tmp_path, server.url)
