"""What was refused is kept with its reason, for those who may see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import key_of
from guarded import ALL_ON, Guarded, guarded
from relay_use import on_loop

from pushrelay.config import Limits, Settings
from pushrelay.recent_rejections import Rejection
from pushrelay.rights import Right

COUNTER = b"# TYPE rows counter\nrows 1\n"
RUN = "/api/v1/runs/00000000-0000-0000-0000-000000000007"
END = {
    "state": "finished",
    "started_at": 1795378800,
    "finished_at": 1795378801,
    "outcome": "success",
}
SMALL = Settings(
    auth_required=True, enable_admin_api=True, limits=Limits(label_value_bytes=20)
)


async def kept_of(
    relay: Guarded,
    method: str,
    target: str,
    body: bytes = b"",
    token: str | None = None,
    status: int = 400,
) -> Rejection:
    """Ask for what is refused; return what is kept of it."""
    if token is None:
        token = await relay.token(Right.ADMIN)
    answer = await relay.ask(method, target, token, body)
    assert answer.status == status, answer.text
    return relay.gateway._relay.rejections.all()[0]


def said(rejection: Rejection) -> tuple[Any, ...]:
    return rejection.what, rejection.reason, rejection.key, rejection.job


@on_loop
async def test_a_refused_push_is_kept_with_its_group_and_its_client(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        before = relay.gateway._relay.now()
        target = "/metrics/job/a/instance/1"
        kept = await kept_of(relay, "PUT", target, b"rows")
        assert said(kept) == ("push", "invalid_body", key_of("a", instance="1"), "a")
        assert kept.client == "192.0.2.1"
        assert before <= kept.at <= relay.gateway._relay.now()
        assert kept.text == kept.safe_text
        assert kept.text.startswith("text format parsing error in line 1: ")
        again = await kept_of(relay, "PUT", target, b"rows")
        assert (again.times, len(relay.gateway._relay.rejections.all())) == (2, 1)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("PUT", "/metrics/job/a/i", ("push", "invalid_grouping_key", None, None)),
        (
            "PUT",
            "/metrics/job/a/i/" + "x" * 21,
            ("push", "limit", None, "a"),
        ),
        (
            "DELETE",
            "/metrics/job/a?match[]=%7B%7D",
            ("deletion", "invalid_request", key_of("a"), "a"),
        ),
        (
            "POST",
            "/api/v1/groups?by=instance",
            ("push", "invalid_request", None, None),
        ),
        (
            "POST",
            "/api/v1/ping?job=a&status=x",
            ("report of a run", "invalid_run", None, "a"),
        ),
        ("PUT", RUN, ("report of a run", "invalid_run", None, None)),
    ],
)
@on_loop
async def test_whatever_is_refused_is_kept_with_what_is_known_of_it(
    tmp_path: Path, method: str, target: str, expected: tuple[Any, ...]
) -> None:
    async with guarded(tmp_path, SMALL) as relay:
        kept = await kept_of(relay, method, target, b"rows 1\n")
        assert said(kept) == expected


@on_loop
async def test_metrics_of_a_run_that_are_refused_are_kept(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        body = json.dumps({"job": "a", **END, "metrics": "rows"}).encode()
        kept = await kept_of(relay, "PUT", RUN, body, status=200)
        assert said(kept) == ("metrics of a run", "invalid_body", key_of("a"), "a")


@on_loop
async def test_what_tells_of_other_groups_is_for_those_who_see_all(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        await relay.ask("PUT", "/metrics/job/secret", admin, b"rows 1\n")
        pusher = await relay.token(Right.PUSH, match='{job=~"a|b"}', name="pusher")
        for token in (admin, pusher):
            kept = await kept_of(relay, "PUT", "/metrics/job/a", COUNTER, token)
            assert 'group {job="secret"} holds the family' in kept.text
            assert "another group holds the family" in kept.safe_text
        body = json.dumps({"job": "b", **END, "metrics": COUNTER.decode()}).encode()
        kept = await kept_of(relay, "PUT", RUN, body, pusher, 200)
        assert 'group {job="secret"} holds the family' in kept.text
        assert "another group holds the family" in kept.safe_text
        # Nor of who else may do what.
        kept = await kept_of(relay, "PUT", "/metrics/job/c", b"", pusher, 403)
        assert 'the token "pusher" is for groups that match' in kept.text
        assert (kept.key, kept.safe_text) == (key_of("c"), "")


@on_loop
async def test_no_secret_is_kept_and_no_name_that_strangers_choose(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path, ALL_ON) as relay:
        for token in ("", "S3cret", "pushrelay_S3cret"):
            target = "/metrics/job/stranger"
            kept = await kept_of(relay, "PUT", target, b"x 1\n", token, 401)
            assert said(kept) == ("push", "not_authenticated", None, None)
            assert "S3cret" not in repr(kept)
            assert "stranger" not in repr(kept)


@on_loop
async def test_dry_runs_are_not_kept(tmp_path: Path) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH)
        target = "/metrics/job/a?dry_run=1"
        assert (await relay.ask("PUT", target, token, b"rows")).status == 400
        assert relay.gateway._relay.rejections.all() == []
