"""What tests report to a relay in their own process, and what they read of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from builders import families_of, key_of
from databases import database_in
from relay_use import SECOND, page_of
from run_builders import run_id

from pushrelay.aggregation import Mode
from pushrelay.exposition.negotiation import negotiate
from pushrelay.grouping_key import GroupingKey
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.run_evidence import RunEvidence
from pushrelay.runs import End, Outcome, Report, Run, Usage
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.store.reader import read_snapshot
from pushrelay.writes import Push, Reported, ReportRun

HOUR = 3600 * SECOND
A = key_of("a")


def begun(number: int, started_at: int, key: GroupingKey = A) -> Run:
    return Run(run_id(number), key, started_at)


def ended(
    number: int,
    started_at: int,
    finished_at: int,
    outcome: Outcome = Outcome.SUCCESS,
    key: GroupingKey = A,
) -> Run:
    """Return a run that took all the time between, and half a second of the CPU."""
    usage = Usage(user=SECOND // 2, max_rss_bytes=1000)
    end = End(finished_at, outcome, finished_at - started_at, usage=usage)
    return replace(begun(number, started_at, key), end=end)


async def report(
    relay: Relay,
    run: Run,
    expectation: Expectation | None = None,
    *,
    metrics: str | None = None,
    mode: Mode = Mode.UPDATE,
    problem: str | None = None,
    is_anonymous: bool = False,
) -> Reported:
    said = Report(run, metrics, expectation, is_anonymous=is_anonymous)
    push = None if metrics is None else push_of(run, metrics, mode)
    return await relay.runs.report(ReportRun(said, push, problem))


def push_of(run: Run, metrics: str, mode: Mode) -> Push:
    assert run.end is not None
    families = families_of(metrics, run.key)
    return prepare_push(run.key, families, mode, run.end.finished_at)


_RUN_SERIES = re.compile(r"pushrelay_job_(?!groups|last_push)")


async def run_lines(relay: Relay) -> list[str]:
    """Return the lines of what a scrape shows of runs and expectations."""
    lines = (await page_of(relay)).splitlines()
    return [line for line in lines if _RUN_SERIES.match(line)]


async def run_series(relay: Relay, *names: str) -> dict[str, float]:
    """Return series of runs and expectations by name and labels, without the prefix;
    with `names`, only those of these families."""
    found = {}
    for line in await run_lines(relay):
        head, _, value = line.removeprefix("pushrelay_job_").rpartition(" ")
        if not names or head.partition("{")[0] in names:
            found[head] = float(value)
    return found


async def chosen(relay: Relay, *selectors: str) -> set[str]:
    """Return the lines of a scrape of what any of `selectors` matches."""
    page = await relay.exposition(negotiate(None))
    some = page.only([parse_selector(selector) for selector in selectors])
    lines = b"".join(some.chunks()).decode().splitlines()
    return {line for line in lines if not line.startswith("#")}


def stored_runs(directory: Path) -> set[GroupingKey]:
    """Return the keys whose evidence has rows in the database in `directory`."""
    database = database_in(directory)
    changes = read_snapshot(database, None)
    database.close()
    assert changes is not None
    return {each.key for each in changes.runs if isinstance(each, RunEvidence)}


_COUNTERS = re.compile(r"\w+(_total|_bucket|_count|_sum)\b")


async def counters(relay: Relay) -> dict[str, float]:
    """Return the series of runs that must never fall."""
    series = await run_series(relay)
    return {head: value for head, value in series.items() if _COUNTERS.match(head)}
