"""A store with something of everything, and what can be told of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import families_of_messages, key_of
from databases import database_in
from naive_exposition import text_without_own
from relay_use import SECOND, Clock, open_relay, page_of, put
from run_relays import HOUR, begun, ended, report
from sqlalchemy import select

from pushrelay.aggregation import Mode
from pushrelay.errors import InconsistentPush
from pushrelay.expectations import Source
from pushrelay.job_rules import RuleLimits, parse_rules
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.rights import Right
from pushrelay.runs import End, Outcome, Usage
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.store.engine import Database
from pushrelay.store.kept_rows import KEPT
from pushrelay.store.run_list import RunFilter
from pushrelay.store.schema import commits
from pushrelay.store.token_rows import insert_session, insert_token
from pushrelay.tokens import Token
from pushrelay.writes import ChangeExpectation, receipt_of

ADDED, ODD, LARGE = key_of("added"), key_of("\x00 'b/é\n", m=""), key_of("large")
COUNTER = "# TYPE c counter\nc 5"
RULES = """
[[jobs]]
match = 'job=~"deleted|retired"'
stale_after = "1h"
on_stale = "forget"
"""
POLICIES = Policies(None, parse_rules(RULES, "rules.toml"))
"""Of the relays of a full store: some jobs are known beyond their groups."""

TOKEN = Token(
    "00ff" * 4,
    "backup",
    bytes(32),
    frozenset([Right.PUSH, Right.READ]),
    (parse_selector('job=~"backup-.*",l!="\\n\'"'),),
    RuleLimits(series=3),
    created_at=1,
    expires_at=2**62,
    former=bytes(32),
    former_until=2,
)
SESSION = Token(
    "ff00" * 4, "", bytes(32), frozenset(), expires_at=2**62, parent=TOKEN.id
)

NATIVE = """
    name: "h" type: HISTOGRAM metric {
        label { name: "job" value: "native" }
        histogram {
            sample_count: 3 sample_sum: 4.5 schema: 3 zero_threshold: 0.001
            positive_span { offset: 2 length: 2 } positive_delta: 1 positive_delta: 1
        }
    }
"""


async def fill(relay: Relay, clock: Clock) -> None:
    """Do something of everything to `relay`, which has nothing yet."""
    now = clock()
    await put(
        relay, ODD, '# HELP x Größe "%s"\n{"größe.x","ü"="\\\\n"} 1\nx NaN', at=now
    )
    await put(relay, key_of("a", instance="i"), "# TYPE s summary\ns_sum 1\ns_count 2")
    rows = "\n".join(f'l{{n="{number:09}"}} {number}' for number in range(5000))
    await put(relay, LARGE, rows, at=now, stale_after=HOUR)
    native = families_of_messages([NATIVE], key_of("native"))
    await relay.push(prepare_push(key_of("native"), native, Mode.REPLACE, now))
    assert not await add_once(relay, now)
    await put(relay, key_of("acc"), COUNTER, mode=Mode.ACCUMULATE, at=now)
    with pytest.raises(InconsistentPush):
        await put(relay, key_of("failed"), "x 1 1", at=now)
    for number, job in enumerate(("deleted", "retired"), 1):
        await put(relay, key_of(job), "x 1", at=now)
        await report(relay, ended(number, now - HOUR, now, key=key_of(job)))
    await relay.delete(key_of("deleted"))
    await relay.endings.retire("retired")
    await _fill_runs(relay, now)


async def _fill_runs(relay: Relay, now: int) -> None:
    usage = Usage(user=SECOND, max_rss_bytes=2**40)
    end = End(now, Outcome.FAILURE, 9, 1, None, usage, "\ud83d ü", "\x00", ("it is",))
    whole = replace(begun(100, now - HOUR), end=end, host="h", trace_id="t", attempt=2)
    hourly = Expectation(every=HOUR, grace=SECOND, min_interval=SECOND)
    await report(relay, replace(whole, min_interval=7), hourly, metrics="x_rows 5")
    await report(relay, begun(101, now - SECOND))
    await report(relay, begun(102, now - SECOND, ODD), is_anonymous=True)
    for number in range(103, 107):
        at = now - number * SECOND
        await report(relay, ended(number, at, at + SECOND, Outcome.SKIPPED, LARGE))
    expectation = Expectation(schedule="0 3 * * *", tz="Europe/Berlin")
    await relay.runs.expect(
        ChangeExpectation("b", lambda e: e.told(Source.API, expectation, now), True)
    )
    await relay.runs.expect(ChangeExpectation("b", lambda e: e.paused(now + HOUR)))


async def add_once(relay: Relay, now: int) -> bool:
    """Push what counts once however often it comes; return whether it had come."""
    receipt = receipt_of(ADDED, "key", COUNTER.encode(), now)
    return await put(relay, ADDED, COUNTER, mode=Mode.ADD, at=now, receipt=receipt)


async def told(relay: Relay) -> dict[str, Any]:
    """Return all that `relay` tells of what is stored."""
    return {
        "page": text_without_own((await page_of(relay)).encode()),
        "jobs": await relay.runs.states(),
        "runs": await relay.runs.listed(RunFilter()),
    }


def fill_in(directory: Path, clock: Clock) -> dict[str, Any]:
    """Make the store of `directory` a full one; return what a relay tells of it."""

    async def do() -> dict[str, Any]:
        async with open_relay(directory, POLICIES, clock) as relay:
            await fill(relay, clock)
            return await told(relay)

    filled = asyncio.run(do())
    database = database_in(directory)
    insert_token(database, TOKEN, clock())
    insert_session(database, SESSION, clock())
    database.close()
    return filled


def rows_of(database: Database) -> dict[str, list[str]]:
    """Return the rows that are kept, without what the store clock says."""
    found = {}
    with database.snapshot() as connection:
        for table, kept in KEPT.items():
            columns = [each for each in table.c if each.name != "revision"]
            if table is not commits:
                rows = connection.execute(select(*columns).where(kept))
                found[table.name] = sorted(repr(tuple(row)) for row in rows)
    return found
