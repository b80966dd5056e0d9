"""Whatever happened to a relay, it shows what one shows that has just been started.

And that is what the rows of the database come to, group by group.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import key_of, new_database
from databases import SQLITE, database_in, taking
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from naive_exposition import text_without_own
from relay_use import SECOND, Clock, page_of, put, stored_groups
from sound import check_sound

from pushrelay import janitor
from pushrelay.aggregation import Mode
from pushrelay.config import Freshness
from pushrelay.errors import InconsistentPush, InvalidGroupingKey
from pushrelay.exposition.evidence import evidence_of
from pushrelay.freshness import Standing, standing_of
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry

HOUR = 3600 * SECOND
KEYS = [
    key_of("a"),
    key_of("a", instance=""),
    key_of("a", instance="i"),
    key_of("b"),
    key_of("pods", instance="1"),
    key_of("pods", instance="2"),
]
BODIES = [
    "# TYPE x gauge\nx 1",
    "# TYPE x counter\nx 1",
    '# TYPE x gauge\nx{instance="i"} 1\n# HELP y Help.\n# TYPE y gauge\ny 2',
    "# TYPE y gauge\ny 1\nz_timestamp_seconds 7",
    "# TYPE z_timestamp_seconds counter\nz_timestamp_seconds 7",
    '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1',
    "# TYPE h_count gauge\nh_count 1",
    "",
    "x 1 1",
]
RULE = "[[jobs]]\nmatch = 'job=\"{}\"'\n"
PODS = f'{RULE.format("pods")}stale_after = "1h"\non_stale = "forget"\n'
POLICIES = [
    Policies(freshness, parse_rules(text, "rules.toml"))
    for freshness, text in [
        (Freshness(), ""),
        (Freshness(), PODS),
        (Freshness(HOUR), PODS),
        (Freshness(2 * HOUR, 4 * HOUR), PODS),
        (Freshness(HOUR // 2, 2 * HOUR), PODS.replace("1h", "3h")),
        (Freshness(None, 3 * HOUR), f'{RULE.format("a")}stale_after = "30m"\n'),
        (Freshness(2 * HOUR, timestamp_series=()), PODS.replace("pods", "a")),
    ]
]
PUSH = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(BODIES),
    st.sampled_from(Mode),
    st.sampled_from([None, None, HOUR // 2, 5 * HOUR]),
)
Write = tuple[GroupingKey, str, Mode, int | None] | GroupingKey
"""A push, or a deletion."""


class History(RuleBasedStateMachine):
    """A relay to which things happen."""

    empty: Path
    """A database to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=self.empty.parent))
        shutil.copytree(self.empty, self.directory, dirs_exist_ok=True)
        self.databases = ExitStack()
        self.databases.enter_context(taking())
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.policies = POLICIES[0]
        self.relay = self.run(self.started())
        self.asks = True

    def teardown(self) -> None:
        self.run(asyncio.to_thread(self.relay.stop))
        self.runner.close()
        check_sound(self.directory, self.clock())
        self.databases.close()
        shutil.rmtree(self.directory)

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(what)

    async def started(self) -> Relay:
        database = database_in(self.directory)
        relay = Relay(database, Telemetry(), self.policies, self.clock)
        relay.start()
        return relay

    # --- what happens ---

    @initialize(policies=st.sampled_from(POLICIES))
    def begin(self, policies: Policies) -> None:
        self.follow(policies)

    @rule(policies=st.sampled_from(POLICIES))
    def follow(self, policies: Policies) -> None:
        self.policies = policies
        self.run(self.relay.follow(policies))

    @rule(writes=st.lists(PUSH, min_size=1, max_size=2))
    def push(self, writes: list[Write]) -> None:
        self.run(self.write_all(writes))

    @rule(writes=st.lists(PUSH | st.sampled_from(KEYS), min_size=1, max_size=6))
    def push_and_delete_at_once(self, writes: list[Write]) -> None:
        self.run(self.write_all(writes))

    async def write_all(self, writes: list[Write]) -> None:
        await asyncio.gather(*map(self.write, writes))

    async def write(self, write: Write) -> None:
        if isinstance(write, GroupingKey):
            await self.relay.delete(write)
            return
        key, body, mode, stale_after = write
        at = self.clock()
        with suppress(InconsistentPush, InvalidGroupingKey):
            await put(self.relay, key, body, at=at, mode=mode, stale_after=stale_after)

    @rule(minutes=st.sampled_from([1, 30, 60, 120, 300]))
    def go_on(self, minutes: int) -> None:
        self.clock.go(60 * minutes)

    @rule(seconds=st.sampled_from([2, 1800, 3600, 9000]))
    def step_back(self, seconds: int) -> None:
        self.clock.go(-seconds)

    @rule(job=st.sampled_from(["a", "pods", "unknown"]))
    def retire(self, job: str) -> None:
        self.run(self.relay.endings.retire(job))

    @rule(what=st.sampled_from(["wipe", "remove", "restart"]))
    def disturb(self, what: str) -> None:
        self.run(getattr(self, what)())

    async def wipe(self) -> None:
        await self.relay.endings.wipe()

    async def remove(self) -> None:
        """Have the rows of what is forgotten removed."""
        await self.relay.endings.remove_forgotten()

    async def restart(self) -> None:
        await asyncio.to_thread(self.relay.stop)
        self.relay = await self.started()

    @rule(asks=st.booleans())
    def ask_or_not(self, asks: bool) -> None:
        """Let it be scraped after each of these, or only now and then."""
        self.asks = asks

    # --- what must be so ---

    @invariant()
    def shows_what_is_stored(self) -> None:
        if not self.asks:
            return
        page = self.run(page_of(self.relay))
        self.is_what_a_new_relay_shows(page)
        self.is_what_the_rows_come_to(page)

    def is_what_a_new_relay_shows(self, page: str) -> None:
        other = self.run(self.started())
        try:
            expected = self.run(page_of(other))
        finally:
            self.run(asyncio.to_thread(other.stop))
        families, others = (text_without_own(p.encode()) for p in (page, expected))
        assert families == others
        for gauge in ("pushrelay_groups", "pushrelay_series"):
            assert own_line(page, gauge) == own_line(expected, gauge)

    def is_what_the_rows_come_to(self, page: str) -> None:
        heads = [line.rpartition(" ")[0] for line in page.splitlines()]
        assert len(set(heads)) == len(heads)
        series = [head for head in heads if 'job="' in head]
        known_of_jobs = [head for head in series if head.startswith("pushrelay_job_")]
        known = self.known_groups()
        types = {
            (f.name, f.type) for group, _ in known for f in group.families.values()
        }
        assert len(dict(types)) == len(types)
        expected = [
            head for group, standing in known for head in heads_of(group, standing)
        ]
        assert sorted(expected + known_of_jobs) == sorted(series)

    def known_groups(self) -> list[tuple[Group, Standing | None]]:
        """Return all groups that are not forgotten."""
        known: list[tuple[Group, Standing | None]] = []
        for group in stored_groups(self.directory).values():
            policy = self.policies.policy_of(group.key, group.stale_after)
            if policy is None:
                known.append((group, None))
                continue
            is_timestamp, now = self.policies.is_timestamp, self.clock()
            standing = standing_of(policy, group.times, is_timestamp, now)
            if not standing.is_forgotten:
                known.append((group, standing))
        return known


def heads_of(group: Group, standing: Standing | None) -> list[str]:
    """Return what should be shown of `group`, less the values."""
    shown = replace(group, standing=standing)
    lines = [
        line.rpartition(" ")[0]
        for family in group.families.values()
        if family.name not in shown.withheld
        for line in family.series.decode().splitlines()
    ]
    key = group.key.exposed.decode()
    return lines + [f"{name}{{{key}}}" for name in evidence_of(shown)]


def own_line(page: str, name: str) -> str:
    [line] = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return line


@pytest.mark.system
@pytest.mark.no_cover
def test_it_shows_what_a_new_relay_shows_whatever_happened(
    tmp_path: Path, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 3600)
    History.empty = tmp_path / "empty"
    History.empty.mkdir()
    new_database(History.empty).close()
    # A relay takes longer to begin on a server.
    examples = 50 if database_kind == SQLITE else 10
    run_state_machine_as_test(
        History,
        settings=settings(max_examples=examples, stateful_step_count=20),
    )
