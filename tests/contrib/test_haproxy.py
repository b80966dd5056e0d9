"""The HAProxy of contrib/compose before two relays of one PostgreSQL database."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer
from databases import database_url
from exposition_page import value
from haproxy_process import HaproxyProcess, require_haproxy
from mounting import needs_mounts
from name_server import NameServer
from relay_process import RelayProcess, free_port
from replica_process import Replica
from sqlalchemy import make_url
from tcp_proxy import Link, TcpProxy

from pushrelay.web.proxies import Proxies, Source

pytestmark = [pytest.mark.postgres, pytest.mark.system]

ADMIN_FLAGS = ("--web.enable-lifecycle", "--web.enable-admin-api")
COUNTED = "# TYPE done_total counter\ndone_total 1\n"


@dataclass
class Site:
    """A balancer, two relays behind it, and the way of each of them to the database."""

    balancer: HaproxyProcess
    relays: list[RelayProcess]
    ways: list[TcpProxy]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_haproxy()
    directory = tmp_path_factory.mktemp("site")
    url = make_url(database_url(directory))
    with ExitStack() as end:
        ways = [end.enter_context(TcpProxy(url.port or 0)) for _ in range(2)]
        relays: list[RelayProcess] = []
        for way in ways:
            seen = url.set(port=way.port).render_as_string(hide_password=False)
            own = tmp_path_factory.mktemp("relay")
            relays.append(end.enter_context(Replica(own, seen, *ADMIN_FLAGS)))
        addresses = [relay.address for relay in relays]
        balancer = end.enter_context(HaproxyProcess(directory, addresses))
        yield Site(balancer, relays, ways)


@pytest.fixture
def balancer(site: Site) -> HaproxyProcess:
    """The balancer, which finds both relays ready."""
    site.balancer.wait_until_ready(2)
    return site.balancer


@contextmanager
def pushing(balancer: HaproxyProcess, job: str, clients: int = 8) -> Iterator[None]:
    """Have clients add to a counter meanwhile, and see that each push is answered 200
    and counts once."""
    ended = threading.Event()

    def add() -> int:
        added = 0
        while not ended.is_set():
            response = balancer.post(f"/metrics/job/{job}?mode=add", COUNTED)
            assert response.status == 200, response.text
            added += 1
        return added

    with ThreadPoolExecutor(clients) as pool:
        adding = [pool.submit(add) for _ in range(clients)]
        try:
            yield
        finally:
            ended.set()
        added = sum(each.result() for each in adding)
    assert value(balancer.page(), "done_total", job=job) == added > 0


def cut(link: Link, _data: bytes) -> bool:
    link.cut()
    return False


def test_the_relays_take_turns_and_show_the_same(
    site: Site, balancer: HaproxyProcess
) -> None:
    with pushing(balancer, "turns"):
        pages = [balancer.page() for _ in range(10)]
    assert "pushrelay_store_up" not in "".join(pages)
    answered = 'pushrelay_http_requests_total{code="200",handler="push",method="post"} '
    assert all(answered in relay.get("/-/metrics").text for relay in site.relays)
    one, other = (relay.page() for relay in site.relays)
    assert one == other == balancer.page()


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_long_targets_pass(balancer: HaproxyProcess, size: int) -> None:
    labels = "".join(f"/l{n}/{'x' * 50_000}" for n in range(size // 50_000))
    assert balancer.put(f"/metrics/job/long{labels}", "a 1\n").status == 200
    assert balancer.delete(f"/metrics/job/long{labels}").status == 202


def test_large_bodies_and_pages_pass(balancer: HaproxyProcess) -> None:
    lines = [f'large{{n="{n}"}} {n}' for n in range(100_000)]
    assert balancer.put("/metrics/job/large", "\n".join([*lines, ""])).status == 200
    assert balancer.page().count("\nlarge{") == len(lines)
    assert balancer.delete("/metrics/job/large").status == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/-/quit"),
        ("POST", "/-/quit"),
        ("PUT", "/%2d/quit"),
        ("PUT", "/%2D/%71uit"),
        ("PUT", "//-/quit"),
        ("PUT", "/-/Quit"),
        ("PUT", "/-/quit/"),
        ("PUT", "/-/quit?x=/-/ready"),
        ("PUT", "/-/reload"),
        ("GET", "/-/metrics"),
        ("GET", "/-"),
        ("PUT", "/api/v1/admin/wipe"),
        ("PUT", "/api/v1/%61dmin/wipe"),
        ("PUT", "/api//v1/admin/wipe"),
        ("PUT", "/API/v1/Admin/wipe"),
        ("POST", "/api/v1/admin/import"),
    ],
)
def test_what_is_about_one_relay_or_all_groups_is_refused(
    site: Site, balancer: HaproxyProcess, method: str, path: str
) -> None:
    assert balancer.put("/metrics/job/kept", "kept 1\n").status == 200
    response = balancer.request(method, path)
    assert response.status == 403
    assert response.text == "not through the balancer; ask a relay\n"
    assert all(relay.running for relay in site.relays)
    assert 'kept{instance="",job="kept"} 1\n' in balancer.page()


@pytest.mark.parametrize(
    "path", ["/-/healthy", "/-/ready", "/", "/metrics", "/api/v1/groups"]
)
def test_what_all_relays_say_alike_is_not(balancer: HaproxyProcess, path: str) -> None:
    assert balancer.get(path).status == 200


def test_groups_may_be_called_like_those(balancer: HaproxyProcess) -> None:
    key = "/metrics/job/-/path@base64/" + "LS9xdWl0"
    assert balancer.put(key, "a 1\n").status == 200
    assert 'a{instance="",job="-",path="-/quit"} 1\n' in balancer.page()


def test_a_relay_that_ends_loses_nothing(site: Site, balancer: HaproxyProcess) -> None:
    ended, _ = site.relays
    with pushing(balancer, "ended", clients=16):
        assert ended.stop() == 0
        balancer.wait_until_ready(1)
        balancer.page()
        ended.start()
        balancer.wait_until_ready(2)


def test_without_a_relay_that_was_killed_all_goes_on(
    site: Site, balancer: HaproxyProcess
) -> None:
    killed, _ = site.relays
    killed.kill()
    wait_until_gone(killed)
    for number in range(20):
        assert balancer.put("/metrics/job/on", f"on {number}\n").status == 200
        assert value(balancer.page(), "on") == number
    assert balancer.ready() == {"relay2"}
    killed.start()
    balancer.wait_until_ready(2)
    assert value(killed.page(), "on") == 19


def wait_until_gone(relay: RelayProcess) -> None:
    """Wait for the end of a process that was killed: until then, the kernel connects
    clients to it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection((relay.host, relay.port), 30).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            # It is ending just now.
            continue
    raise AssertionError("it is still there")


def test_a_relay_that_is_not_ready_gets_nothing(
    site: Site, balancer: HaproxyProcess
) -> None:
    unready, _ = site.relays
    with losing(site.ways[0]):
        assert unready.put("/metrics/job/x", "a 1\n").status == 503
        balancer.wait_until_ready(1)
        assert balancer.ready() == {"relay2"}
        with pushing(balancer, "ready"):
            for _ in range(20):
                balancer.page()
    balancer.wait_until_ready(2)


def test_without_the_database_the_last_known_state_is_shown(
    site: Site, balancer: HaproxyProcess
) -> None:
    assert site.relays[1].put("/metrics/job/known", "known 1\n").status == 200
    assert 'known{instance="",job="known"} 1\n' in balancer.page()
    assert site.relays[1].put("/metrics/job/unknown", "unknown 1\n").status == 200
    with losing(*site.ways):
        for relay in site.relays:
            assert relay.put("/metrics/job/x", "a 1\n").status == 503
        balancer.wait_until_ready(0)
        for _ in range(4):
            page = balancer.page()
            assert 'known{instance="",job="known"} 1\n' in page
            assert "unknown" not in page
        refused = balancer.put("/metrics/job/x", "a 1\n")
        assert refused.status == 503
        assert refused.header("Retry-After")
        assert "database" in refused.text
    balancer.wait_until_ready(2)
    assert balancer.put("/metrics/job/known", "known 2\n").status == 200


@contextmanager
def losing(*ways: TcpProxy) -> Iterator[None]:
    """Have `ways` to the database cut meanwhile."""
    open_: list[Callable[[Link, bytes], bool]] = [way.before for way in ways]
    for way in ways:
        way.before = cut
        way.cut()
    try:
        yield
    finally:
        for way, before in zip(ways, open_, strict=True):
            way.before = before


def test_what_a_relay_did_not_answer_is_not_tried_again(tmp_path: Path) -> None:
    require_haproxy()

    def answer(asked: Asked) -> Canned:
        if asked.method == "POST":
            raise ConnectionAbortedError
        return Canned()

    with ExitStack() as end:
        servers = [end.enter_context(CannedServer(answer)) for _ in range(2)]
        addresses = [server.address for server in servers]
        balancer = end.enter_context(HaproxyProcess(tmp_path, addresses))
        assert balancer.post("/metrics/job/x?mode=add", COUNTED).status == 502
        asked = [asked for server in servers for asked in server.asked]
    [push] = [each for each in asked if each.method == "POST"]
    assert push.headers["x-forwarded-for"] == "127.0.0.1"


def test_relays_are_told_who_asks_by_the_balancer_alone(tmp_path: Path) -> None:
    require_haproxy()
    said = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
    }
    with ExitStack() as end:
        server = end.enter_context(CannedServer(lambda _: Canned()))
        addresses = [server.address] * 2
        balancer = end.enter_context(HaproxyProcess(tmp_path, addresses))
        assert balancer.put("/metrics/job/x", "a 1\n", said).status == 200
        [push] = [each for each in server.asked if each.method == "PUT"]
    fields = [(k.encode(), v.encode()) for k, v in push.headers.items()]
    scope = {"client": ("172.31.91.2", 1), "headers": fields}
    source = Proxies(["172.31.91.2"]).source(scope)
    assert source == Source("127.0.0.1", "http", balancer.address)


@needs_mounts
def test_names_are_looked_up_where_the_machine_looks_them_up(tmp_path: Path) -> None:
    require_haproxy()
    resolver = "127.0.53.77"
    with ExitStack() as end:
        relay = end.enter_context(CannedServer(lambda _: Canned()))
        # Nobody listens there.
        names = end.enter_context(NameServer(resolver, "127.0.53.78"))
        host, port = relay.address.split(":")
        addresses = [f"relay{number}.example:{port}" for number in (1, 2)]
        balancer = HaproxyProcess(tmp_path, addresses, resolver)
        end.callback(balancer.stop)
        balancer.start(ready=0)
        names.address = host
        balancer.wait_until_ready(2)
        assert balancer.put("/metrics/job/x", "a 1\n").status == 200


def test_without_any_relay_clients_are_told_when_to_come_again(tmp_path: Path) -> None:
    require_haproxy()
    nobody = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    balancer = HaproxyProcess(tmp_path, nobody)
    try:
        refused = balancer.start(ready=0).put("/metrics/job/x", "a 1\n")
    finally:
        balancer.stop()
    assert (refused.status, refused.header("Retry-After")) == (503, "5")
    assert refused.text == "no relay answers; try again later\n"
