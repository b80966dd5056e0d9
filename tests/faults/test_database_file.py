"""What people do to the file of the database while the relay runs."""

from __future__ import annotations

import pytest
from relay_process import StartRelay

pytestmark = pytest.mark.system


def test_a_file_that_was_gone_for_a_while_keeps_every_push(
    start_relay: StartRelay,
) -> None:
    relay = start_relay()
    for number in range(20):
        assert relay.put(f"/metrics/job/j{number}", "value 1\n").status == 200
    elsewhere = relay.database.with_name("elsewhere.db")
    relay.database.rename(elsewhere)

    assert "pushrelay_store_up 0\n" in relay.page()
    assert relay.put("/metrics/job/late", "value 1\n").status == 503
    assert not relay.database.exists()

    elsewhere.rename(relay.database)
    assert relay.put("/metrics/job/late", "value 1\n").status == 200
    relay.kill()
    relay.start()
    assert len(relay.groups()) == 21
