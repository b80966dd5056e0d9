"""Those who ask for an exposition at the same time share one."""

from __future__ import annotations

import asyncio

import pytest

from pushrelay.changes import Position
from pushrelay.exposition.negotiation import ScrapeFormat, negotiate
from pushrelay.view.exposition import Exposition
from pushrelay.view.snapshot import Snapshot
from pushrelay.web.shared_expositions import SharedExpositions

TEXT = negotiate(None)
PROTOBUF = negotiate(
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
    "encoding=delimited"
)
EMPTY = Snapshot(Position(0, b""), (), groups=0, series=0, size=0)


class Source:
    """Makes expositions once they may end; begun: of those that it was asked for."""

    def __init__(self) -> None:
        self.begun: list[ScrapeFormat] = []
        self.may_end = asyncio.Event()
        self.error: Exception | None = None
        self.shared = SharedExpositions(self._expose)

    async def _expose(self, format_: ScrapeFormat) -> Exposition:
        self.begun.append(format_)
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return Exposition(EMPTY, (), format_)

    def ask(self, format_: ScrapeFormat = TEXT) -> asyncio.Task[Exposition]:
        return asyncio.create_task(self.shared.get(format_))

    async def ask_until_begun(self, number: int) -> asyncio.Task[Exposition]:
        asked = self.ask()
        while len(self.begun) < number:
            await asyncio.sleep(0)
        return asked


def test_who_asks_before_it_begins_shares_it_and_who_asks_later_gets_the_next() -> None:
    async def check() -> None:
        source = Source()
        together = [source.ask() for _ in range(5)]
        together.append(await source.ask_until_begun(1))
        later = [source.ask() for _ in range(5)]
        await asyncio.sleep(0.01)
        assert source.begun == [TEXT]
        source.may_end.set()
        first = await asyncio.gather(*together)
        second = await asyncio.gather(*later)
        assert len(set(map(id, first))) == len(set(map(id, second))) == 1
        assert first[0] is not second[0]
        # What was made is not kept.
        third = await source.ask()
        assert third is not second[0]
        assert source.begun == [TEXT] * 3

    asyncio.run(check())


def test_formats_do_not_wait_for_each_other() -> None:
    async def check() -> None:
        source = Source()
        text = await source.ask_until_begun(1)
        other = source.ask(PROTOBUF)
        await asyncio.sleep(0.01)
        assert source.begun == [TEXT, PROTOBUF]
        source.may_end.set()
        assert await text is not await other

    asyncio.run(check())


def test_an_error_is_everyones_and_not_of_those_after() -> None:
    async def check() -> None:
        source = Source()
        source.error = RuntimeError("broken")
        both = [source.ask(), await source.ask_until_begun(1)]
        source.may_end.set()
        for asked in both:
            with pytest.raises(RuntimeError, match="broken"):
                await asked
        source.error = None
        await source.ask()

    asyncio.run(check())


@pytest.mark.filterwarnings("error")
def test_who_leaves_does_not_end_it_for_others() -> None:
    async def check() -> None:
        source = Source()
        leaving, staying = source.ask(), await source.ask_until_begun(1)
        leaving.cancel()
        await asyncio.wait([leaving])
        waiting = source.ask()
        await asyncio.sleep(0.01)
        waiting.cancel()
        source.may_end.set()
        assert isinstance(await staying, Exposition)
        assert isinstance(await source.ask(), Exposition)

    asyncio.run(check())
