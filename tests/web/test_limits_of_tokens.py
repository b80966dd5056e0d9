"""What a token may push at most, tighter than the relay's own limits."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from relay_process import StartRelay
from relay_use import open_relay
from token_use import new_token

from pushrelay.config import Limits, Settings
from pushrelay.errors import LimitExceeded
from pushrelay.job_rules import RuleLimits
from pushrelay.push_reader import PushReader
from pushrelay.relay import Relay
from pushrelay.rights import ALL_RIGHTS, Identity
from pushrelay.token_files import table_of
from pushrelay.web.bodies import Bodies
from pushrelay.web.exchange import Exchange
from pushrelay.web.pings import Pings
from pushrelay.web.pushes import Pushes
from pushrelay.web.reports import Reports
from pushrelay.web.runs import Runs
from pushrelay.web.streaming import Streamer

LIMITS = RuleLimits(body_bytes=300, series=3, labels=2, label_value_bytes=20)
TOKEN = Identity("ci", "token", ALL_RIGHTS, LIMITS)
LONG = "v" * 21
RUN = str(uuid.UUID(int=7))


class Asked:
    """An exchange of the token, with what it was answered."""

    def __init__(self, body: str, query: str = "") -> None:
        self.answered: list[Any] = []
        scope = {
            "type": "http",
            "method": "PUT",
            "path": "/",
            "query_string": query.encode(),
            "headers": [],
        }
        self.exchange = Exchange(scope, self._receive, self._send, Limits())
        self.exchange.identity = TOKEN
        self._body = body.encode()

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._body}

    async def _send(self, message: Any) -> None:
        self.answered.append(message)


Handle = Callable[[Exchange, str], Awaitable[None]]


def handlers_of(relay: Relay) -> dict[str, Handle]:
    settings, bodies = Settings(), Bodies()
    reader = PushReader(settings.limits, utf8_names=settings.utf8_names)
    reports = Reports(settings, relay, bodies, reader)
    streamer = Streamer(ThreadPoolExecutor(1), 30)
    return {
        **Pushes(settings, relay, bodies, reader).handlers,
        **Runs(settings, relay, bodies, reports, streamer).handlers,
        **Pings(settings, relay, bodies, reports).handlers,
    }


def finished(metrics: str = "", **labels: str) -> str:
    run = {"job": "a", "state": "finished", "started_at": 1_795_000_000}
    run |= {"finished_at": 1_795_000_001, "outcome": "success"}
    return json.dumps({**run, "labels": labels, "metrics": metrics})


def lines(number: int, labels: str = "") -> str:
    return "".join(f"x_{at}{labels} 1\n" for at in range(number))


REFUSED = {
    "a large body": ("push", "job/a", "# " + "x" * 300 + "\n", "body_bytes"),
    "series": ("push", "job/a", lines(4), "series"),
    "labels": ("push", "job/a", 'x{a="",b="",c=""} 1\n', "labels"),
    "a long label": ("push", "job/a", f'x{{a="{LONG}"}} 1\n', "label_value_bytes"),
    "a long group": ("push", f"job/{LONG}", "x 1\n", "label_value_bytes"),
    "a group of labels": ("push", "job/a/b/c/d/e", "x 1\n", "labels"),
    "a large body of groups": ("push_groups", "", "#" * 301 + "\n", "body_bytes"),
    "series of groups": (
        "push_groups",
        "",
        "".join(f'x{{job="j{at}"}} 1\n' for at in range(4)),
        "series",
    ),
    "a long group of many": (
        "push_groups",
        "",
        f'x{{job="{LONG}"}} 1\n',
        "label_value_bytes",
    ),
    "labels of groups": ("push_groups", "", 'x{job="a",b="",c="",d=""} 1\n', "labels"),
    "a large document": ("report_run", RUN, finished("#" * 300), "body_bytes"),
    "a long label of a run": ("report_run", RUN, finished(l=LONG), "label_value_bytes"),
}


@pytest.mark.parametrize(
    ("handler", "rest", "body", "limit"), REFUSED.values(), ids=REFUSED
)
def test_what_is_over_a_limit_of_the_token_is_refused(
    handler: str, rest: str, body: str, limit: str, tmp_path: Path
) -> None:
    async def ask() -> None:
        async with open_relay(tmp_path) as relay:
            asked = Asked(body, "by=job" if handler == "push_groups" else "")
            with pytest.raises(LimitExceeded) as refused:
                await handlers_of(relay)[handler](asked.exchange, rest)
            assert refused.value.limit == limit
            assert relay.groups() == []

    asyncio.run(ask())


TAKEN = {
    "push": ("job/a/b/c", lines(3, '{a="1",c="2"}')),
    "push_groups": ("", 'x{job="a",b="1"} 1\nx{job="b"} 1\n'),
    "report_run": (RUN, finished("x 1\n", instance="i")),
    "ping": ("", ""),
}


@pytest.mark.parametrize(
    ("handler", "rest", "body"), [(h, *t) for h, t in TAKEN.items()]
)
def test_what_is_within_them_is_taken(
    handler: str, rest: str, body: str, tmp_path: Path
) -> None:
    async def ask() -> None:
        async with open_relay(tmp_path) as relay:
            query = {"push_groups": "by=job", "ping": "job=a&status=start"}
            asked = Asked(body, query.get(handler, ""))
            await handlers_of(relay)[handler](asked.exchange, rest)
            assert asked.answered[0]["status"] == 200

    asyncio.run(ask())


def test_metrics_of_a_run_are_within_them_or_left_out(tmp_path: Path) -> None:
    async def ask() -> None:
        async with open_relay(tmp_path) as relay:
            asked = Asked(finished(lines(4)))
            await handlers_of(relay)["report_run"](asked.exchange, RUN)
            assert asked.answered[0]["status"] == 200
            data = json.loads(asked.answered[1]["body"])["data"]
            assert "the limit of 3" in data["metrics_problems"][0]

    asyncio.run(ask())


def test_a_relay_reads_them_from_its_file_of_tokens(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    token, secret = new_token("ci", limits=LIMITS)
    file = tmp_path / "tokens.toml"
    file.write_text(table_of(token))
    relay = start_relay(f"--auth.token-file={file}")
    headers = {"Authorization": f"Bearer {secret}"}
    assert relay.put("/metrics/job/a", lines(3), headers).status == 200
    refused = relay.put("/metrics/job/a", lines(4), headers)
    assert refused.status == 413
    assert "the limit of 3" in refused.text
