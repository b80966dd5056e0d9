"""Additions with idempotency keys are exact, however often they are tried."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from dataclasses import dataclass, field

import pytest
from relay_process import RelayProcess, StartRelay

pytestmark = pytest.mark.system

CLIENTS = 8
PUSHES = 60
KILLS = 3
GROUPS = ("/metrics/job/one", "/metrics/job/two")
BODY = """# TYPE c_total counter
c_total{{l="1"}} {n}
c_total{{l="2"}} 1
# TYPE h histogram
h_bucket{{le="1"}} {n}
h_bucket{{le="+Inf"}} {more}
h_sum {n}
h_count {more}
# TYPE s summary
s_sum {n}
s_count 1
"""


@dataclass
class Client:
    """Adds to both groups, and repeats what it is not sure of, and some of the rest."""

    number: int
    added: dict[str, list[int]] = field(default_factory=dict)
    unexpected: list[int] = field(default_factory=list)

    def run(self, relay: RelayProcess) -> None:
        chance = random.Random(self.number)
        for push in range(PUSHES):
            path, amount = chance.choice(GROUPS), chance.randrange(1, 100)
            self.added.setdefault(path, []).append(amount)
            tries = 1 if chance.random() < 0.7 else 3
            for _ in range(tries):
                self._push_until_answered(relay, path, push, amount)

    def _push_until_answered(
        self, relay: RelayProcess, path: str, push: int, amount: int
    ) -> None:
        body = BODY.format(n=amount, more=amount + 1)
        headers = {"Idempotency-Key": f"{self.number}-{push}"}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(relay.host, relay.port, timeout=10)
            try:
                connection.request("POST", f"{path}?mode=add", body, headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # killed; who knows whether it was stored
                continue
            finally:
                connection.close()
            if status == 200:
                return
            if status != 503:
                self.unexpected.append(status)
                return
        self.unexpected.append(0)


def values_of(relay: RelayProcess, path: str) -> dict[str, int]:
    job = path.rpartition("/")[2]
    found = re.findall(rf'^((?:c_|h_|s_)\S*job="{job}"\S*) (\S+)$', relay.page(), re.M)
    return {
        series.replace(f'instance="",job="{job}"', ""): int(v) for series, v in found
    }


@pytest.mark.parametrize("kills", [0, KILLS], ids=["calm", "killed"])
def test_additions_are_exact_to_the_unit(start_relay: StartRelay, kills: int) -> None:
    relay = start_relay()
    clients = [Client(number) for number in range(CLIENTS)]
    threads = [threading.Thread(target=c.run, args=(relay,)) for c in clients]
    for thread in threads:
        thread.start()
    for _ in range(kills):
        time.sleep(0.4)
        relay.kill()
        relay.start()
    for thread in threads:
        thread.join()
    assert [client.unexpected for client in clients] == [[]] * CLIENTS
    for path in GROUPS:
        added = [amount for client in clients for amount in client.added[path]]
        total, pushes = sum(added), len(added)
        assert values_of(relay, path) == {
            'c_total{,l="1"}': total,
            'c_total{,l="2"}': pushes,
            'h_bucket{,le="1"}': total,
            'h_bucket{,le="+Inf"}': total + pushes,
            "h_sum{}": total,
            "h_count{}": total + pushes,
            "s_sum{}": total,
            "s_count{}": pushes,
        }
