"""What is asked of many groups, as the gateway answers it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from asgi import Answer, ask
from builders import families_of, key_of, new_database

from pushrelay.aggregation import Mode
from pushrelay.config import Freshness, Settings
from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.push_reader import prepare_push
from pushrelay.relay import Relay
from pushrelay.telemetry import Telemetry
from pushrelay.web.gateway import Gateway

SECOND = 10**9
HOUR = 3600 * SECOND
A, A_I, B = key_of("a"), key_of("a", instance="i"), key_of("b")
GONE = key_of("gone")


class Client:
    """Asks the gateway of a relay whose clock stands at `now`."""

    def __init__(self, directory: Path, policies: Policies | None = None) -> None:
        self.now = time.time_ns()
        self.relay = Relay(
            new_database(directory), Telemetry(), policies, lambda: self.now
        )
        self.gateway = Gateway(Settings(), self.relay, lambda: None)

    async def push(self, key: GroupingKey, body: str = "x 1", *, age: int = 0) -> None:
        """Push to the group `key`, so many nanoseconds ago."""
        families = families_of(body, key)
        push = prepare_push(key, families, Mode.REPLACE, self.now - age)
        await self.relay.push(push)

    async def ask(self, method: str, path: str, **query: Any) -> tuple[int, str]:
        """Return status and body of the answer."""
        answer = await self.ask_raw(method, path, urlencode(query, True))
        return answer.status, answer.text

    async def ask_raw(self, method: str, path: str, query: str = "") -> Answer:
        return await ask(self.gateway, method, f"{path}?{query}")

    async def data(self, method: str, path: str, **query: Any) -> Any:
        """Return the data of an answer, which must be a success."""
        status, body = await self.ask(method, path, **query)
        assert status == 200, body
        answer = json.loads(body)
        assert answer.keys() == {"status", "data"}
        assert answer["status"] == "success"
        return answer["data"]

    async def jobs(self) -> list[str]:
        """Return the jobs of all groups that are listed."""
        listed = await self.data("GET", "/api/v1/groups", limit=1000)
        return [group["labels"]["job"] for group in listed["groups"]]


Test = Callable[[Client], Awaitable[None]]


def with_client(test: Test) -> Callable[[Path], None]:
    """Run `test` with a client of a relay that has no groups."""

    def run(tmp_path: Path) -> None:
        asyncio.run(run_test(test, Client(tmp_path)))

    run.__name__ = test.__name__
    return run


def with_aging(test: Test) -> Callable[[Path], None]:
    """The same with groups that are stale after an hour and forgotten after two."""

    def run(tmp_path: Path) -> None:
        policies = Policies(Freshness(stale_after=HOUR, forget_after=2 * HOUR))
        asyncio.run(run_test(test, Client(tmp_path, policies)))

    run.__name__ = test.__name__
    return run


async def run_test(test: Test, client: Client) -> None:
    client.relay.start()
    try:
        await test(client)
    finally:
        await asyncio.to_thread(client.relay.stop)


# --- lists ---


@with_client
async def test_no_groups_are_an_empty_list(client: Client) -> None:
    data = await client.data("GET", "/api/v1/groups")
    assert data == {"groups": [], "matching": 0, "next": None}


@with_aging
async def test_a_group_is_shown_with_its_times_and_policy(client: Client) -> None:
    client.now = 1_795_378_800_500_000_000
    key = key_of("a/b", instance="é")
    await client.push(key, 'x{l="1"} 1\nx{l="2"} 1\ny 1')
    [group] = (await client.data("GET", "/api/v1/groups"))["groups"]
    assert group == {
        "labels": {"job": "a/b", "instance": "é"},
        "path": "metrics/job@base64/YS9i/instance/%C3%A9",
        "state": "fresh",
        "created_at": 1795378800.5,
        "pushed_at": 1795378800.5,
        "failed_at": None,
        "last_push_successful": True,
        "families": 2,
        "series": 3,
        "stale_after": "1h",
        "stale_at": 1795382400.5,
        "forget_at": 1795386000.5,
    }


@with_client
async def test_what_never_happens_is_null(client: Client) -> None:
    with pytest.raises(Exception, match="invalid or inconsistent"):
        await client.push(A, "x 1 1")
    [group] = (await client.data("GET", "/api/v1/groups"))["groups"]
    assert group["failed_at"] == group["created_at"] == client.now / SECOND
    assert group["last_push_successful"] is False
    assert group["state"] == "fresh"
    nulls = [name for name, value in group.items() if value is None]
    assert nulls == ["pushed_at", "stale_after", "stale_at", "forget_at"]


@with_client
async def test_groups_can_be_pushed_to_at_their_paths(client: Client) -> None:
    keys = [A, A_I, key_of("a/b", zone=""), key_of("..", x="%")]
    for key in keys:
        await client.push(key)
    listed = await client.data("GET", "/api/v1/groups")
    for group in listed["groups"]:
        status, _ = await client.ask("DELETE", "/" + group["path"])
        assert status == 202
    assert await client.jobs() == []


@with_aging
async def test_lists_are_of_what_is_asked_for(client: Client) -> None:
    await client.push(A, age=HOUR)
    await client.push(A_I)
    await client.push(B, age=HOUR + 1)
    await client.push(GONE, age=2 * HOUR)
    asked: list[tuple[dict[str, Any], list[GroupingKey]]] = [
        ({}, [A, A_I, B]),
        ({"state": "stale"}, [A, B]),
        ({"state": "fresh"}, [A_I]),
        ({"match[]": '{job="a"}'}, [A, A_I]),
        ({"match[]": ['{job="b"}', '{instance="i"}']}, [A_I, B]),
        ({"match[]": "{}"}, [A, A_I, B]),
        ({"match[]": '{job="a"}', "state": "stale"}, [A]),
        ({"older_than": "30m"}, [A, B]),
        ({"older_than": "90m"}, []),
        ({"match[]": '{job="gone"}'}, []),
    ]
    for query, keys in asked:
        data = await client.data("GET", "/api/v1/groups", **query)
        assert [g["labels"] for g in data["groups"]] == [dict(k.labels) for k in keys]
        assert data["matching"] == len(keys)


@with_client
async def test_pages_follow_each_other(client: Client) -> None:
    for age, job in enumerate("cab"):
        await client.push(key_of(job), age=age)
    for order, jobs in {"key": "abc", "pushed": "bac", "-pushed": "cab"}.items():
        seen, query = "", {"sort": order, "limit": 2}
        while True:
            data = await client.data("GET", "/api/v1/groups", **query)
            seen += "".join(group["labels"]["job"] for group in data["groups"])
            assert data["matching"] == 3
            if data["next"] is None:
                break
            query["cursor"] = data["next"]
        assert seen == jobs


@with_client
async def test_a_page_has_100_groups_unless_it_is_asked_for_more(
    client: Client,
) -> None:
    await asyncio.gather(*(client.push(key_of(f"{n:03}")) for n in range(101)))
    data = await client.data("GET", "/api/v1/groups")
    assert (len(data["groups"]), data["matching"]) == (100, 101)
    assert len(await client.jobs()) == 101


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"match[]": "{job=a}"}, 'expected a value in quotes, such as "x", found `a`'),
        ({"match[]": "up"}, "selectors choose groups by their grouping labels"),
        ({"match[]": ""}, "expected matchers such as"),
        ({"match[]": '{job=~"("}'}, "the regular expression cannot be used"),
        ({"match[]": ['{job="a"}', "{"]}, "invalid selector `{`, column 2"),
        ({"match[]": ["{" + 'a="b",' * 30 + "}"] * 4}, "more than 100 matchers in all"),
        ({"state": "gone"}, 'the parameter state is "gone"; write fresh or stale'),
        ({"sort": "size"}, 'sort is "size"; write key or pushed or -pushed'),
        ({"older_than": "7"}, '"7" is not a duration'),
        ({"limit": "0"}, 'limit is "0"; write a whole number from 1 to 1000'),
        ({"limit": "1001"}, "write a whole number from 1 to 1000"),
        ({"limit": "-1"}, "write a whole number from 1 to 1000"),
        ({"limit": "1e2"}, "write a whole number from 1 to 1000"),
        ({"limit": "9" * 5000}, "write a whole number from 1 to 1000"),
        ({"limit": ["1", "1"]}, "the parameter limit is given more than once"),
        ({"cursor": "x"}, "the cursor is none that a page"),
        ({"cursor": ""}, "the cursor is none that a page"),
        ({"match": '{job="a"}'}, 'unknown parameter "match"; what can be given here'),
        ({"dry_run": "1"}, 'unknown parameter "dry_run"'),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_question_that_cannot_be_understood_is_refused(
    tmp_path: Path, query: dict[str, Any], text: str
) -> None:
    async def test(client: Client) -> None:
        status, body = await client.ask("GET", "/api/v1/groups", **query)
        assert status == 400, body
        assert text in body
        assert body.endswith("\n")

    asyncio.run(run_test(test, Client(tmp_path)))


# --- deletions ---


@with_client
async def test_a_dry_run_says_what_a_deletion_would_delete(client: Client) -> None:
    for key in (A, A_I, B):
        await client.push(key)
    query = {"match[]": '{job="a"}'}
    meant = [{"job": "a"}, {"instance": "i", "job": "a"}]
    assert await client.data("DELETE", "/api/v1/groups", dry_run=1, **query) == {
        "dry_run": True,
        "count": 2,
        "groups": meant,
    }
    assert await client.jobs() == ["a", "a", "b"]
    assert await client.data("DELETE", "/api/v1/groups", **query) == {
        "dry_run": False,
        "count": 2,
        "groups": meant,
    }
    assert await client.jobs() == ["b"]
    data = await client.data("DELETE", "/api/v1/groups", **query)
    assert (data["count"], data["groups"]) == (0, [])


@with_client
async def test_a_push_after_the_dry_run_keeps_a_group_that_was_too_old(
    client: Client,
) -> None:
    await client.push(A, age=HOUR)
    await client.push(B, age=HOUR)
    query = {"match[]": "{}", "older_than": "30m"}
    data = await client.data("DELETE", "/api/v1/groups", dry_run=1, **query)
    assert data["count"] == 2
    await client.push(A)
    data = await client.data("DELETE", "/api/v1/groups", **query)
    assert data["groups"] == [{"job": "b"}]
    assert await client.jobs() == ["a"]


def test_a_push_that_comes_before_the_turn_of_its_group_spares_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(client: Client) -> None:
        for key in (A, A_I, B):
            await client.push(key)
        delete_groups = client.relay.endings.delete_groups

        async def delete_late(*arguments: Any) -> Any:
            await client.push(A, "y 1")
            return await delete_groups(*arguments)

        monkeypatch.setattr(client.relay.endings, "delete_groups", delete_late)
        query = {"match[]": '{job=~"a|b"}'}
        data = await client.data("DELETE", "/api/v1/groups", **query)
        assert data["groups"] == [{"instance": "i", "job": "a"}, {"job": "b"}]
        assert await client.jobs() == ["a"]

    asyncio.run(run_test(test, Client(tmp_path)))


@with_client
async def test_a_refused_push_is_a_sign_of_life(client: Client) -> None:
    await client.push(A, age=HOUR)
    with pytest.raises(Exception, match="invalid or inconsistent"):
        await client.push(A, "x 1 1")
    data = await client.data("DELETE", "/api/v1/groups", older_than="30m")
    assert data["count"] == 0


@with_aging
async def test_deletions_are_of_what_is_asked_for(client: Client) -> None:
    await client.push(A, age=HOUR)
    await client.push(A_I)
    await client.push(GONE, age=2 * HOUR)
    query = {"match[]": '{job=~".*"}', "state": "stale"}
    data = await client.data("DELETE", "/api/v1/groups", **query)
    assert data["groups"] == [{"job": "a"}]
    data = await client.data("DELETE", "/api/v1/groups", older_than="1m")
    assert data["count"] == 0
    assert len(await client.jobs()) == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, 'say which groups to delete: match[]={job="x"}, or older_than=7d'),
        ({"match[]": "{}"}, "say which groups to delete"),
        ({"match[]": ['{job="a"}', "{ }"]}, "say which groups to delete"),
        ({"state": "stale"}, "say which groups to delete"),
        ({"older_than": "0"}, "say which groups to delete"),
        ({"dry_run": "1"}, "say which groups to delete"),
        ({"match[]": '{job="a"}', "dry_run": "yes"}, 'dry_run is "yes"; write 1'),
        ({"match[]": '{job="a"}', "dryrun": "1"}, 'unknown parameter "dryrun"'),
        ({"match": '{job="a"}', "older_than": "1ms"}, 'unknown parameter "match"'),
        ({"match[]": '{job="a"}', "limit": "1"}, 'unknown parameter "limit"'),
        ({"match[]": '{job="a"'}, "invalid selector"),
        ({"older_than": "soon"}, '"soon" is not a duration'),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_deletion_that_cannot_be_understood_deletes_nothing(
    tmp_path: Path, query: dict[str, Any], text: str
) -> None:
    async def test(client: Client) -> None:
        await client.push(A, age=HOUR)
        status, body = await client.ask("DELETE", "/api/v1/groups", **query)
        assert status == 400, body
        assert text in body
        assert await client.jobs() == ["a"]

    asyncio.run(run_test(test, Client(tmp_path)))


def test_deletions_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: Client) -> None:
        await client.push(A, age=HOUR)
        await client.push(B)
        query = {"match[]": ['{job="a"}', '{job=~"b+"}'], "older_than": "30m"}
        await client.data("DELETE", "/api/v1/groups", dry_run=1, **query)
        await client.data("DELETE", "/api/v1/groups", **query)
        await client.data("DELETE", "/api/v1/jobs/b", dry_run=1)
        await client.data("DELETE", "/api/v1/jobs/b")

    with caplog.at_level(logging.INFO, "pushrelay.web.noting"):
        asyncio.run(run_test(test, Client(tmp_path)))
    told = {
        "client": "192.0.2.1",
        "count": "1",
        "match": '{job="a"} or {job=~"b+"}',
        "older_than": "30m",
    }
    assert [(r.getMessage(), vars(r)["fields"]) for r in caplog.records] == [
        ("deleting groups", told),
        ("deleted groups", told),
        ("retired a job", {"client": "192.0.2.1", "count": "1", "job": "b"}),
    ]


# --- retired jobs ---


@with_client
async def test_a_job_is_retired_with_all_its_groups(client: Client) -> None:
    for key in (A, A_I, B):
        await client.push(key)
    meant = [{"job": "a"}, {"instance": "i", "job": "a"}]
    for dry_run in (True, False):
        path = "/api/v1/jobs/a"
        assert await client.data("DELETE", path, dry_run=int(dry_run)) == {
            "dry_run": dry_run,
            "job": "a",
            "known": True,
            "instances": 0,
            "expected": False,
            "named_by_rule": False,
            "count": 2,
            "groups": meant,
        }
    assert await client.jobs() == ["b"]
    data = await client.data("DELETE", "/api/v1/jobs/a")
    assert (data["count"], data["groups"]) == (0, [])


@pytest.mark.parametrize(
    "job", ["a/b", "a b", "é🦆", "%", "a/", "..", "a//b", "Groups"]
)
def test_the_job_is_the_whole_rest_of_the_path(tmp_path: Path, job: str) -> None:
    async def test(client: Client) -> None:
        for name in ("a", "groups", "x", job):
            await client.push(key_of(name))
        path = "/api/v1/jobs/" + quote(job, safe="").replace(".", "%2E")
        data = await client.data("DELETE", path)
        assert (data["job"], data["count"]) == (job, 1)
        assert sorted(await client.jobs()) == ["a", "groups", "x"]

    asyncio.run(run_test(test, Client(tmp_path)))


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        ("/api/v1/jobs/a", "dryrun=1", 'unknown parameter "dryrun"'),
        ("/api/v1/jobs/a", "dry_run=perhaps", 'dry_run is "perhaps"; write 1'),
        ("/api/v1/jobs/%ff", "", "the name of the job is not valid UTF-8"),
    ],
)
def test_a_retirement_that_cannot_be_understood_changes_nothing(
    tmp_path: Path, path: str, query: str, text: str
) -> None:
    async def test(client: Client) -> None:
        await client.push(A)
        answer = await client.ask_raw("DELETE", path, query)
        assert answer.status == 400
        assert text in answer.text
        assert await client.jobs() == ["a"]

    asyncio.run(run_test(test, Client(tmp_path)))


# --- scrapes of a part ---


@with_client
async def test_a_scrape_of_a_part_has_whole_groups_and_no_own_metrics(
    client: Client,
) -> None:
    await client.push(A, "x 1\ny 2")
    await client.push(B, "x 3")
    status, page = await client.ask("GET", "/metrics", **{"match[]": '{job="a"}'})
    assert status == 200
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert [re.sub(" .*", "", line) for line in lines] == [
        'push_failure_time_seconds{instance="",job="a"}',
        'push_time_seconds{instance="",job="a"}',
        'x{instance="",job="a"}',
        'y{instance="",job="a"}',
    ]


@with_client
async def test_a_scrape_that_cannot_be_understood_is_refused(client: Client) -> None:
    await client.push(A)
    for selector in ("", "{", "x", '{job=~"("}'):
        status, body = await client.ask("GET", "/metrics", **{"match[]": selector})
        assert status == 400
        assert body.startswith("invalid selector")


@with_client
async def test_other_parameters_of_a_scrape_are_ignored(client: Client) -> None:
    await client.push(A)
    for query in ("name=x", "match=x", "a&b=%"):
        answer = await client.ask_raw("GET", "/metrics", query)
        page = answer.text
        assert answer.status == 200
        assert 'x{instance="",job="a"} 1\n' in page
        assert "pushrelay_groups 1\n" in page


def test_only_scrapes_with_a_query_look_for_selectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("nothing is to be parsed")

    async def test(client: Client) -> None:
        monkeypatch.setattr("pushrelay.web.exchange.Parameters", fail)
        assert (await client.ask("GET", "/metrics"))[0] == 200
        assert (await client.ask("GET", "/metrics", a="b"))[0] == 500

    asyncio.run(run_test(test, Client(tmp_path)))


# --- other origins ---


@with_client
async def test_pages_of_other_origins_may_look_and_not_delete(client: Client) -> None:
    paths = ["/api/v1/groups", "/api/v1/jobs/a", "/api/v1/jobs/a/b"]
    for path in paths:
        answer = await client.ask_raw("OPTIONS", path)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS"
        assert answer.headers["access-control-allow-origin"] == "*"
    headers = (await client.ask_raw("GET", "/api/v1/groups")).headers
    assert headers["access-control-allow-methods"] == "GET, OPTIONS"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["content-type"] == "application/json"
    headers = (await client.ask_raw("DELETE", "/api/v1/jobs/a")).headers
    assert "access-control-allow-origin" not in headers
    assert headers["content-type"] == "application/json"
