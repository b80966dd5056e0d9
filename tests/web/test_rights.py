"""Who may do what: each route for each kind of credentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from guarded import ALL_ON, Guarded, guarded
from relay_use import on_loop
from route_requests import REQUESTS

from pushrelay.rights import SCOPES, Right
from pushrelay.web.routing import Route, Router

ROUTES = Router(ALL_ON).routes
OF_API = "/api/v1"
ABOUT_A = {
    *("push", "delete", "push_groups", "report_run", "ping"),
    *("expect", "expect_nothing", "pause", "resume", "retire", "job"),
    *("delete_page", "retire_page", "pause_page"),
    *("delete_form", "retire_form", "pause_form", "resume_form"),
}
ABOUT_ALL = {"reload", "quit", "wipe", "import", "wipe_page", "wipe_form"}
NEEDED_TOO = {"delete_page": Right.PUSH}
"""Beside the right of the route."""

LATE = 2**62


@dataclass(frozen=True)
class Credentials:
    """A kind of them. match: a selector that the token is bound to; is_for_a: whether
    that lets it do something to the job `a`."""

    name: str
    scopes: tuple[Right, ...] = ()
    match: str = ""
    is_for_a: bool = True
    expires_at: int = LATE
    revoked_at: int | None = None

    @property
    def is_good(self) -> bool:
        return self.expires_at == LATE and self.revoked_at is None


def kinds() -> Iterator[Credentials]:
    for scope in SCOPES:
        yield Credentials(f"{scope}", (scope,))
        yield Credentials(f"{scope} of a", (scope,), '{job="a"}')
        yield Credentials(f"{scope} of others", (scope,), '{job!="a"}', is_for_a=False)
        yield Credentials(f"{scope}, expired", (scope,), expires_at=1)
        yield Credentials(f"{scope}, revoked", (scope,), revoked_at=1)
    yield Credentials("push and scrape", (Right.PUSH, Right.SCRAPE))


KINDS = list(kinds())


def verdict(route: Route, given: Credentials) -> int:
    """Return the status that keeps `given` from `route`, 0 if they may."""
    if route.right is None:
        return 0
    if not given.is_good:
        return 401
    has = {*given.scopes, Right.HEALTH}
    needed = {route.right, NEEDED_TOO.get(route.name, route.right)}
    if not needed <= has and Right.ADMIN not in has:
        return 403
    if given.match and route.name in ABOUT_ALL:
        return 403
    return 403 if route.name in ABOUT_A and not given.is_for_a else 0


async def status_of(relay: Guarded, route: Route, method: str, token: str) -> int:
    target, body, headers = REQUESTS[route.name]
    # Refusals of one kind must not count as guesses of the others.
    client = f"192.0.2.{ROUTES.index(route)}"
    answer = await relay.ask(method, target, token, body, headers, client=client)
    return answer.status


def test_there_is_a_request_for_every_route() -> None:
    assert set(REQUESTS) == {route.name for route in ROUTES}


@pytest.mark.parametrize("given", KINDS, ids=lambda each: each.name)
@on_loop
async def test_every_route_is_for_those_who_have_its_right(
    tmp_path: Path, given: Credentials
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(
            *given.scopes,
            match=given.match,
            expires_at=given.expires_at,
            **({} if given.revoked_at is None else {"revoked_at": given.revoked_at}),
        )
        for route in ROUTES:
            for method in route.methods:
                status = await status_of(relay, route, method, token)
                wanted = verdict(route, given)
                found = status if status in (401, 403) else 0
                assert found == wanted, (route.name, method, status)
                assert status < 500, (route.name, method)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer prt_0123456789abcdef_" + 43 * "x" + "00000000",
        "Basic",
        "Basic !",
        "Basic dXNlcg==",
        "Basic dXNlcjpwYXNzd29yZA==",
        "Basic /w==",
        "Basic \xe9",
        "Digest username=x",
    ],
)
@on_loop
async def test_nobody_known_may_probe_and_no_more(tmp_path: Path, header: str) -> None:
    async with guarded(tmp_path) as relay:
        for number, route in enumerate(ROUTES):
            target, body, headers = REQUESTS[route.name]
            for method in route.methods:
                answer = await relay.ask(
                    *(method, target, "", body),
                    {**headers, **({"authorization": header} if header else {})},
                    client=f"192.0.2.{number}",
                )
                is_open = route.right is None or (
                    route.right is Right.HEALTH and not header
                )
                assert (answer.status != 401) == is_open, (route.name, method)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/unknown", 404),
        ("PATCH", "/metrics", 405),
        ("OPTIONS", "/metrics", 200),
        ("GET", "//metrics", 307),
        ("GET", "/METRICS", 301),
    ],
)
@on_loop
async def test_what_has_no_handler_is_told_to_those_who_are_known(
    tmp_path: Path, method: str, target: str, status: int
) -> None:
    async with guarded(tmp_path) as relay:
        token = await relay.token(Right.PUSH)
        assert (await relay.ask(method, target)).status == 401
        assert (await relay.ask(method, target, token)).status == status
