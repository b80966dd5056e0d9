"""Who is known, what the others are told, and how often they may try."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from guarded import ALL_ON, Guarded, guarded
from relay_use import on_loop

from pushrelay.config import Settings
from pushrelay.rights import Right
from pushrelay.tokens import id_of, new_text
from pushrelay.web.failures import BURST

JSON = {"accept": "application/json"}
WRONG = {"authorization": "Bearer wrong"}


def basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {text}"}


@pytest.mark.parametrize("user", ["", "x", "token"])
@on_loop
async def test_a_token_may_come_as_a_password(tmp_path: Path, user: str) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.READ)
        answer = await relay.ask("GET", "/api/v1/groups", headers=basic(user, token))
        assert answer.status == 200


@on_loop
async def test_nobody_is_asked_by_default(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        assert (await relay.ask("PUT", "/metrics/job/a", body=b"x 1\n")).status == 200
        assert (await relay.ask("GET", "/metrics", headers=WRONG)).status == 200


@pytest.mark.parametrize(
    ("doors", "statuses"),
    [
        ((), [401, 401, 401, 401, 200]),
        (("push",), [200, 401, 401, 401, 200]),
        (("push", "scrape"), [200, 200, 401, 401, 200]),
        (("scrape", "read"), [401, 200, 200, 401, 200]),
        (("admin",), [200, 200, 200, 202, 200]),
    ],
)
@on_loop
async def test_doors_stay_open_to_those_who_do_not_say_who_they_are(
    tmp_path: Path, doors: tuple[str, ...], statuses: list[int]
) -> None:
    settings = replace(ALL_ON, auth_anonymous=doors)
    async with guarded(tmp_path, settings) as relay:
        found = [
            (await relay.ask("PUT", "/metrics/job/a", body=b"x 1\n")).status,
            (await relay.ask("GET", "/metrics")).status,
            (await relay.ask("GET", "/status")).status,
            (await relay.ask("PUT", "/api/v1/admin/wipe")).status,
            (await relay.ask("GET", "/-/ready")).status,
        ]
        assert found == statuses
        # Who says something wrong wanted to be somebody else.
        assert (await relay.ask("GET", "/metrics", headers=WRONG)).status == 401


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="pushrelay"'),
        (WRONG, 'Bearer realm="pushrelay", error="invalid_token"'),
    ],
)
@on_loop
async def test_who_is_not_known_is_told_how_to_say_it(
    tmp_path: Path, headers: dict[str, str], challenge: str
) -> None:
    async with guarded(tmp_path) as relay:
        answer = await relay.ask("GET", "/metrics", headers=headers)
        assert (answer.status, answer.text) == (401, "Unauthorized\n")
        assert answer.all("www-authenticate") == [
            'Basic realm="pushrelay", charset="UTF-8"',
            challenge,
        ]


@on_loop
async def test_the_right_that_is_missing_is_named(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.READ, Right.SCRAPE, name="grafana")
        answer = await relay.ask("PUT", "/metrics/job/a", token, b"x 1\n")
        assert answer.text == (
            'the token "grafana" may not push: that needs the scope push, and it has '
            "read, scrape\n"
        )
        assert (await relay.ask("GET", "/api/v1/groups", token)).text.count("{") == 2


@on_loop
async def test_a_body_is_not_read_before_its_sender_is_known(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        headers = {"content-length": str(2**40), "content-encoding": "gzip"}
        answer = await relay.ask("PUT", "/metrics/job/a", body=b"", headers=headers)
        assert answer.status == 401


async def guess(relay: Guarded, client: str) -> int:
    answer = await relay.ask("GET", "/metrics", headers=WRONG, client=client)
    return answer.status


@on_loop
async def test_an_address_may_guess_some_times_and_the_right_token_always_passes(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.SCRAPE)
        assert (await relay.ask("GET", "/metrics", token)).status == 200
        statuses = [await guess(relay, "192.0.2.1") for _ in range(BURST + 5)]
        assert statuses == [401] * BURST + [429] * 5
        answer = await relay.ask("GET", "/metrics", headers=WRONG | JSON)
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 6
        assert (await relay.ask("GET", "/metrics", token)).status == 200
        assert await guess(relay, "192.0.2.2") == 401


@pytest.mark.parametrize(
    ("header", "beginning", "status"),
    # A browser that comes with a session which is over has not guessed.
    [("authorization", "Bearer ", 429), ("cookie", "pushrelay=", 401)],
)
@on_loop
async def test_guesses_that_come_at_once_do_not_get_past_that(
    tmp_path: Path, header: str, beginning: str, status: int
) -> None:
    async with guarded(tmp_path) as relay:

        async def guess() -> int:
            headers = {header: beginning + new_text().text}
            return (await relay.ask("GET", "/metrics", headers=headers)).status

        statuses = await asyncio.gather(*[guess() for _ in range(BURST + 30)])
        assert sorted(statuses) == [401] * BURST + [429] * 30
        assert await guess() == status


@pytest.mark.parametrize(
    ("method", "target", "body", "about", "status", "reason"),
    [
        ("PUT", "/metrics/job/a/i/1", b"x 1\n", '{job="a",i="1"}', 200, None),
        ("PUT", "/metrics/job/a/i/1", b"x", '{job="a",i="1"}', 400, "invalid_body"),
        ("DELETE", "/metrics/job/b", b"", '{job="b"}', 403, "not_allowed"),
        ("POST", "/api/v1/ping?job=a&status=fail", b"", '{job="a"}', 200, None),
        ("DELETE", "/api/v1/jobs/a", b"", "/api/v1/jobs/a", 403, "not_allowed"),
        ("PUT", "/metrics/job/%ff", b"x 1\n", None, 400, "invalid_grouping_key"),
    ],
)
@on_loop
async def test_each_write_has_a_line_that_says_who_and_with_what_verdict(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    method: str,
    target: str,
    body: bytes,
    about: str | None,
    status: int,
    reason: str | None,
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH, match='{job="a"}', name="deploys")
        caplog.set_level(logging.INFO, "pushrelay.web.noting")
        await relay.ask(method, target, token, body)
        (line,) = [each for each in caplog.records if each.message == "write"]
        fields = vars(line)["fields"]
        assert fields.pop("bytes").isdigit()
        assert fields.pop("about") == (about or target)
        assert fields.pop("token_id") == id_of(token)
        verdict = {"status": str(status)} | ({"reason": reason} if reason else {})
        assert fields == {
            "client": "192.0.2.1",
            "token": "deploys",
            "method": method,
            **verdict,
        }


@on_loop
async def test_writes_of_foreign_pages_have_a_line_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(tmp_path) as relay:
        caplog.set_level(logging.INFO, "pushrelay.web.noting")
        foreign = {"origin": "https://elsewhere.example"}
        answer = await relay.ask("PUT", "/metrics/job/a", "", b"x 1\n", foreign)
        assert answer.status == 403
        (line,) = [each for each in caplog.records if each.message == "write"]
        assert vars(line)["fields"]["about"] == "/metrics/job/a"


@pytest.mark.parametrize(("log_writes", "lines"), [("auto", 0), ("off", 0), ("on", 1)])
@on_loop
async def test_where_nobody_is_asked_writes_are_logged_if_that_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, log_writes: str, lines: int
) -> None:
    caplog.set_level(logging.INFO, "pushrelay.web.noting")
    async with guarded(tmp_path, Settings(log_writes=log_writes)) as relay:
        await relay.ask("PUT", "/metrics/job/a", body=b"x 1\n")
        await relay.ask("GET", "/metrics")
        assert len([r for r in caplog.records if r.message == "write"]) == lines
