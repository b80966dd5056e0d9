"""What is known here of the clock of a server that is asked now and then."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from databases import database_url
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import run_sql
from sqlalchemy import make_url

from pushrelay.store.engine import Database
from pushrelay.store.reader import newest_position, read_snapshot
from pushrelay.store.server_clock import ServerClock

MICROSECOND, MILLISECOND, SECOND = 10**3, 10**6, 10**9
HOUR = 3600 * SECOND


class Server:
    """A server. now: the right time, Unix nanoseconds. ahead: how far its clock is."""

    def __init__(self) -> None:
        self.now = 1_795_000_000 * SECOND
        self.ahead = 0


class Host:
    """A host whose clock is `ahead` of the right time.

    drift: how much faster than the server's its steady clock goes, in millionths.
    """

    def __init__(self, server: Server, ahead: int = 0, drift: int = 0) -> None:
        self.server = server
        self.ahead = ahead
        self.drift = drift
        self._began = server.now
        self.clock = ServerClock(self.steady, lambda: self.server.now + self.ahead)

    def steady(self) -> int:
        passed = self.server.now - self._began
        return passed + passed * self.drift // 10**6

    def ask(self, there: int = MILLISECOND, back: int = MILLISECOND) -> int:
        """Ask the server, which takes so long there and back; return what it said."""
        asked_at = self.steady()
        self.server.now += there
        told = self.server.now + self.server.ahead
        self.server.now += back
        self.clock.told(told, asked_at)
        return told

    @property
    def late(self) -> int:
        """How far what is known is behind the right time."""
        return self.server.now - self.clock.now()


@pytest.fixture
def host() -> Host:
    return Host(Server(), ahead=60 * SECOND)


def test_until_the_server_has_spoken_the_time_is_the_hosts(host: Host) -> None:
    host.server.now += HOUR
    assert (host.late, host.clock.skew()) == (-60 * SECOND, 0)


def test_the_time_is_the_servers_but_for_the_way_of_its_answer(host: Host) -> None:
    host.ask(there=5 * MILLISECOND, back=3 * MILLISECOND)
    assert host.late == 3 * MILLISECOND
    assert host.clock.skew() == 60 * SECOND + 3 * MILLISECOND
    host.server.now += 60 * SECOND
    assert host.late == 3 * MILLISECOND


@pytest.mark.parametrize("there", [MILLISECOND, SECOND])
@pytest.mark.parametrize("back", [3 * MILLISECOND, SECOND])
def test_an_answer_that_was_slower_changes_nothing(
    host: Host, there: int, back: int
) -> None:
    host.ask(back=MILLISECOND)
    host.ask(there, back)
    # But for how much the clocks may have drifted apart.
    assert MILLISECOND <= host.late <= MILLISECOND + MILLISECOND // 2


def test_an_answer_that_was_faster_is_nearer(host: Host) -> None:
    for back in (SECOND, 3 * MILLISECOND, 2 * MICROSECOND):
        host.ask(back=back)
        assert host.late == back


def test_an_answer_of_long_ago_counts_no_more(host: Host) -> None:
    host.ask(back=MICROSECOND)
    host.server.now += HOUR
    host.ask(back=20 * MILLISECOND)
    assert host.late == 20 * MILLISECOND


@pytest.mark.parametrize("step", [60 * SECOND, -60 * SECOND, -10 * MILLISECOND])
def test_a_servers_clock_that_is_set_is_followed_at_the_next_answer(
    host: Host, step: int
) -> None:
    host.ask()
    host.server.ahead = step
    told = host.ask()
    assert host.clock.now() == told


def test_a_hosts_clock_that_is_set_changes_only_the_skew(host: Host) -> None:
    host.ask()
    late = host.late
    host.ahead = -HOUR
    assert host.late == late
    assert host.clock.skew() == late - HOUR
    host.ask()
    assert MILLISECOND <= host.late < 2 * MILLISECOND


delays = st.integers(0, 100) | st.integers(0, 3 * SECOND)
drifts = st.integers(-150, 150)
askings = st.tuples(st.integers(0, 1), st.integers(0, HOUR), delays, delays)


@given(drifts, drifts, st.lists(askings, max_size=20))
def test_who_asks_later_has_no_earlier_time(
    one: int, other: int, askings: list[tuple[int, int, int, int]]
) -> None:
    server = Server()
    hosts = [Host(server, 60 * SECOND, one), Host(server, -HOUR, other)]
    known = []
    for number, pause, there, back in askings:
        server.now += pause
        told = hosts[number].ask(there, back)
        known.append(hosts[number].clock.now())
        assert told <= known[-1] <= server.now + 1  # as nanoseconds are rounded
    assert all(later >= earlier - 1 for earlier, later in pairwise(known))


def test_the_log_warns_once_of_a_clock_that_is_wrong(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [each.getMessage() for each in caplog.records]

    caplog.set_level(logging.INFO)
    for _ in range(3):
        host.ask()
    assert len(warnings()) == 1
    assert "the clock of this host is 60.0 s ahead of that of the" in warnings()[0]
    # It is not right yet, and then it is.
    for ahead in (2 * SECOND, 10 * SECOND, 0):
        host.ahead = ahead
        host.ask()
    assert len(warnings()) == 1
    host.ahead = -20 * SECOND
    host.ask()
    assert len(warnings()) == 2
    assert "the clock of this host is 20.0 s behind that of the" in warnings()[1]


@pytest.mark.postgres
def test_a_server_says_the_time_with_its_newest_position(
    database: Database, tmp_path: Path
) -> None:
    url = make_url(database_url(tmp_path))
    read_time = (
        "SELECT (extract(epoch FROM clock_timestamp())::numeric * 1000000000)::bigint"
    )
    [[before]] = run_sql(url, read_time)
    read_snapshot(database, None)
    assert before < database.now()
    with closing(database.open_writer()) as session, session.transaction():
        [[before]] = run_sql(url, read_time)
        newest_position(session)
        now = database.now()
    [[after]] = run_sql(url, read_time)
    assert before < now < after
    assert abs(database.clock_skew()) < HOUR


@pytest.mark.sqlite
def test_with_a_database_in_a_file_the_time_is_the_hosts(database: Database) -> None:
    before = time.time_ns()
    assert before <= database.now() <= time.time_ns()
    assert database.clock_skew() == 0
