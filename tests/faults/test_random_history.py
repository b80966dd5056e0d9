"""What threads push at random is shown as by the simplest of relays.

Between two rounds everything stands still, and what relays show in each format is
compared with what is in their database. During a round another thread scrapes.

PUSHRELAY_TEST_HISTORY is the seed to begin with, or the path of the file that a failed
run left. PUSHRELAY_TEST_OPERATIONS is how many requests a history has.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from compat.metric_messages import CONTENT_TYPE as PROTOBUF
from naive_exposition import (
    NaiveExposition,
    document_of,
    inflated,
    messages_without_own,
    stored_groups,
    text_without_own,
)
from owned_groups import Event, OwnedGroup, Scrape
from prometheus_client.parser import text_string_to_metric_families
from random_history import THREADS, Operation, Round, Verdict, rounds_of
from relay_process import RelayProcess
from sound import check_sound_at

from pushrelay.exposition.escaping import Escaping

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("unmeasured")]

OPERATIONS = int(os.environ.get("PUSHRELAY_TEST_OPERATIONS", "2000"))
RESTART_AFTER = 5
BETWEEN_SCRAPES = 0.03
FLAGS = ("--web.enable-admin-api", "--push.enable-utf8-names", "--log.format=json")
TEXT = "text/plain; version=0.0.4"
GZIP = {"Accept-Encoding": "gzip"}
ENCODINGS: tuple[dict[str, str], ...] = ({}, GZIP)
USUAL_MESSAGES = ("push refused", "created a new, empty database")

# What a relay otherwise does only with thousands of groups: several blocks a family,
# each compressed on its own, and changes that are too large to be put off.
SMALL_BLOCKS = """
from pushrelay.view import blocks, exposition, loading, rendering, view
blocks.BLOCK_GROUPS = loading.BLOCK_GROUPS = 3
rendering.LARGE_BLOCK = 100
view.SMALL_WORK = 15
exposition.SMALL_TEXT = 5_000
from pushrelay.__main__ import main
main()
"""


class SmallBlocksProcess(RelayProcess):
    program = ("-c", SMALL_BLOCKS)


@pytest.mark.parametrize(
    ("kind", "count", "seed"),
    [
        pytest.param(RelayProcess, 1, 1, id="a known one"),
        pytest.param(SmallBlocksProcess, 1, None, id="small blocks"),
        pytest.param(RelayProcess, 2, None, id="two relays of a database"),
    ],
)
def test_a_random_history_is_shown_as_it_is_stored(
    kind: type[RelayProcess], count: int, seed: int | None, tmp_path: Path
) -> None:
    with ExitStack() as running:
        relays = []
        for number in range(count):
            directory = tmp_path / str(number)
            directory.mkdir()
            relay = kind(directory, *FLAGS)
            relay.database = tmp_path / "relay.db"
            relays.append(running.enter_context(relay))
        Run(relays, wanted_seed(seed)).run()


def wanted_seed(seed: int | None) -> int:
    """Return the seed that was asked for, or else `seed`, or else a new one."""
    wanted = os.environ.get("PUSHRELAY_TEST_HISTORY")
    if wanted:
        is_path = not wanted.isdigit()
        return int(json.loads(Path(wanted).read_text())["seed"] if is_path else wanted)
    return random.SystemRandom().randrange(10**9) if seed is None else seed


class Run:
    """A history that `relays`, which share a database, go through."""

    def __init__(self, relays: list[RelayProcess], seed: int) -> None:
        self.relays = relays
        self.seed = seed
        self.events: list[Event] = []
        self.owned: dict[str, OwnedGroup] = {}

    def run(self) -> None:
        """Go through it; raises AssertionError with the path of a record of it."""
        print(f"seed {self.seed}")  # noqa: T201  # pytest shows it after a failure
        try:
            for number, round_ in enumerate(rounds_of(self.seed, OPERATIONS), 1):
                self._run_round(round_)
                if number == RESTART_AFTER:
                    self._restart()
            assert {event.status for event in self.events} == {200, 202, 400}
            self._check_logs()
            check_sound_at(f"sqlite:///{self.relays[0].database}")
        except Exception as error:
            path = self.relays[0].directory / "history.json"
            path.write_text(json.dumps(self._record(), indent=1))
            raise AssertionError(
                f"{error}\n\nThe history is in {path}: PUSHRELAY_TEST_HISTORY={path}"
            ) from error

    def _record(self) -> dict[str, Any]:
        ordered = sorted(self.events, key=lambda event: event.began)
        return {"seed": self.seed, "events": [_readable(event) for event in ordered]}

    def _run_round(self, round_: Round) -> None:
        done = threading.Event()
        with ThreadPoolExecutor(THREADS + 1) as threads:
            scraping = threads.submit(self._scrape_until, done)
            sending = [threads.submit(self._send, operations) for operations in round_]
            try:
                events = [event for future in sending for event in future.result()]
            finally:
                done.set()
            scrapes = [*scraping.result(), scrape(self.relays[-1], {})]
        for event in events:
            check_verdict(event)
        for relay in self.relays:
            compare(relay)
        self._check_owned(events, scrapes)

    def _send(self, operations: list[Operation]) -> list[Event]:
        events = []
        with ExitStack() as open_:
            connections = []
            for relay in self.relays:
                connections.append(HTTPConnection(relay.host, relay.port, timeout=20))
                open_.callback(connections[-1].close)
            for operation in operations:
                event = Event(operation, time.time())
                self.events.append(event)
                connection = connections[operation.relay % len(connections)]
                connection.request(
                    operation.method,
                    operation.target,
                    operation.body,
                    operation.headers,
                )
                response = connection.getresponse()
                event.text, event.status = response.read().decode(), response.status
                event.ended = time.time()
                events.append(event)
        return events

    def _scrape_until(self, done: threading.Event) -> list[Scrape]:
        """Scrape in all ways; return what can be looked into closely."""
        choices = random.Random(self.seed)
        scrapes, texts = [], []
        while not done.wait(BETWEEN_SCRAPES):
            relay = choices.choice(self.relays)
            scrapes.append(scrape(relay, choices.choice(ENCODINGS)))
            accept = {"Accept": choices.choice((TEXT, PROTOBUF))}
            page = page_of(relay, accept | choices.choice(ENCODINGS))
            if accept["Accept"] == TEXT:
                texts.append(page.decode())
            else:
                names = [bytes(m.name) for m in messages_without_own(page)]
                assert len(set(names)) == len(names), f"a family came twice: {names}"
        # Its parser takes long.
        for text in texts[:1]:
            assert list(text_string_to_metric_families(text))
        return scrapes

    def _check_owned(self, events: list[Event], scrapes: list[Scrape]) -> None:
        wipe = next((event for event in events if event.operation.is_wipe), None)
        for event in events:
            job = event.operation.owned
            if job is not None:
                self.owned.setdefault(job, OwnedGroup(job))
        for job, group in self.owned.items():
            mine = [event for event in events if event.operation.owned == job]
            group.check(mine, wipe, scrapes)

    def _restart(self) -> None:
        for relay in self.relays:
            assert relay.stop() == 0
            relay.start()
            compare(relay)

    def _check_logs(self) -> None:
        for relay in self.relays:
            for line in relay.log.splitlines():
                said = json.loads(line)
                is_usual = said["msg"].startswith(USUAL_MESSAGES)
                assert said["level"] == "info" or is_usual, line
                assert "traceback" not in said, line


def check_verdict(event: Event) -> None:
    """Check that an operation was not accepted or refused that could not be."""
    operation = event.operation
    changed = 202 if operation.is_wipe or operation.method == "DELETE" else 200
    expected = {
        Verdict.ACCEPTED: (changed,),
        Verdict.REFUSED: (400,),
        Verdict.SOMETHING: (changed, 400),
    }
    assert event.status in expected[operation.verdict], event


def compare(relay: RelayProcess) -> None:
    """Check that `relay` shows what is in the database, and is well."""
    groups = stored_groups(relay.database)
    naive = NaiveExposition(groups)
    for escaping, encoding in product(Escaping, ENCODINGS):
        accept = {"Accept": f"{TEXT}; escaping={escaping.value}"}
        page = page_of(relay, accept | encoding)
        check_same(text_without_own(page), naive.text(escaping))
        accept = {"Accept": f"{PROTOBUF}; escaping={escaping.value}"}
        page = page_of(relay, accept | encoding)
        check_same(messages_without_own(page), naive.messages(escaping))
    check_same(relay.groups(), document_of(groups))
    assert f"pushrelay_groups {len(groups)}\n" in relay.page()
    for path in ("/", "/-/healthy", "/-/ready"):
        assert relay.get(path).status == 200


def check_same(shown: list[Any], expected: list[Any]) -> None:
    """Check that two lists are equal; tell of the first place where they are not."""
    for one, other in zip(shown, expected, strict=False):
        assert one == other, f"shown is\n{one}\ninstead of\n{other}"
    assert len(shown) == len(expected), f"{len(shown)} instead of {len(expected)}"


def scrape(relay: RelayProcess, headers: dict[str, str]) -> Scrape:
    """Scrape the format that nothing is lost in."""
    began = time.time()
    page = page_of(relay, {"Accept": f"{TEXT}; escaping=allow-utf-8", **headers})
    return Scrape.of(page.decode(), began, time.time())


def page_of(relay: RelayProcess, headers: dict[str, str]) -> bytes:
    response = relay.get("/metrics", headers)
    assert response.status == 200, response.text
    is_gzipped = response.header("Content-Encoding") == "gzip"
    assert is_gzipped == ("Accept-Encoding" in headers)
    return inflated(response.body) if is_gzipped else response.body


def _readable(event: Event) -> dict[str, Any]:
    operation = event.operation
    return {
        "began": event.began,
        "ended": event.ended,
        "relay": operation.relay,
        "method": operation.method,
        "target": operation.target,
        "headers": operation.headers,
        "body": operation.body.decode("latin-1"),
        "status": event.status,
        "answer": event.text,
    }
