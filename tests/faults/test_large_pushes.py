"""Large pushes are the business of those who push them."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
from relay_process import HTTPClient

pytestmark = pytest.mark.system


@pytest.mark.parametrize("line", [b"a 1\n", b"#\n", b"#HELP\n"])
def test_a_small_bomb_leaves_the_event_loop_alone(
    relay: HTTPClient, line: bytes
) -> None:
    """Measured in probes that are answered meanwhile, not in seconds."""
    bomb = gzip.compress(line * (6_000_000 // len(line)))
    headers = {"Content-Encoding": "gzip"}
    with ThreadPoolExecutor() as pool:
        push = pool.submit(relay.put, "/metrics/job/bomb", bomb, headers)
        probes = 0
        while not push.done():
            assert relay.get("/-/healthy").status == 200
            probes += 1
    assert push.result().status in (200, 400, 413)
    assert probes >= 5


def test_a_push_beside_a_wide_group_does_not_read_all_of_it(
    relay: HTTPClient,
) -> None:
    wide = "".join(f'x{{n="{n}"}} 1\n' for n in range(200_000))
    assert relay.put("/metrics/job/wide", wide).status == 200
    for value in range(20):
        pushed = relay.put("/metrics/job/wide/instance/i", f"x {value}\n")
        assert pushed.status == 200
    twice = relay.put("/metrics/job/wide/n/7", 'x{instance=""} 1\n')
    assert twice.status == 400
    assert "was collected before" in twice.text
