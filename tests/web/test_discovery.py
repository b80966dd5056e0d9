"""The targets that Prometheus is told to scrape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from guarded import Answer, Guarded, guarded
from relay_use import on_loop

from pushrelay.config import Settings

OURS = {"__scheme__", "__metrics_path__", "__param_shard", "__param_shards", "instance"}


async def discover(relay: Guarded, query: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await relay.ask("GET", f"/api/v1/sd{query}", headers=named)


def targets(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    # Prometheus reads nothing else.
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, Any]] = json.loads(answer.body)
    # Any other label would be one of all series.
    assert all(set(each["labels"]) <= OURS for each in found)
    return found


@on_loop
async def test_each_shard_is_a_target_with_an_instance_of_its_own(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        answer = await discover(relay, "?shards=2", host="relay:9091")
    assert targets(answer) == [
        {
            "targets": ["relay:9091"],
            "labels": {
                "__scheme__": "http",
                "__metrics_path__": "/metrics",
                "__param_shard": number,
                "__param_shards": "2",
                "instance": f"relay:9091/shard-{number}",
            },
        }
        for number in ("0", "1")
    ]


@on_loop
async def test_without_a_number_the_whole_page_is_the_target(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        for query in ("", "?shards=1"):
            [target] = targets(await discover(relay, query, host="[fd00::1]:9091"))
            assert target == {
                "targets": ["[fd00::1]:9091"],
                "labels": {
                    "__scheme__": "http",
                    "__metrics_path__": "/metrics",
                    "instance": "[fd00::1]:9091",
                },
            }


PROXIED = {"x-forwarded-host": "push.example", "x-forwarded-proto": "https"}
EXTERNAL: dict[str, Any] = {"external_origin": "https://push.example:8443"}
TRUSTED: dict[str, Any] = {"trusted_proxies": ("192.0.2.0/24",)}


@pytest.mark.parametrize(
    ("settings", "headers", "found"),
    [
        ({}, PROXIED, ("http", "relay:9091", "/metrics")),
        (TRUSTED, PROXIED, ("https", "push.example", "/metrics")),
        (TRUSTED | EXTERNAL, PROXIED, ("https", "push.example:8443", "/metrics")),
        (
            {**EXTERNAL, "external_path": "/shown", "route_prefix": "/within"},
            {},
            ("https", "push.example:8443", "/shown/metrics"),
        ),
        (
            {"route_prefix": "/gw", "telemetry_path": "/seen"},
            {},
            ("http", "relay:9091", "/gw/seen"),
        ),
    ],
)
@on_loop
async def test_a_target_is_where_the_relay_can_be_reached(
    tmp_path: Path,
    settings: dict[str, Any],
    headers: dict[str, str],
    found: tuple[str, str, str],
) -> None:
    scheme, address, path = found
    target = settings.get("route_prefix", "") + "/api/v1/sd"
    async with guarded(tmp_path, Settings(**settings)) as relay:
        answer = await relay.ask(
            "GET", target, headers={"host": "relay:9091", **headers}
        )
    [shown] = targets(answer)
    assert shown["targets"] == [address]
    assert shown["labels"] == {
        "__scheme__": scheme,
        "__metrics_path__": path,
        "instance": address,
    }


HOSTILE = [
    *("", ":9091", "a;job=x", "a%22", "$(x)", "a/b", 'a"b', "a\\b", "a:999999"),
    *("[fe80::1%25eth0]:1", "a b", "a@b", "é"),
    # Told of a thousand shards, it would keep the event loop for a second.
    *("a" * 254, f"[{':' * 46}]"),
]


@on_loop
async def test_a_host_that_is_no_address_is_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        for host in (*HOSTILE, "a,b"):
            answer = await discover(relay, host=host)
            assert answer.status == 400, host
            assert "Host header" in answer.text


@on_loop
async def test_of_what_a_trusted_proxy_says_only_an_address_is_shown(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path, Settings(**TRUSTED)) as relay:
        for host in HOSTILE:
            said = {"host": "relay:9091", "x_forwarded_host": host}
            answer = await discover(relay, **said)
            if answer.status == 200:
                [target] = targets(answer)
                assert target["targets"] == ["relay:9091"]
            else:
                assert "--web.external-url" in answer.text


@on_loop
async def test_an_external_url_that_is_no_address_is_named(tmp_path: Path) -> None:
    settings = Settings(external_origin="https://bücher.example")
    async with guarded(tmp_path, settings) as relay:
        answer = await discover(relay, host="relay:9091")
    assert answer.status == 400
    assert answer.text.startswith('--web.external-url names "bücher.example", which is')


@on_loop
async def test_what_is_misspelt_is_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        for query, told in (
            ("?shards=0", 'shards is "0"; write a whole number from 1 to 1000\n'),
            ("?shards=1001", 'is "1001"; write a whole number from 1 to 1000\n'),
            ("?shard=2", 'parameter "shard"; what can be given here is shards\n'),
        ):
            answer = await discover(relay, query)
            assert answer.status == 400
            assert answer.text.endswith(told)
