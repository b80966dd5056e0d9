"""A relay that is frozen, whatever it was about to do, and the others that go on."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from relay_process import RelayProcess
from replica_process import Replica, running
from sqlalchemy import URL
from waiting import wait_until
from worker_process import worker_of

pytestmark = [pytest.mark.postgres, pytest.mark.system]

WRITE_SECONDS = 3
HELD_UP_SECONDS = 4.5
"""How long one may hold up the others: half of that, when they find it frozen, and as
long again until a push gets the lock. With the default, see operations.md."""

SLACK_SECONDS = 5.0
ROUNDS = 8
RANDOM = random.Random(7)
LARGE = "".join(f'x{{n="{RANDOM.getrandbits(99)}"}} {n}\n' for n in range(2_000))
"""Takes some system calls to send, also when it is compressed."""


@contextmanager
def pushes_to(relay: RelayProcess) -> Iterator[None]:
    """Have clients push small and large groups to it all the time."""
    is_over = threading.Event()

    def push(number: int) -> None:
        while not is_over.is_set():
            body = LARGE if number % 2 else "y 1\n"
            relay.put(f"/metrics/job/load/instance/{number}", body)

    clients = [threading.Thread(target=push, args=(n,)) for n in range(4)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        is_over.set()
        for client in clients:
            client.join()


def test_a_frozen_relay_holds_up_the_others_for_a_short_time_only(
    store_url: URL, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = store_url.render_as_string(hide_password=False)
    flag = f"--limit.write-seconds={WRITE_SECONDS}"
    one, other = (Replica(tmp_path_factory.mktemp("relay"), url, flag) for _ in "ab")
    held_up = []
    with running(one, other):
        worker = worker_of(one)
        with pushes_to(one):
            for number in range(ROUNDS):
                time.sleep(RANDOM.uniform(0.02, 0.15))
                os.kill(worker, signal.SIGSTOP)
                try:
                    began = time.monotonic()
                    body = f"z {number}\n"
                    wait_until(
                        lambda body=body: (
                            other.put("/metrics/job/a", body).status == 200
                        ),
                        "a push",
                    )
                    held_up.append(time.monotonic() - began)
                finally:
                    os.kill(worker, signal.SIGCONT)
        assert max(held_up) < HELD_UP_SECONDS + SLACK_SECONDS
        # It was told that what it was about to do was undone, and goes on.
        wait_until(lambda: one.put("/metrics/job/b", "z 1\n").status == 200)
        assert one.page() == other.page()
        assert worker_of(one) == worker
