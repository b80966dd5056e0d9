"""The list of groups as a page: those who ask for it, and what they see."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import Any

from builders import group_of, key_of
from flask.testing import FlaskClient
from flask_clients import flask_client

from pushrelay.config import Settings
from pushrelay.freshness import Policy, standing_of
from pushrelay.groups import Group
from pushrelay.rights import Grant, Identity, Right
from pushrelay.selector_parser import parse_selector

NOW = 8 * 10**9


def client_of(
    *groups: Group,
    settings: Settings | None = None,
    is_current: bool = True,
    identity: Identity | None = None,
) -> FlaskClient:
    relay: Any = SimpleNamespace(
        groups=lambda: sorted(groups, key=lambda group: group.key.canonical),
        refresh_blocking=lambda: is_current,
        now=lambda: NOW,
    )
    asks = (identity,) if identity else ()
    return flask_client(settings or Settings(), relay, *asks)


def page_of(*groups: Group, query: str = "", **options: Any) -> str:
    response = client_of(*groups, **options).get(f"/groups{query}")
    assert response.status_code == 200
    return response.text


def reader(*rights: Right, match: str = "") -> Identity:
    selectors = (parse_selector(match),) if match else ()
    return Identity("x", "token", Grant(frozenset(rights), selectors))


def jobs_on(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="\./group\?key=.*?">(.*?)</a>', page)


def link(page: str, text: str) -> str | None:
    match = re.search(rf'<a (?:rel="next" )?href="\./groups([^"]*)"[^>]*>{text}', page)
    return unescape(match[1]) if match else None


def counts_on(page: str) -> dict[str, str]:
    found = re.findall(r"<li><a [^>]*>(.*?) <b>(.*?)</b>", page)
    return {name.lower(): count for name, count in found}


def group_named(job: str, **labels: str) -> Group:
    return group_of("x 1", key_of(job, **labels))


def stale_group(job: str = "old", now: int = NOW, **times: int) -> Group:
    """A group pushed at 1 s that goes stale after 5 s."""
    group = group_of("x 1", key_of(job), **times)
    standing = standing_of(Policy(5 * 10**9), group.times, lambda _: False, now)
    return replace(group, standing=standing)
