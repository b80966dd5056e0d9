"""What tokens do and see that are bound to some groups."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from guarded import Answer, Guarded, guarded
from relay_use import on_loop

from pushrelay.rights import Right
from pushrelay.web import runs
from pushrelay.web.answers import place_of

BACKUPS = '{job=~"backup-.*"}'
ON_DB1 = '{instance="db1"}'
IDS = [uuid.UUID(int=number) for number in range(4)]


async def push(relay: Guarded, token: str, *jobs: str) -> None:
    for job in jobs:
        target = f"/metrics/job/{job}/instance/db1"
        assert (await relay.ask("PUT", target, token, b"rows 1\n")).status == 200


def data_of(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    return json.loads(answer.body)["data"]


async def jobs_in(relay: Guarded, token: str) -> list[str]:
    groups = data_of(await relay.ask("GET", "/api/v1/groups", token))["groups"]
    return [group["labels"]["job"] for group in groups]


@on_loop
async def test_a_push_outside_of_them_tells_what_the_token_is_for(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match=BACKUPS, name="backups")
        answer = await relay.ask("PUT", "/metrics/job/x", token, b"rows 1\n")
        assert answer.status == 403
        assert answer.text == (
            'the token "backups" is for groups that match {job=~"backup-.*"}, and not '
            'for {job="x"}\n'
        )
        admin = await relay.token(Right.ADMIN)
        assert await jobs_in(relay, admin) == []


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("secret", "another group"),
        ("backup-a", 'group {job="backup-a",instance="db1"}'),
    ],
)
@on_loop
async def test_of_what_collides_with_a_push_only_covered_groups_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, job: str, told: str
) -> None:
    async with guarded(tmp_path) as relay:
        await push(relay, await relay.token(Right.ADMIN), job)
        token = await relay.token(Right.PUSH, match=BACKUPS)
        counter = "# TYPE rows counter\nrows 1\n"
        target, many = "/metrics/job/backup-b", "/api/v1/groups?by=job"
        labelled = counter.replace("rows 1", 'rows{job="backup-b"} 1')
        end = {
            "state": "finished",
            "finished_at": 1795378801,
            "outcome": "success",
            "metrics": counter,
        }
        headers = {"accept": "application/json"}
        answers = [
            await relay.ask("PUT", target, token, counter.encode()),
            await relay.ask("PUT", target, token, counter.encode(), headers),
            await relay.ask("PUT", many, token, labelled.encode(), headers),
            await report(relay, token, 0, job="backup-b", **end),
        ]
        assert [answer.status for answer in answers] == [400, 400, 400, 200]
        for answer in answers:
            text = answer.text.replace('\\"', '"')
            assert f"but {told} holds the family as UNTYPED" in text
            assert "secret" not in text
        # Operators are told by the log.
        told_to_them = [each for each in caplog.records if "refused" in each.message]
        reasons = [vars(record)["fields"]["reason"] for record in told_to_them]
        assert len(reasons) == 4
        assert all(f'group {{job="{job}",instance="db1"}}' in each for each in reasons)


@on_loop
async def test_who_may_not_push_puts_no_name_into_the_metrics(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match=BACKUPS)
        for secret, status in (("", 401), ("x", 401), (token, 403)):
            answer = await relay.ask("PUT", "/metrics/job/secret", secret, b"rows 1\n")
            assert answer.status == status
        ping = "/api/v1/ping?job=secret&status=success"
        assert (await relay.ask("POST", ping, token)).status == 403
        scraper = await relay.token(Right.SCRAPE)
        page = (await relay.ask("GET", "/metrics", scraper)).text
        rejected = "pushrelay_pushes_rejected_total{"
        assert f'{rejected}reason="not_authenticated"}} 2\n' in page
        assert f'{rejected}reason="not_allowed"}} 2\n' in page
        assert "secret" not in page


@on_loop
async def test_of_many_groups_all_must_be_covered(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match=BACKUPS)
        admin = await relay.token(Right.ADMIN)
        body = b'rows{job="backup-a"} 1\nrows{job="x"} 1\n'
        answer = await relay.ask("PUT", "/api/v1/groups?by=job", token, body)
        assert answer.status == 403
        assert '{job="x"}' in answer.text
        assert await jobs_in(relay, admin) == []
        body = body.replace(b'"x"', b'"backup-b"')
        answer = await relay.ask("PUT", "/api/v1/groups?by=job", token, body)
        assert answer.status == 200
        assert await jobs_in(relay, admin) == ["backup-a", "backup-b"]


@on_loop
async def test_lists_pages_and_scrapes_show_what_is_covered(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        await push(relay, admin, "backup-a", "other-job")
        reader = await relay.token(Right.READ, Right.SCRAPE, match=BACKUPS)
        assert await jobs_in(relay, reader) == ["backup-a"]
        for target in ("/metrics", "/-/metrics", "/", "/api/v1/metrics"):
            answer = await relay.ask("GET", target, reader)
            assert answer.status == 200
            assert "other-job" not in answer.text, target
        page = (await relay.ask("GET", "/metrics", reader)).text
        assert 'rows{instance="db1",job="backup-a"} 1\n' in page
        assert "pushrelay_groups" not in page
        wanted = quote('{job="other-job"}')
        answer = await relay.ask("GET", f"/metrics?match[]={wanted}", reader)
        assert answer.text == ""


@on_loop
async def test_an_administrator_of_some_groups_deletes_no_others(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        await push(relay, admin, "backup-a", "other-job")
        some = await relay.token(Right.ADMIN, match=BACKUPS)
        all_jobs = quote('{job=~".+"}')
        for query in ("&dry_run=1", ""):
            target = f"/api/v1/groups?match[]={all_jobs}{query}"
            deleted = data_of(await relay.ask("DELETE", target, some))
            assert [group["job"] for group in deleted["groups"]] == ["backup-a"]
        assert await jobs_in(relay, admin) == ["other-job"]


async def report(relay: Guarded, token: str, number: int, **fields: Any) -> Answer:
    document = {
        "state": "started",
        "started_at": 1795378800,
        "labels": {"instance": "db1"},
        **fields,
    }
    target = f"/api/v1/runs/{IDS[number]}"
    return await relay.ask("PUT", target, token, json.dumps(document).encode())


@on_loop
async def test_runs_of_others_are_not_there(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        for number, job in enumerate(["backup-a", "other-job"]):
            assert (await report(relay, admin, number, job=job)).status == 200
        reader = await relay.token(Right.READ, match=BACKUPS)
        listed = data_of(await relay.ask("GET", "/api/v1/runs", reader))["runs"]
        assert [run["job"] for run in listed] == ["backup-a"]
        jobs = data_of(await relay.ask("GET", "/api/v1/jobs", reader))["jobs"]
        assert [job["job"] for job in jobs] == ["backup-a"]
        unknown = await relay.ask("GET", f"/api/v1/runs/{IDS[2]}", reader)
        other = await relay.ask("GET", f"/api/v1/runs/{IDS[1]}", reader)
        assert other.status == unknown.status == 404
        assert other.text == unknown.text.replace(str(IDS[2]), str(IDS[1]))


@pytest.mark.parametrize(
    ("looks", "pages", "places"),
    [(10, [[3], [0]], [3]), (1, [[3], [0], []], [2, 0])],
)
@on_loop
async def test_pages_of_runs_end_with_one_that_is_covered_or_after_many_looks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
    pages: list[list[int]],
    places: list[int],
) -> None:
    monkeypatch.setattr(runs, "MOST_ENTRIES", 2)
    monkeypatch.setattr(runs, "MOST_LOOKS", looks)
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        for number, job in enumerate(["backup-a", "other", "other", "backup-b"]):
            at = 1795378800 + number
            await report(relay, admin, number, job=job, started_at=at)
        reader = await relay.token(Right.READ, match=BACKUPS)
        found, cursors = [], [""]
        while cursors[-1] is not None:
            after = f"&cursor={cursors[-1]}" if cursors[-1] else ""
            page = data_of(
                await relay.ask("GET", f"/api/v1/runs?limit=1{after}", reader)
            )
            found.append([uuid.UUID(run["id"]).int for run in page["runs"]])
            cursors.append(page["next"])
        assert found == pages
        assert [place_of(cursor)[-1] for cursor in cursors[1:-1]] == places


@on_loop
async def test_a_run_of_others_cannot_be_ended(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        assert (await report(relay, admin, 0, job="other-job")).status == 200
        token = await relay.token(Right.PUSH, match=BACKUPS)
        end = {"state": "finished", "finished_at": 1795378801, "outcome": "failure"}
        assert (await report(relay, token, 0, job="other-job", **end)).status == 403
        # With the id of a run that it cannot know of, and a job that it may report.
        assert (await report(relay, token, 0, job="backup-a", **end)).status == 409
        run = data_of(await relay.ask("GET", f"/api/v1/runs/{IDS[0]}", admin))
        assert run["state"] == "started"


@pytest.mark.parametrize(
    ("match", "is_seen"),
    [(BACKUPS, True), ('{job=~"backup-.*",instance!="db1"}', False)],
)
@on_loop
async def test_a_scrape_shows_of_jobs_what_is_about_covered_groups_alone(
    tmp_path: Path, match: str, is_seen: bool
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        expectation = {"every": "1h"}
        answer = await report(relay, admin, 0, job="backup-a", expectation=expectation)
        assert data_of(answer)["warnings"] == []
        scraper = await relay.token(Right.SCRAPE, match=match)
        page = (await relay.ask("GET", "/metrics", scraper)).text
        assert ("pushrelay_job_overdue" in page) == is_seen
        assert ("backup-a" in page) == is_seen


@pytest.mark.parametrize(
    ("match", "is_kept"), [(BACKUPS, True), (ON_DB1, False), (None, True)]
)
@on_loop
async def test_what_is_expected_of_a_job_takes_a_token_for_all_of_it(
    tmp_path: Path, match: str | None, is_kept: bool
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        token = await relay.token(Right.PUSH, match=match or "")
        answer = await report(
            relay, token, 0, job="backup-a", expectation={"every": "1h"}
        )
        warnings = data_of(answer)["warnings"]
        job = data_of(await relay.ask("GET", "/api/v1/jobs/backup-a", admin))
        assert (job["expectation"] is not None) == is_kept
        assert (warnings == []) == is_kept
        if not is_kept:
            assert warnings[0].startswith(
                'expectation: it is about the whole job "backup-a"'
            )


WITHOUT_INSTANCE = '{job="a",instance=""}'


@pytest.mark.parametrize(
    ("match", "body", "status"),
    [
        (WITHOUT_INSTANCE, 'x{instance="b"} 1\n', 403),
        (WITHOUT_INSTANCE, 'x 1\ny{instance="b"} 1\n', 403),
        ('{job="a",region!="eu"}', 'x{region="eu"} 1\n', 403),
        ('{job="a",region!="eu"}', 'x{region="us"} 1\n', 200),
        (WITHOUT_INSTANCE, 'x{other="b"} 1\n', 200),
        ('{job="a"}', 'x{instance="b"} 1\n', 200),
    ],
)
@on_loop
async def test_series_cannot_pass_for_those_of_groups_that_are_not_covered(
    tmp_path: Path, match: str, body: str, status: int
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match=match)
        answer = await relay.ask("PUT", "/metrics/job/a", token, body.encode())
        assert answer.status == status, answer.text
        if status == 403:
            assert "and not for series of " in answer.text
        split = body.replace("{", '{job="a",').replace("x 1", 'x{job="a"} 1')
        answer = await relay.ask("PUT", "/api/v1/groups?by=job", token, split.encode())
        assert answer.status == status, answer.text


@on_loop
async def test_a_run_is_kept_without_metrics_that_pass_for_those_of_others(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match=WITHOUT_INSTANCE)
        end = {"state": "finished", "finished_at": 1795378801, "outcome": "success"}
        answer = await report(
            *(relay, token, 0),
            **{**end, "job": "a", "labels": {}, "metrics": 'x{instance="b"} 1\n'},
        )
        (problem,) = data_of(answer)["metrics_problems"]
        assert 'x with the labels {instance="b",job="a"}' in str(problem)
