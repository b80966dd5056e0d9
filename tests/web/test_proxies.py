"""Whose word counts on where a request comes from."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_process import RelayProcess, StartRelay
from waiting import wait_until

from pushrelay.errors import StartupError
from pushrelay.web.proxies import MOST_HOPS, Proxies, Source

PROXY, INNER, CLIENT = "10.0.0.1", "10.0.0.2", "192.0.2.7"
TRUSTED = Proxies(["10.0.0.0/8", "fd00::/8"])


def scope(
    *fields: tuple[str, str], peer: str | None = PROXY, scheme: str = "http"
) -> dict[str, Any]:
    """Return the scope of a request with these headers beside Host."""
    return {
        "client": None if peer is None else (peer, 4711),
        "scheme": scheme,
        "headers": [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in (("Host", "relay:9091"), *fields)
        ],
    }


def client_of(*forwarded: str, proxies: Proxies = TRUSTED, peer: str = PROXY) -> str:
    fields = [("X-Forwarded-For", each) for each in forwarded]
    return proxies.source(scope(*fields, peer=peer)).client


EVERYTHING = (
    ("X-Forwarded-For", CLIENT),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "relay.example"),
)


@pytest.mark.parametrize("proxies", [TRUSTED, Proxies()])
def test_others_are_not_believed(proxies: Proxies) -> None:
    source = proxies.source(scope(*EVERYTHING, peer="198.51.100.1"))
    assert source == Source("198.51.100.1", "http", "relay:9091")


def test_a_trusted_proxy_is_believed() -> None:
    source = TRUSTED.source(scope(*EVERYTHING))
    assert source == Source(CLIENT, "https", "relay.example")


def test_a_trusted_proxy_that_says_nothing_is_the_client_itself() -> None:
    source = TRUSTED.source(scope(scheme="https"))
    assert source == Source(PROXY, "https", "relay:9091")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ((CLIENT,), CLIENT),
        ((f"{CLIENT}, {INNER}",), CLIENT),
        ((CLIENT, INNER), CLIENT),
        ((f"198.51.100.9, {CLIENT},{INNER}",), CLIENT),
        (("198.51.100.9", f" {CLIENT} "), CLIENT),
        ((f"{INNER}, 10.0.0.3",), INNER),
        ((f"{INNER}, {CLIENT}",), CLIENT),
        (("192.0.2.7:5123",), CLIENT),
        (("::ffff:192.0.2.7",), CLIENT),
        (("[::ffff:192.0.2.7]:80",), CLIENT),
        (("2001:DB8:0::1",), "2001:db8::1"),
        (("[2001:db8::1]",), "2001:db8::1"),
        (("[2001:db8::1]:443",), "2001:db8::1"),
        (("2001:db8::1, fd12::9",), "2001:db8::1"),
    ],
)
def test_the_client_is_the_last_one_who_is_not_trusted(
    forwarded: tuple[str, ...], client: str
) -> None:
    assert client_of(*forwarded) == client


@pytest.mark.parametrize(
    "garbage",
    [
        *("", ",", "unknown", "_hidden", "192.0.2", "192.0.2.7.", "0300.0.2.7"),
        *(
            "192.0.2.7:",
            "192.0.2.7:123456",
            "[192.0.2.7]",
            "[::1",
            "::1]:80",
            "1::2::3",
        ),
        *(
            "fe80::1%eth0",
            "fe80::1%<script>",
            '"192.0.2.7"',
            "for=192.0.2.7",
            "\xb9.2.3.4",
        ),
        "a" * 100_000,
    ],
)
def test_what_is_no_address_is_not_passed_over(garbage: str) -> None:
    assert client_of(f"{CLIENT}, {garbage}") == PROXY
    assert client_of(f"{CLIENT}, {garbage}, {INNER}") == INNER


def test_so_many_hops_are_believed_and_no_more() -> None:
    told = ", ".join([CLIENT, *[INNER] * (MOST_HOPS - 1)])
    assert client_of(told) == CLIENT
    assert client_of(f"{told}, {INNER}") == INNER
    assert client_of(f"{CLIENT}, " + f"{INNER}, " * 10_000 + INNER) == INNER


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        (("https",), "https"),
        (("HTTPS",), "https"),
        (("https, http",), "https"),
        (("https", "http"), "https"),
        (("ftp, https, http",), "https"),
        (("",), "http"),
        (("ftp",), "http"),
        (("https,ftp",), "https"),
    ],
)
def test_the_scheme_is_what_the_first_trusted_proxy_was_asked_with(
    told: tuple[str, ...], scheme: str
) -> None:
    fields = [("X-Forwarded-Proto", each) for each in told]
    both = ("X-Forwarded-For", f"{CLIENT}, {INNER}")
    assert TRUSTED.source(scope(both, *fields)).scheme == scheme


def test_what_the_client_said_itself_is_not_what_a_proxy_was_asked() -> None:
    fields = (
        ("X-Forwarded-For", f"{INNER}, {CLIENT}"),
        ("X-Forwarded-Proto", "https, http"),
        ("X-Forwarded-Host", "evil.example, relay.example"),
    )
    assert TRUSTED.source(scope(*fields)) == Source(CLIENT, "http", "relay.example")


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "a@b", "<script>", 'a"', "a:b", "\xe4"]
)
def test_a_host_that_is_none_is_not_believed(host: str) -> None:
    assert TRUSTED.source(scope(("X-Forwarded-Host", host))).host == "relay:9091"


@pytest.mark.parametrize("host", ["relay.example", "relay:81", "[::1]:9091", "[::1]"])
def test_a_host_is_believed(host: str) -> None:
    assert TRUSTED.source(scope(("X-Forwarded-Host", host))).host == host


def test_peers_on_a_unix_socket_are_trusted_by_that_name_alone() -> None:
    asked = scope(*EVERYTHING, peer=None)
    assert Proxies(["unix"]).source(asked).client == CLIENT
    everybody = Proxies(["0.0.0.0/0", "::/0"])
    assert everybody.source(asked) == Source("", "http", "relay:9091")
    assert Proxies(["unix"]).source(scope(*EVERYTHING)).client == PROXY


def test_ipv4_peers_of_a_socket_for_both_are_ipv4() -> None:
    assert client_of(CLIENT, peer=f"::ffff:{PROXY}") == CLIENT


def test_a_link_local_peer_may_be_trusted() -> None:
    assert client_of(CLIENT, proxies=Proxies(["fe80::/10"]), peer="fe80::1%2") == CLIENT


@pytest.mark.parametrize("written", ["10.0.0.1/8", "x", "10.0.0.0/33", "", "1.2.3.4:5"])
def test_what_is_no_network_is_refused_with_examples(written: str) -> None:
    with pytest.raises(StartupError, match=r"trusted-proxies: .*10\.0\.0\.0/8 or fd00"):
        Proxies([written])


ADDRESSES = st.ip_addresses().map(str)
ENTRIES = st.one_of(
    ADDRESSES,
    st.ip_addresses(v=4, network="10.0.0.0/8").map(str),
    st.text("0123456789abcdef.:[]%, \xff", max_size=20),
    st.text(st.characters(max_codepoint=255), max_size=10),
)


@given(st.lists(ENTRIES, max_size=8), st.lists(ENTRIES, max_size=2))
def test_whatever_is_said_the_client_has_an_address(
    told: list[str], more: list[str]
) -> None:
    client = client_of(",".join(told), *more)
    assert str(ip_address(client)) == client


@given(st.lists(ENTRIES, max_size=8), st.ip_addresses())
def test_whatever_a_client_says_a_proxy_that_adds_its_address_is_believed(
    told: list[str], address: Any
) -> None:
    own = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    mapped = getattr(address, "ipv4_mapped", None) or address
    if any(mapped in network for network in own):
        return
    assert client_of(",".join([*told, str(address)])) == str(mapped)


def refused_clients(relay: RelayProcess, fields: dict[str, str]) -> bool:
    """Whether a refusal is logged with the address that `fields` tell."""
    assert relay.put("/metrics/job/x", "x 1\nx 2\n", fields).status == 400
    wait_until(lambda: "level=error" in relay.log)
    return f"client={CLIENT}" in relay.log


@pytest.mark.parametrize("flags", [(), ("--web.trusted-proxies=127.0.0.0/8",)])
def test_logs_and_the_page_tell_what_trusted_proxies_say(
    start_relay: StartRelay, flags: tuple[str, ...]
) -> None:
    relay = start_relay(*flags)
    is_trusted = bool(flags)
    shown = (
        "https://relay.example/metrics/job/example"
        in relay.get("/", dict(EVERYTHING)).text
    )
    assert shown == is_trusted
    assert refused_clients(relay, dict(EVERYTHING)) == is_trusted


def test_the_server_itself_believes_nobody(
    start_relay: StartRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    relay = start_relay()
    fields = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Ssl": "off",
        "Script_Name": "/elsewhere",
        "Path_Info": "/elsewhere",
    }
    answer = relay.get("/", fields)
    assert answer.status == 200
    assert f"http://{relay.address}/metrics/job/example" in answer.text


def test_a_wrong_network_keeps_it_from_starting(start_relay: StartRelay) -> None:
    with pytest.raises(AssertionError, match=r"10\.0\.0\.1/8 has host bits set"):
        start_relay("--web.trusted-proxies=10.0.0.1/8")
