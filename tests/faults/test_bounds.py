"""What is remembered of pushes does not grow with their number."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path

import pytest
from asgi import ask
from builders import new_database

from pushrelay import groups, rivals, template_memo
from pushrelay.config import Settings
from pushrelay.exposition import escaping, evidence, text_renderer
from pushrelay.exposition.escaping import Escaping
from pushrelay.relay import Relay
from pushrelay.store import group_rows
from pushrelay.telemetry import Telemetry
from pushrelay.telemetry.values import SlidingSummary
from pushrelay.web.gateway import Gateway

pytestmark = [pytest.mark.system, pytest.mark.no_cover]

PUSHES = 20_000
SETTLED = 5_000
"""Pushes after which all caches are as full as they ever get."""

AT_ONCE = 100
TEMPLATE_BYTES = 50_000
NOISE = 1_500
"""One object in ten pushes would be more; the threads and the pool of connections come
and go by some hundreds."""

MOST = {
    "seen skeletons": template_memo.SEEN,
    "bytes of templates": TEMPLATE_BYTES,
    "label pairs": len(Escaping) * text_renderer._REMEMBERED,
    # On a machine that takes minutes for the pushes there are more of them.
    "observations": SlidingSummary.SLICES * SlidingSummary.SAMPLE,
}
"""How much there may be of what is not the same from one push to the next."""

ACCEPTS = (
    "",
    "text/plain; escaping=values",
    "text/plain; escaping=allow-utf-8",
    "application/vnd.google.protobuf; "
    "proto=io.prometheus.client.MetricFamily; encoding=delimited",
)


class InProcess:
    """A relay without a server: requests in, statuses out."""

    def __init__(self, directory: Path) -> None:
        database = new_database(directory)
        self.relay = Relay(database, Telemetry())
        settings = Settings(utf8_names=True, enable_admin_api=True)
        self.gateway = Gateway(settings, self.relay, lambda: None)

    async def request(
        self, method: str, path: str, body: str = "", **headers: str
    ) -> int:
        """Send a request and return the status of its answer."""
        answer = await ask(self.gateway, method, path, headers, body.encode())
        return answer.status

    def sizes(self) -> dict[str, int]:
        """Return how much of everything is remembered."""
        view, known = self.relay._view, self.gateway._pushes._reader.templates
        return {
            "seen skeletons": known.seen,
            "bytes of templates": known.size,
            "shapes": len(groups._shapes),
            "layouts": len(groups._layouts),
            "packed layouts": len(group_rows._heads),
            "layouts by what is packed": len(group_rows._layouts),
            "payloads with heads": len(rivals._known_heads),
            "paths": self.gateway._pushes._known_key.cache_info().currsize,
            "evidence": evidence._known_shape.cache_info().currsize,
            "escaped names": escaping._escape_cached.cache_info().currsize,
            "label pairs": sum(
                len(pairs) for pairs in text_renderer._LABEL_PAIRS.values()
            ),
            "groups": len(view.groups),
            "families": len(view.families),
            "exposed families": len(view._exposed),
            "families with news": len(view._holdings.changed),
            "groups with new values": len(view._holdings.pending),
            "sets of label names": len(list(view.key_shapes)),
            "blocks": sum(len(f.groups.blocks) for f in view.families.values()),
            "help texts": sum(len(f.helps) for f in view.families.values()),
            "own series": self._own_series(),
            "observations": max(map(_observations, self._summaries()), default=0),
        }

    def _own_series(self) -> int:
        kept = vars(self.relay.telemetry).values()
        return sum(len(counts) for counts in kept if isinstance(counts, dict))

    def _summaries(self) -> list[SlidingSummary]:
        pushes = self.relay.telemetry.pushes.values()
        return [summary for kept in pushes for summary in (kept.seconds, kept.bytes)]


def _observations(summary: SlidingSummary) -> int:
    return sum(len(slice_.values) for slice_ in summary._slices)


def body_of(number: int) -> str:
    """Return a push that brings something new of everything."""
    return (
        f"# HELP of_{number} Help {number}.\n# TYPE of_{number} gauge\n"
        f'of_{number}{{run="{number}"}} 1\n'
        f'# HELP same Help {number}.\nsame{{run="{number}"}} {number}\n'
        f'{{"ü{number}","é{number}"="{number}"}} 1\n'
    )


async def push_once(relay: InProcess, number: int) -> None:
    """Make push `number`, to a group that comes and goes or to one that stays."""
    if number % 10:
        target = f"/metrics/job/run-{number}/l{number}/{number}"
        assert await relay.request("PUT", target, body_of(number)) == 200
        return
    target = f"/metrics/job/stays/zone/{number % 200}"
    assert await relay.request("PUT", target, body_of(number)) == 200
    # The same series twice make a template; the key of that group lies inside of them.
    for value in range(2):
        body = f'same{{zone="{number % 200}",run="of {number}"}} {value}\n'
        assert await relay.request("PUT", "/metrics/job/stays", body) == 200
    twice = f'same{{run="{number}"}} 1\n' * 2
    assert await relay.request("POST", "/metrics/job/refused", twice) == 400
    assert await relay.request(f"M{number}", target) == 405


async def delete_once(relay: InProcess, number: int) -> None:
    target = f"/metrics/job/run-{number}/l{number}/{number}"
    assert await relay.request("DELETE", target) == 202


async def push_many(relay: InProcess, numbers: range) -> None:
    for start in numbers[::AT_ONCE]:
        batch = range(start, start + AT_ONCE)
        await asyncio.gather(*(push_once(relay, number) for number in batch))
        for accept in ACCEPTS:
            headers = {"accept": accept, "accept-encoding": "gzip"}
            assert await relay.request("GET", "/metrics", **headers) == 200
        if start:
            await asyncio.gather(*(delete_once(relay, number) for number in batch))
        else:
            assert await relay.request("PUT", "/api/v1/admin/wipe") == 202
    assert await relay.request("GET", "/metrics") == 200


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def test_nothing_that_is_remembered_grows_with_the_number_of_pushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # pytest would keep all that is logged
    # Else these take much longer to be full.
    monkeypatch.setattr(template_memo, "MEMO_BYTES", TEMPLATE_BYTES)

    async def main() -> None:
        relay = InProcess(tmp_path)
        relay.relay.start()
        try:
            await push_many(relay, range(SETTLED))
            settled_objects, settled = objects(), relay.sizes()
            await push_many(relay, range(SETTLED, PUSHES))
            after_objects, after = objects(), relay.sizes()
        finally:
            await asyncio.to_thread(relay.relay.stop)
        for name, size in settled.items():
            most = MOST.get(name, size + size // 50 + 10)
            assert after[name] <= most, f"{name}: {size}, then {after[name]}"
        assert after_objects <= settled_objects + NOISE

    asyncio.run(main())
