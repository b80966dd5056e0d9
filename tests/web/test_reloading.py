"""The configuration file of a running relay changes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from relay_process import RelayProcess, StartRelay
from relay_use import on_loop, open_relay

from pushrelay.job_rules import JobRules, read_rules
from pushrelay.web import reloading
from pushrelay.web.reloading import Reloader

LIFECYCLE = "--web.enable-lifecycle"
STALE = 'pushrelay_group_stale{instance="",job="a"}'
RELOADED = "pushrelay_config_last_reload_successful"
RELOADED_AT = "pushrelay_config_last_reload_success_timestamp_seconds"
NO_RULES = ""
AT_ONCE = '[[jobs]]\nmatch = \'job="a"\'\nstale_after = "1ms"\n'
LATER = AT_ONCE.replace("1ms", "1h")
BAD = f"{LATER}stale_aftr = 1\nmode = 'replace'\n"


def value_of(relay: RelayProcess, series: str) -> float | None:
    """Return the value of `series` on the page, None if it is not there."""
    lines = [line.rpartition(" ") for line in relay.page().splitlines()]
    found = [value for head, _, value in lines if head == series]
    return float(found[0]) if found else None


def wait_until(is_so: Callable[[], bool], relay: RelayProcess) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, relay.log
        time.sleep(0.02)


def worker_of(relay: RelayProcess) -> int:
    """Return the process id of the worker."""
    assert relay.process is not None
    children = Path(f"/proc/{relay.process.pid}/task/{relay.process.pid}/children")
    [worker] = children.read_text().split()
    return int(worker)


def hang_up(relay: RelayProcess) -> None:
    assert relay.process is not None
    relay.process.send_signal(signal.SIGHUP)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(NO_RULES)
    return file


# freshness.md: 10
def test_a_hangup_lets_groups_follow_the_changed_file(
    start_relay: StartRelay, rules: Path
) -> None:
    relay = start_relay(f"--config.file={rules}")
    worker = worker_of(relay)
    relay.put("/metrics/job/a", "x 1\n")
    assert value_of(relay, STALE) is None
    assert value_of(relay, RELOADED) == 1
    for text, stale in [(AT_ONCE, 1), (LATER, 0), (NO_RULES, None), (AT_ONCE, 1)]:
        before = value_of(relay, RELOADED_AT)
        rules.write_text(text)
        hang_up(relay)
        wait_until(lambda: value_of(relay, RELOADED_AT) != before, relay)  # noqa: B023
        assert value_of(relay, STALE) == stale
        assert (value_of(relay, 'x{instance="",job="a"}') is None) is (stale == 1)
    assert value_of(relay, RELOADED) == 1
    assert worker_of(relay) == worker


# freshness.md: 10
def test_a_bad_file_changes_nothing_and_says_so(
    start_relay: StartRelay, rules: Path
) -> None:
    rules.write_text(LATER)
    relay = start_relay(f"--config.file={rules}")
    relay.put("/metrics/job/a", "x 1\n")
    reloaded_at = value_of(relay, RELOADED_AT)
    rules.write_text(BAD)
    hang_up(relay)
    wait_until(lambda: value_of(relay, RELOADED) == 0, relay)
    assert value_of(relay, RELOADED_AT) == reloaded_at
    assert value_of(relay, STALE) == 0
    assert f"{rules}:4: jobs[1].stale_aftr: is not known here" in relay.log
    rules.unlink()
    hang_up(relay)
    wait_until(lambda: "cannot be read" in relay.log, relay)
    assert value_of(relay, STALE) == 0
    rules.write_text(AT_ONCE)
    hang_up(relay)
    wait_until(lambda: value_of(relay, RELOADED) == 1, relay)
    assert value_of(relay, STALE) == 1


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_reload_by_request_answers_when_it_is_done(
    start_relay: StartRelay, rules: Path, method: str
) -> None:
    relay = start_relay(f"--config.file={rules}", LIFECYCLE)
    worker = worker_of(relay)
    relay.put("/metrics/job/a", "x 1\n")
    for text, stale in [(AT_ONCE, 1), (LATER, 0)]:
        rules.write_text(text)
        assert relay.request(method, "/-/reload").status == 200
        assert value_of(relay, STALE) == stale
    rules.write_text(BAD)
    refused = relay.request(method, "/-/reload")
    assert refused.status == 500
    assert f"{rules}:4: jobs[1].stale_aftr: " in refused.text
    assert f"{rules}:5: jobs[1].mode: " in refused.text
    assert value_of(relay, RELOADED) == 0
    assert value_of(relay, STALE) == 0
    assert worker_of(relay) == worker


def test_reloads_by_request_are_for_those_who_allow_them(
    start_relay: StartRelay, rules: Path
) -> None:
    relay = start_relay(f"--config.file={rules}")
    relay.put("/metrics/job/a", "x 1\n")
    rules.write_text(AT_ONCE)
    assert relay.put("/-/reload").status == 403
    assert relay.get("/-/reload").status == 405
    assert value_of(relay, STALE) is None


def test_without_a_file_there_is_nothing_to_reload(start_relay: StartRelay) -> None:
    relay = start_relay(LIFECYCLE)
    refused = relay.put("/-/reload")
    assert refused.status == 400
    assert "started without --config.file" in refused.text
    assert value_of(relay, RELOADED) is None
    worker = worker_of(relay)
    hang_up(relay)
    wait_until(lambda: "nothing is reloaded" in relay.log, relay)
    assert worker_of(relay) == worker


def test_a_new_worker_reads_the_file_as_it_is_by_then(
    start_relay: StartRelay, rules: Path
) -> None:
    rules.write_text(LATER)
    relay = start_relay(f"--config.file={rules}")
    relay.put("/metrics/job/a", "x 1\n")
    for text, stale, is_good in [(AT_ONCE, 1, 1), (BAD, 0, 0)]:
        rules.write_text(text)
        before = worker_of(relay)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: has_another_worker(relay, before), relay)  # noqa: B023
        # With a bad file, by what it was when the relay was started.
        assert value_of(relay, STALE) == stale
        assert value_of(relay, RELOADED) == is_good


def has_another_worker(relay: RelayProcess, before: int) -> bool:
    try:
        return worker_of(relay) != before
    except ValueError:  # there is none just now
        return False


def test_reloads_and_pushes_do_not_disturb_each_other(
    start_relay: StartRelay, rules: Path
) -> None:
    relay = start_relay(f"--config.file={rules}", LIFECYCLE)
    for number in range(20):
        rules.write_text([AT_ONCE, LATER, NO_RULES, BAD][number % 4])
        hang_up(relay)
        assert relay.put(f"/metrics/job/a/number/{number}", "x 1\n").status == 200
        assert len(relay.groups()) == number + 1
    rules.write_text(AT_ONCE)
    assert relay.put("/-/reload").status == 200
    assert "x{" not in relay.page()


@on_loop
async def test_hangups_do_not_queue_up(
    tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0

    def read(path: Path) -> JobRules:
        nonlocal readings
        readings += 1
        return read_rules(path)

    monkeypatch.setattr(reloading, "read_rules", read)
    async with open_relay(tmp_path) as relay:
        reloader = Reloader(rules, relay)
        rules.write_text(AT_ONCE)
        await asyncio.gather(*(reloader.try_reload() for _ in range(20)))
        assert relay.policies.rules == read_rules(rules)
        rules.write_text(LATER)
        await reloader.try_reload()
        assert relay.policies.rules == read_rules(rules)
    assert 2 <= readings <= 3
