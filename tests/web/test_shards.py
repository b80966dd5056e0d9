"""The page of a relay, scraped in shards."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from exposition_page import read_page
from guarded import Answer, Guarded, guarded
from metric_messages import HEADERS, read_delimited
from relay_use import on_loop

from pushrelay.config import Settings
from pushrelay.rights import Right
from pushrelay.view import selection

OF = 3
MESSAGES = {"accept": HEADERS["Content-Type"]}
ZIPPED = {"accept-encoding": "gzip"}

Series = set[tuple[object, ...]]


async def fill(relay: Guarded, token: str = "") -> None:
    for number in range(8):
        target = f"/metrics/job/backup/instance/{number}"
        assert (await relay.ask("PUT", target, token, b"rows 1\n")).status == 200
    ping = "/api/v1/ping?job=report&status=success"
    assert (await relay.ask("POST", ping, token)).status == 200


def series(answer: Answer) -> Series:
    """Return the names and labels of a page: values of the relay's own change."""
    assert answer.status == 200, answer.text
    samples = read_page(answer.text)
    return {(sample.name, *sorted(sample.labels)) for sample in samples}


async def shards(relay: Guarded, token: str = "", more: str = "") -> list[Series]:
    """Return what each shard has; none has a series of another one."""
    found = []
    for number in range(OF):
        target = f"/metrics?shard={number}&shards={OF}{more}"
        found.append(series(await relay.ask("GET", target, token)))
    assert sum(map(len, found)) == len(set().union(*found))
    return found


@on_loop
async def test_together_they_are_the_whole_page(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        await fill(relay)
        # Which is counted, and from then on as a series.
        await relay.ask("GET", "/metrics")
        whole = series(await relay.ask("GET", "/metrics"))
        found = await shards(relay)
        assert set().union(*found) == whole
        own = {each for each in whole if each[0] == "pushrelay_groups"}
        assert own <= found[0]
        assert await shards(relay) == found


@on_loop
async def test_a_shard_has_all_formats(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        await fill(relay)
        target = f"/metrics?shard=1&shards={OF}"
        page = await relay.ask("GET", target)
        zipped = await relay.ask("GET", target, headers=ZIPPED)
        assert gzip.decompress(zipped.body) == page.body
        names = {sample.name for sample in read_page(page.text)}
        messages = await relay.ask("GET", target, headers=MESSAGES)
        families = read_delimited(messages.body)
        assert {f.name for f in families} >= {"rows", "push_time_seconds"} & names
        rows = sum(len(f.metric) for f in families if f.name == "rows")
        assert rows == page.text.count("\nrows{") > 0
        both = await relay.ask("GET", target, headers={**MESSAGES, **ZIPPED})
        assert gzip.decompress(both.body) == messages.body


@on_loop
async def test_selectors_and_the_bounds_of_a_token_restrict_shards(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        await fill(relay, admin)
        more = "match[]=" + quote('{instance=~"[0-5]"}')
        chosen = series(await relay.ask("GET", f"/metrics?{more}", admin))
        assert set().union(*await shards(relay, admin, f"&{more}")) == chosen
        bound = await relay.token(Right.SCRAPE, match='{instance=~"[3-7]"}')
        allowed = series(await relay.ask("GET", "/metrics", bound))
        assert set().union(*await shards(relay, bound)) == allowed
        both = set().union(*await shards(relay, bound, f"&{more}"))
        assert {each for each in both if each[0] == "rows"} == {
            ("rows", ("instance", number), ("job", "backup")) for number in "345"
        }


@on_loop
async def test_half_of_what_names_a_shard_is_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path, Settings()) as relay:
        for query in ("shard=1", "shards=4"):
            answer = await relay.ask("GET", f"/metrics?{query}")
            assert answer.status == 400
            assert "write shard=0&shards=4 for the first of four" in answer.text


@on_loop
async def test_what_a_shard_has_is_not_looked_for_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, parts_of = set(), selection.parts_of

    def noted(*arguments: object) -> object:
        threads.add(threading.current_thread())
        return parts_of(*arguments)  # type: ignore[arg-type]  # whatever it is given

    monkeypatch.setattr(selection, "parts_of", noted)
    async with guarded(tmp_path, Settings()) as relay:
        await fill(relay)
        await shards(relay)
    assert threads
    assert threading.main_thread() not in threads
