"""The metrics that runs leave, from the report to the scrape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import key_of
from relay_use import SECOND, Clock, group, on_loop, open_relay, put, samples
from run_relays import A, ended, push_of, report, run_series

from pushrelay import pushing
from pushrelay.aggregation import Mode

pytestmark = pytest.mark.usefixtures("rarely")

B = key_of("b", instance="1")
NOW = 1_795_000_000 * SECOND
MINUTE = 60 * SECOND


@on_loop
async def test_metrics_of_a_run_are_those_of_its_group(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        run = ended(1, NOW, NOW + SECOND)
        assert (await report(relay, run, metrics="rows 5")).run == run
        assert 'rows{instance="",job="a"} 5' in await samples(relay)
        held = await group(relay, A)
        assert held is not None
        assert held.pushed_at == NOW + SECOND


@on_loop
async def test_the_end_of_a_run_is_kept_if_its_metrics_are_refused(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await put(relay, B, "# TYPE rows counter\nrows 1", at=NOW)
        run = ended(1, NOW, NOW + SECOND)
        reported = await report(relay, run, metrics="# TYPE rows gauge\nrows 5")
        assert reported.run.end is not None
        [problem] = reported.run.end.problems
        assert "rows" in problem
        held = await group(relay, A)
        assert held is not None
        assert (held.pushed_at, held.failed_at) == (0, NOW + SECOND)
        shown = await run_series(relay, "last_finish_timestamp_seconds")
        assert list(shown.values()) == [(NOW + SECOND) / 1e9]


@on_loop
async def test_the_end_of_a_run_is_kept_whatever_goes_wrong_with_its_metrics(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pushing, "push_onto", broken)
    async with open_relay(tmp_path, clock=clock) as relay:
        run = ended(1, NOW, NOW + SECOND)
        reported = await report(relay, run, metrics="rows 5")
        assert reported.run.end is not None
        assert reported.run.end.problems == ("internal error",)
        shown = await run_series(relay, "last_finish_timestamp_seconds")
        assert list(shown.values()) == [(NOW + SECOND) / 1e9]
        held = await group(relay, A)
        assert held is not None
        assert (held.pushed_at, held.failed_at) == (0, NOW + SECOND)


COUNTED = "# TYPE done counter\ndone 5\n# TYPE level gauge\nlevel 5"
NEWER = "# TYPE done counter\ndone 1\n# TYPE level gauge\nlevel 1"


@pytest.mark.parametrize("mode", [Mode.REPLACE, Mode.UPDATE, Mode.MERGE])
def test_late_metrics_do_not_overwrite_newer_ones(
    mode: Mode, tmp_path: Path, clock: Clock
) -> None:
    @on_loop
    async def test() -> None:
        async with open_relay(tmp_path, clock=clock) as relay:
            await put(relay, A, NEWER, at=NOW + MINUTE)
            run = ended(1, NOW, NOW + SECOND)
            reported = await report(relay, run, metrics=COUNTED, mode=mode)
            assert len(reported.warnings) == 1
            lines = await samples(relay)
            assert 'done{instance="",job="a"} 1' in lines
            assert 'level{instance="",job="a"} 1' in lines

    test()


@on_loop
async def test_late_metrics_that_count_are_added_and_no_time_falls(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await put(relay, A, NEWER, at=NOW + MINUTE)
        run = ended(1, NOW, NOW + SECOND)
        reported = await report(relay, run, metrics=COUNTED, mode=Mode.ADD)
        assert reported.warnings == ()
        lines = await samples(relay)
        assert 'done{instance="",job="a"} 6' in lines
        assert 'level{instance="",job="a"} 1' in lines
        held = await group(relay, A)
        assert held is not None
        assert held.pushed_at == NOW + MINUTE
        assert {family.pushed_at for family in held.payload.families()} == {
            NOW + MINUTE
        }


@on_loop
async def test_late_metrics_leave_the_policy_of_the_newer_push(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        newer = push_of(ended(1, NOW, NOW + MINUTE), NEWER, Mode.UPDATE)
        await relay.push(replace(newer, stale_after=MINUTE))
        run = ended(1, NOW, NOW + SECOND)
        await report(relay, run, metrics=COUNTED, mode=Mode.ADD)
        held = await group(relay, A)
        assert held is not None
        assert held.stale_after == MINUTE


@on_loop
async def test_late_metrics_without_anything_to_add_are_left_out(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await put(relay, A, NEWER, at=NOW + MINUTE)
        run, late = ended(1, NOW, NOW + SECOND), "# TYPE level gauge\nlevel 5"
        assert (await report(relay, run, metrics=late, mode=Mode.ADD)).warnings
        assert 'level{instance="",job="a"} 1' in await samples(relay)


@on_loop
async def test_a_late_failure_does_not_hide_a_newer_one(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_relay(tmp_path, clock=clock) as relay:
        await put(relay, B, "# TYPE rows counter\nrows 1", at=NOW)
        wrong = "# TYPE rows gauge\nrows 5"
        await report(relay, ended(1, NOW, NOW + MINUTE), metrics=wrong)
        await report(relay, ended(2, NOW, NOW + SECOND), metrics=wrong)
        held = await group(relay, A)
        assert held is not None
        assert held.failed_at == NOW + MINUTE
