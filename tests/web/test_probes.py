"""What the probes say of a relay that cannot show what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_process import InProcessRelay
from relay_use import Clock
from waiting import wait_until

from pushrelay.view.exposition import Exposition


def test_a_relay_that_cannot_render_its_page_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with InProcessRelay(tmp_path, Clock()) as relay:
        assert relay.put("/metrics/job/a", "x 1\n").status == 200
        assert relay.get("/-/healthy").status == 200
        monkeypatch.setattr(Exposition, "chunks", fail)
        assert relay.get("/metrics").status == 500
        wait_until(lambda: relay.get("/-/healthy").status == 500)
        assert relay.put("/metrics/job/b", "x 1\n").status == 200
