"""A run: clients write, scrapers read, and faults happen, until time is up."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from relay_process import HTTPClient, RelayProcess
from torture.checker import Verdict
from torture.clients import Client
from torture.crew import Crew
from torture.history import Ending, History, Kind, Outcome
from torture.nemesis import Nemesis
from torture.page import without_own
from torture.scrapers import Scraper
from torture.stage import Stage, process_of

CLIENTS = 16
DIRECT = 4
"""So many clients know a replica by itself, and the others the balancer."""

LEAST = 10
"""So many operations of each kind, and scrapes of each observer, tell something."""


@dataclass
class Plan:
    """seconds: how long clients write, at least; every fault happens once even so.
    fault_seconds, calm_seconds: how long a fault and the time between two are, about.
    """

    seconds: float
    seed: int
    fault_seconds: float = 1.0
    calm_seconds: float = 0.5
    pause: float = 0.1
    say: Callable[[str], None] = field(default=lambda _: None)


def play(stage: Stage, plan: Plan, history: History) -> None:
    """Let everything happen on `stage`, which runs, and note it in `history`."""
    crew = Crew()
    begun = time.monotonic()
    scrapers = _scrapers(stage, history)
    for number, scraper in enumerate(scrapers):
        crew.start(scraper.run, plan.pause * (1 + number / 10))
    for number in range(CLIENTS):
        at = (number + 1) % len(stage.replicas)
        looker = _scraper_of(stage, at, f"client {number} at replica {at}", history)
        servers = _servers(stage, number)
        crew.start(Client(number, servers, looker, history, plan.seed).run)
    _torment(stage, history, plan, crew, begun + plan.seconds)
    crew.finish()
    stage.settle()
    for replica, scraper in zip(stage.replicas, scrapers, strict=False):
        page = scraper.scrape(is_fresh=True)
        assert page is not None, "a replica does not answer"
        runs = _runs_of(replica)
        history.note(Ending(scraper.observer, without_own(page), runs))
    for scraper in scrapers:
        scraper.close()


def require_telling(history: History, verdict: Verdict) -> None:
    """Raise unless enough happened for the verdict to mean something."""
    done = Counter(
        operation.kind
        for operation in history.operations
        if operation.outcome is Outcome.ACKNOWLEDGED
    )
    assert all(done[kind] >= LEAST for kind in Kind), done
    refused = sum(o.outcome is Outcome.REFUSED for o in history.operations)
    assert refused >= LEAST, "no type was contested"
    scrapes = Counter(scrape.observer for scrape in history.scrapes)
    observers = [name for name in scrapes if not name.startswith("client")]
    assert min(scrapes[name] for name in observers) >= LEAST, scrapes
    assert sum(scrape.is_fresh for scrape in history.scrapes) >= LEAST
    assert bool(verdict.lost) is bool(history.lost_tails)
    assert len(history.endings) > 1
    for ending in history.endings:
        assert "torture_added_total" in ending.page
        assert "contested_" in ending.page


def _torment(
    stage: Stage, history: History, plan: Plan, crew: Crew, until: float
) -> None:
    nemesis = Nemesis(stage, plan.seed, plan.fault_seconds, history)
    for number, round_ in enumerate(nemesis.rounds()):
        for faults in round_:
            if number > 0 and time.monotonic() > until:
                return
            time.sleep(plan.calm_seconds)
            crew.require_well()
            plan.say(" and ".join(faults))
            nemesis.inflict(faults)


def _servers(stage: Stage, number: int) -> list[HTTPClient]:
    """Return whom a client asks, and whom else when it must try again."""
    one: HTTPClient = stage.replicas[number % len(stage.replicas)]
    if number < DIRECT:
        return [one, stage.balancer]
    return [stage.balancer, one]


def _scrapers(stage: Stage, history: History) -> list[Scraper]:
    scrapers = [
        _scraper_of(stage, number, f"replica {number}", history)
        for number in range(len(stage.replicas))
    ]
    balancer = Scraper("balancer", stage.balancer, lambda: None, history)
    return [*scrapers, balancer]


def _scraper_of(stage: Stage, number: int, observer: str, history: History) -> Scraper:
    replica = stage.replicas[number]
    return Scraper(observer, replica, partial(process_of, replica), history)


def _runs_of(replica: RelayProcess) -> list[tuple[str, str]]:
    """Return the id and the state of each run that a replica lists."""
    runs: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        response = replica.get(f"/api/v1/runs?limit=1000{after}")
        assert response.status == 200, response.text
        data = json.loads(response.body)["data"]
        runs += [(run["id"], run["state"]) for run in data["runs"]]
        cursor = data["next"]
    return runs
