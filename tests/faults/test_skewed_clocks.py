"""Relays of one database tell the time by its clock, however wrong theirs are."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from databases import database_url, taking
from postgres_server import plain
from relay_process import HTTPClient, RelayProcess
from run_http import data_of, finish, send
from sqlalchemy import URL, make_url
from tcp_proxy import Link, TcpProxy

pytestmark = [pytest.mark.postgres, pytest.mark.system]

AHEAD = 60.0
CLOSE = 10.0
"""No answer of the database takes so long."""
ROUNDED = 1e-3

WRONG_CLOCK = f"""
import time
right = time.time_ns
time.time_ns = lambda: right() + round({AHEAD} * 10**9)
time.time = lambda: time.time_ns() / 10**9
from pushrelay.__main__ import main
main()
"""
"""A relay on a host whose clock is ahead. With libfaketime, `time.sleep` of Python 3.11
fails."""


class SharedRelay(RelayProcess):
    """A relay of the database at `url`."""

    def __init__(self, directory: Path, url: URL) -> None:
        directory.mkdir()
        super().__init__(directory)
        self._url = url.render_as_string(hide_password=False)

    def command(self) -> list[str]:
        file = f"--database.url=sqlite:///{self.database}"
        others = [part for part in super().command() if part != file]
        return [*others, f"--database.url={self._url}"]


class SkewedRelay(SharedRelay):
    program = ("-c", WRONG_CLOCK)


class Shared:
    """A database that a relay with the right time and one with a wrong one share.

    way: that of the wrong one to it, which may be cut.
    """

    def __init__(self, directory: Path, url: URL, running: ExitStack) -> None:
        driver = psycopg.connect(plain(url), autocommit=True)
        self._connection = running.enter_context(driver)
        self.way = running.enter_context(TcpProxy(url.port or 0))
        self.right = running.enter_context(SharedRelay(directory / "right", url))
        far = url.set(port=self.way.port)
        self.wrong = running.enter_context(SkewedRelay(directory / "wrong", far))

    @property
    def relays(self) -> tuple[RelayProcess, RelayProcess]:
        return self.wrong, self.right

    def now(self) -> float:
        """Return the time by the database's clock."""
        [[now]] = self._connection.execute(
            "SELECT extract(epoch FROM clock_timestamp())"
        )
        return float(now)

    def commit_times(self) -> list[int]:
        """Return when it was committed, in the order of commits."""
        rows = self._connection.execute("SELECT at FROM commits ORDER BY revision")
        return [at for (at,) in rows]


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, database_kind: str
) -> Iterator[Shared]:
    directory = tmp_path_factory.mktemp("shared")
    with taking(), ExitStack() as running:
        yield Shared(directory, make_url(database_url(directory)), running)


def value_of(relay: HTTPClient, name: str) -> float:
    """Return the value of the series `name`, which must be on the page."""
    [value] = values(relay.page(), name)
    return value


def values(page: str, name: str) -> list[float]:
    """Return the value of the series `name`, as it is written, if there is one."""
    found = re.findall(f"^{re.escape(name)} (.*)$", page, re.MULTILINE)
    return [float(value) for value in found]


def of(job: str, name: str) -> str:
    return f'{name}{{instance="",job="{job}"}}'


def skew_of(relay: HTTPClient) -> float:
    # Own metrics are on either page.
    pages = relay.page() + relay.get("/-/metrics").text
    return values(pages, "pushrelay_store_clock_skew_seconds")[0]


def stored_part(relay: HTTPClient) -> list[str]:
    """Return the lines of a page that come from the store."""
    return [line for line in relay.page().splitlines() if 'job="' in line]


def push(relay: HTTPClient, job: str, stale_after: str) -> None:
    headers = {"X-Pushrelay-Stale-After": stale_after}
    assert relay.put(f"/metrics/job/{job}", "x 1\n", headers).status == 200


def test_the_skew_is_a_metric_and_told_once(shared: Shared) -> None:
    for _ in range(3):
        assert abs(skew_of(shared.wrong) - AHEAD) < CLOSE
        assert abs(skew_of(shared.right)) < CLOSE
    assert len(re.findall("of this host is .* ahead of that", shared.wrong.log)) == 1
    assert "the clock of this host" not in shared.right.log


def test_all_times_are_those_of_the_database(shared: Shared) -> None:
    began = shared.now()
    for number in range(6):
        before = shared.now()
        push(shared.relays[number % 2], f"timed-{number}", "1d")
        after = shared.now()
        pushed_at = value_of(shared.right, of(f"timed-{number}", "push_time_seconds"))
        # What is known of the time may be as late as an answer.
        assert before - CLOSE < pushed_at <= after
    assert stored_part(shared.wrong) == stored_part(shared.right)
    committed = [at for at in shared.commit_times() if at > (began - CLOSE) * 10**9]
    assert len(committed) >= 6
    assert all(later > earlier for earlier, later in pairwise(committed))
    assert committed[-1] <= shared.now() * 10**9


def test_relays_agree_from_when_on_something_is_stale_and_overdue(
    shared: Shared,
) -> None:
    push(shared.wrong, "brief", "2s")
    push(shared.right, "short", "2s")
    expectation = {"every": "1h", "grace": "1m"}
    ago = time.time() - shared.now() + 3660 - 2
    data_of(send(shared.wrong, finish("late", ago=ago, expectation=expectation)))
    due = {
        of(job, "pushrelay_group_stale"): 2
        + value_of(shared.right, of(job, "push_time_seconds"))
        for job in ("brief", "short")
    }
    expected = of("late", "pushrelay_job_next_expected_timestamp_seconds")
    overdue_at = 60 + value_of(shared.right, expected)
    due[of("late", "pushrelay_job_overdue")] = overdue_at
    while shared.now() < max(due.values()) + 0.2:
        for relay in shared.relays:
            before, page, after = shared.now(), relay.page(), shared.now()
            shown = {name: values(page, name) for name in due}
            # Times of the page are rounded.
            allowed = {
                name: [[float(after > at - ROUNDED)], [float(before > at + ROUNDED)]]
                for name, at in due.items()
            }
            assert all(shown[name] in allowed[name] for name in due), shown
    assert all(shown[name] == [1] for name in due)
    assert stored_part(shared.wrong) == stored_part(shared.right)


def test_without_the_database_its_time_goes_on(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(link: Link, _: bytes) -> bool:
        link.cut()
        return False

    push(shared.right, "steady", f"{AHEAD:.0f}s")
    stale = of("steady", "pushrelay_group_stale")
    assert value_of(shared.wrong, stale) == 0
    monkeypatch.setattr(shared.way, "before", cut)
    push(shared.right, "unseen", "1d")
    page = shared.wrong.page()
    assert values(page, of("unseen", "x")) == []
    assert values(page, stale) == [0]
