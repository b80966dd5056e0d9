"""A relay with something in every state, as pages show it: jobs of a small company.

`fill` tells it of weeks of runs and of what was pushed; `fill_with_groups` gives it
very many groups. Both over HTTP, so that whatever serves can be filled.
"""

from __future__ import annotations

import base64
import json
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from page_pushes import ODD_PUSHED, PUSHED, REFUSED, SENSOR
from relay_process import HTTPClient

from pushrelay.grouping_key import GroupingKey
from pushrelay.web.pages.keys import written_key

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

ODD_JOB = 'Größe "<b>" \\ /x?y#z&'
ODD_INSTANCE = "it's <script> & \u202e {{7*7}} %2F"

RULES = """
[[jobs]]
match = 'job="sensor-gateway"'
stale_after = "2h"
"""

TRACE = """\
Traceback (most recent call last):
  File "/srv/billing/export.py", line 214, in <module>
    main(sys.argv[1:])
  File "/srv/billing/export.py", line 187, in main
    for batch in batches(connection, since=args.since):
  File "/srv/billing/export.py", line 96, in batches
    cursor.execute(QUERY, {"since": since, "limit": BATCH_ROWS})
  File "/usr/lib/python3/dist-packages/psycopg/cursor.py", line 97, in execute
    raise ex.with_traceback(None)
psycopg.errors.UndefinedColumn: column "tax_rate" does not exist
LINE 3:   SELECT id, total, tax_rate FROM invoices WHERE paid_at > %(since)s
                            ^
"""
"""What a run that failed wrote: the last lines say why."""


@dataclass(frozen=True)
class Story:
    """What an instance of a job has done so far.

    every: seconds between its runs. count: of runs; last: how many seconds ago the last
    one began. seconds: what a run takes. outcomes: of the last runs, by their first
    letters, `-` for one that never came and `.` for one that goes on; those before
    succeeded. growth: by how much runs become longer over all of them.
    """

    job: str
    instance: str = ""
    every: float = HOUR
    count: int = 34
    last: float = 20 * MINUTE
    seconds: float = 95.0
    outcomes: str = ""
    growth: float = 0.0
    expectation: dict[str, Any] = field(default_factory=dict)
    finish: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


OUTCOMES = {
    "s": ("success", {"exit_code": 0}),
    "f": ("failure", {"exit_code": 1}),
    "t": ("timeout", {"exit_code": 124}),
    "k": ("signal", {"signal": 9}),
    "x": ("skipped", {}),
}

_FAILED = {"output_tail": {"stdout": "1,200 rows\n2,400 rows\n", "stderr": TRACE}}
_DAILY = {"every": "1d", "grace": "2h"}
_HOURLY = {"every": "1h", "grace": "15m"}
_NIGHTLY = {"schedule": "0 3 * * *", "grace": "4h", "max_runtime": "2h"}


ODD_STORY = Story(ODD_JOB, ODD_INSTANCE, outcomes="f", labels={"région": "<i>"})


def stories(now: float) -> list[Story]:
    """Return what all jobs have done until `now`."""
    # Late enough for the last night to be over, and never more than 25 hours ago.
    night = (now - 3 * HOUR - HOUR) % DAY + HOUR
    backup = Story("backup-postgres", every=DAY, count=29, seconds=1400, growth=0.8)
    backup = _like(backup, last=night, expectation={**_NIGHTLY, "per_instance": True})
    tail = [
        Story(f"etl-{table}", every=HOUR, last=minutes * MINUTE, seconds=30 + minutes)
        for minutes, table in enumerate(("orders", "stock", "prices", "clicks"), 5)
    ]
    return [
        _like(backup, instance="db1", outcomes="s-sssssfsssssssss"),
        _like(backup, instance="db2", outcomes="tssssssssss"),
        _like(backup, instance="db3", count=28, last=night + 2 * DAY),
        Story(
            *("billing-export", "eu", 6 * HOUR),
            last=2 * HOUR,
            outcomes="sfsss-sfff",
            expectation={"every": "6h", "grace": "30m", "per_instance": True},
            finish=_FAILED,
        ),
        Story("billing-export", "us", 6 * HOUR, last=2.2 * HOUR),
        Story("invoice-mailer", last=5 * HOUR, expectation=_HOURLY),
        Story(
            *("ledger-import", "", 8 * HOUR),
            last=5 * HOUR,
            outcomes=".",
            expectation={"every": "8h", "max_runtime": "2h"},
        ),
        Story("video-transcode", "gpu-1", last=12 * MINUTE, seconds=1500, outcomes="."),
        Story("search-reindex", every=4 * HOUR, outcomes="ssktssst", seconds=600),
        Story("cache-warmer", "w1", MINUTE * 10, outcomes="xssxsss", seconds=4),
        Story("cert-renewal", every=12 * HOUR, last=3 * HOUR, expectation=_DAILY),
        Story("ldap-sync", last=9 * HOUR, expectation=_HOURLY),
        *(_like(each, expectation=_HOURLY) for each in tail),
    ]


def _like(story: Story, **other: Any) -> Story:
    return Story(**{**vars(story), **other})


def documents(story: Story, now: float) -> Iterator[dict[str, Any]]:
    """Return the reports of all runs of `story`, the first one first."""
    drawn = random.Random(story.job + story.instance)
    ends = story.outcomes.rjust(story.count, "s")[-story.count :]
    for number, letter in enumerate(ends):
        longer = 1 + story.growth * number / story.count
        seconds = story.seconds * longer * drawn.lognormvariate(0, 0.15)
        ago = story.last + (story.count - 1 - number) * story.every
        begun = {
            "job": story.job,
            "labels": {**story.labels, **_instance(story)},
            "state": "started",
            "started_at": round(now - ago + drawn.uniform(0, 20), 3),
            "expectation": story.expectation or None,
            "host": "batch-1.example.org",
        }
        if letter == ".":
            yield begun
        elif letter != "-":
            yield _ended(story, begun, letter, min(seconds, ago - 30))


def _instance(story: Story) -> dict[str, str]:
    return {"instance": story.instance} if story.instance else {}


def _ended(
    story: Story, begun: dict[str, Any], letter: str, seconds: float
) -> dict[str, Any]:
    outcome, codes = OUTCOMES[letter]
    if outcome == "skipped":
        seconds = 0.0
    usage = {
        "user_seconds": round(seconds * 0.4, 3),
        "system_seconds": round(seconds * 0.05, 3),
        "max_rss_bytes": 180_000_000 + int(seconds * 1000),
    }
    failed = story.finish if outcome not in ("success", "skipped") else {}
    return {
        **begun,
        "state": "finished",
        "finished_at": round(begun["started_at"] + seconds, 3),
        "outcome": outcome,
        "usage": usage,
        **codes,
        **failed,
    }


def flags(directory: Path) -> list[str]:
    """Return flags of a relay that `fill` can fill; `directory` keeps its rules."""
    rules = directory / "rules.toml"
    rules.write_text(RULES)
    return [
        f"--config.file={rules}",
        "--web.enable-admin-api",
        "--push.enable-utf8-names",
    ]


@dataclass(frozen=True)
class Filled:
    """What a relay was filled with; runs: ids, by the job, the last run last."""

    runs: dict[str, list[str]]

    @property
    def failed_run(self) -> str:
        """The run that left a stack trace."""
        return self.runs["billing-export eu"][-1]

    @property
    def running_run(self) -> str:
        """A run that has no end yet."""
        return self.runs["video-transcode gpu-1"][-1]


@dataclass(frozen=True)
class Shown:
    """A relay, and what it was filled with."""

    relay: HTTPClient
    filled: Filled

    def url(self, path: str = "/") -> str:
        """Return the address of a page; `{failed}` and `{running}` are runs."""
        runs = {"failed": self.filled.failed_run, "running": self.filled.running_run}
        return f"http://{self.relay.address}{path.format_map(runs)}"


def fill(relay: HTTPClient, *, with_oddities: bool = True) -> Filled:
    """Have `relay`, started with `flags`, know something in every state.

    with_oddities: whether some labels are such as no page would expect.
    """
    moment = time.time()
    told = stories(moment) + ([ODD_STORY] if with_oddities else [])
    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(lambda story: _tell(relay, story, moment), told))
    for path, body, headers in PUSHED + (ODD_PUSHED if with_oddities else []):
        _expect(200, relay.post(path, body, headers))
    for path, body in REFUSED:
        assert relay.post(path, body).status == 400
    _import(relay, moment - 3 * HOUR)
    expected = json.dumps({"schedule": "30 6 1 1,4,7,10 *", "tz": "Europe/Berlin"})
    _expect(200, relay.put("/api/v1/jobs/quarterly-close/expectation", expected))
    _expect(200, relay.post("/api/v1/jobs/ldap-sync/pause?until=6h"))
    names = [f"{story.job} {story.instance}".rstrip() for story in told]
    return Filled(dict(zip(names, ids, strict=True)))


def _tell(relay: HTTPClient, story: Story, now: float) -> list[str]:
    ids = []
    for document in documents(story, now):
        ids.append(str(uuid.uuid4()))
        body = json.dumps(document)
        _expect(200, relay.put(f"/api/v1/runs/{ids[-1]}", body))
    return ids


def _import(relay: HTTPClient, pushed_at: float) -> None:
    """Have a group that was pushed so long ago."""
    line = {
        "labels": {"job": "sensor-gateway", "instance": "roof"},
        "pushed_at_ns": int(pushed_at) * 10**9,
        "families": base64.b64encode(SENSOR).decode(),
    }
    headers = {"Content-Type": "application/x-ndjson"}
    _expect(200, relay.post("/api/v1/admin/import", json.dumps(line), headers))


def _expect(status: int, response: Any) -> None:
    assert response.status == status, response.text


def fill_with_groups(relay: HTTPClient, groups: int, each: int = 10_000) -> None:
    """Push to so many groups: of a hundred jobs, with an instance each."""
    for first in range(0, groups, each):
        numbers = range(first, min(first + each, groups))
        lines = [
            f'rows_written{{job="bulk-{n % 100:02}",instance="host-{n:06}"}} {n}'
            for n in numbers
        ]
        body = "\n".join(["# TYPE rows_written gauge", *lines, ""])
        _expect(200, relay.post("/api/v1/groups?by=job,instance", body))


def group_query(**labels: str) -> str:
    """Return what the page of a group is asked with."""
    return f"key={written_key(GroupingKey.of(labels))}"
