"""Relays for the tests to talk to.

With PUSHRELAY_TEST_TARGET=host:port the black-box tests talk to that server
instead of a relay of their own, for example a real Pushgateway with its admin API
switched on; tests that need other flags are skipped then. Its groups are wiped!
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from databases import KINDS, POSTGRESQL, SQLITE, Databases, taking, taking_from
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer, find_programs, given_url
from relay_process import HTTPClient, RelayProcess, StartRelay
from relay_use import Clock
from token_books import Readings, read_soon

from pushrelay import janitor

TARGET = os.environ.get("PUSHRELAY_TEST_TARGET")

# On a busy machine, anything may take long.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
# `make fuzz` asks for it.
settings.register_profile(
    "fuzz",
    settings.get_profile("untimed"),
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000")),
    print_blob=True,
)

ON_EACH_KIND = re.compile(r"tests/(store/.*|test_(relay|janitor).*)\.py")
"""The tests of what is on top of a database, each run for every kind of them."""

LONGEST = (
    "tests/faults/test_bounds.py",
    "tests/torture/test_torture.py",
    "tests/faults/test_kill.py",
    "tests/faults/test_slow_clients.py",
    "tests/faults/test_random_history.py",
    "tests/web/test_server.py",
    "tests/test_templates.py",
    "tests/packaging/test_wheel.py",
)
"""Files that take more than half a minute; those of tests/browser are early anyhow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: of the processes that share the tests, none is to be left
    with one of these in the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(_path_of(item), len(LONGEST)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that have a directory, and so may have a database, for each kind."""
    kinds = _kinds_of(metafunc.definition)
    if kinds != (SQLITE,):
        marks = {SQLITE: (), POSTGRESQL: (pytest.mark.postgres,)}
        ids = {SQLITE: pytest.HIDDEN_PARAM, POSTGRESQL: POSTGRESQL}
        params = [pytest.param(k, marks=marks[k], id=ids[k]) for k in kinds]
        metafunc.parametrize("database_kind", params, indirect=True)


def _kinds_of(test: pytest.Function) -> tuple[str, ...]:
    if test.get_closest_marker("postgres"):
        return (POSTGRESQL,)
    is_on_each = (
        ON_EACH_KIND.fullmatch(_path_of(test))
        and "tmp_path_factory" in test.fixturenames
    )
    return KINDS if is_on_each and not test.get_closest_marker("sqlite") else (SQLITE,)


def _path_of(test: pytest.Item) -> str:
    return test.path.relative_to(test.config.rootpath).as_posix()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[Databases]:
    """Databases on the PostgreSQL server of this run, which is started for them."""
    with ExitStack() as end:
        url = given_url()
        if url is None:
            server = PostgresServer(find_programs())
            end.callback(server.remove)
            server.start()
            url = server.url()
        databases = Databases(url)
        end.callback(databases.drop)
        yield databases


@pytest.fixture(scope="module", autouse=True)
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of databases that tests of the module make now."""
    kind: str = getattr(request, "param", SQLITE)
    on_server = kind == POSTGRESQL
    databases = request.getfixturevalue("postgres_databases") if on_server else None
    with taking_from(databases):
        yield kind


@pytest.fixture(autouse=True)
def databases_of_a_test(database_kind: str) -> Iterator[None]:
    """Let a test have its databases until it ends."""
    with taking():
        yield


@pytest.fixture(scope="session")
def session_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HTTPClient]:
    """One relay for the whole run, with the admin API."""
    if TARGET:
        host, _, port = TARGET.rpartition(":")
        yield HTTPClient(host, int(port))
        return
    directory = tmp_path_factory.mktemp("relay")
    with RelayProcess(directory, "--web.enable-admin-api") as relay:
        yield relay


@pytest.fixture(scope="session")
def session_utf8_relay(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RelayProcess]:
    """One relay for the whole run, with the admin API and UTF-8 names."""
    _skip_with_foreign_target()
    directory = tmp_path_factory.mktemp("utf8-relay")
    flags = ("--web.enable-admin-api", "--push.enable-utf8-names")
    with RelayProcess(directory, *flags) as relay:
        yield relay


@pytest.fixture
def relay(session_relay: HTTPClient) -> HTTPClient:
    """The relay of this run, without groups."""
    session_relay.wipe()
    if TARGET:
        _wait_until_wiped(session_relay)
    return session_relay


@pytest.fixture
def utf8_relay(session_utf8_relay: RelayProcess) -> RelayProcess:
    """The relay of this run that takes UTF-8 names, without groups."""
    session_utf8_relay.wipe()
    return session_utf8_relay


@pytest.fixture(scope="module")
def start_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRelay]:
    """Start relays with flags of one's own; they end with the module."""
    _skip_with_foreign_target()
    with ExitStack() as relays:

        def start(*flags: str, ready: str = "/-/ready") -> RelayProcess:
            relay = RelayProcess(tmp_path_factory.mktemp("relay"), *flags)
            relay.start(ready)
            relays.callback(relay.kill)
            return relay

        yield start


@pytest.fixture
def unmeasured(no_cover: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test and its children run without coverage, which doubles what relays take
    under load; what they run is measured in other tests. The mark `no_cover` is enough
    for what stays in this process, where it is four times as much."""
    # What measures this process sets it again after each test that it leaves out.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def clock() -> Clock:
    """A clock for relays in the test's own process."""
    return Clock()


def _wait_until_wiped(server: HTTPClient) -> None:
    """Wait for a Pushgateway, which answers before it has deleted anything."""
    deadline = time.monotonic() + 10
    while server.groups():
        assert time.monotonic() < deadline, "groups are left after a wipe"


def _skip_with_foreign_target() -> None:
    if TARGET:
        pytest.skip("PUSHRELAY_TEST_TARGET names a server with flags of its own")


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows of the relays in this process stay until a test wants them removed."""
    monkeypatch.setattr(janitor, "JANITOR_SECONDS", 3600)


@pytest.fixture
def tokens_read_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the relays in this process read tokens again at once."""
    read_soon(monkeypatch)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Readings]:
    """The readings of tokens by the relays in this process."""
    readings = Readings(monkeypatch)
    yield readings
    readings.go_on.set()
