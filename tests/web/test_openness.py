"""Who starts a relay that lets everybody do everything is told."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

import pytest
from relay_process import StartRelay, free_port

from pushrelay.config import Settings
from pushrelay.web.basic_users import PasswordHash
from pushrelay.web.openness import warn_if_open
from pushrelay.web.server import listen
from pushrelay.web.web_config import WebConfig

USERS = WebConfig(users={"a": PasswordHash(4, b"", b"")})


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:0", None),
        ("[::1]:0", None),
        ("127.8.8.8:0", None),
        ("0.0.0.0:0", r"whoever reaches 0\.0\.0\.0:\d+ may push, read and delete"),
        ("[::]:0", r"whoever reaches \[::\]:\d+ may push"),
    ],
)
def test_addresses_that_other_machines_reach_are_named(
    caplog: pytest.LogCaptureFixture, address: str, told: str | None
) -> None:
    with listen(address) as listening:
        warn_if_open(Settings(), WebConfig(), [listening])
    assert (told is None) == (caplog.text == "")
    assert told is None or re.search(told, caplog.text)


@pytest.mark.parametrize(
    ("settings", "web_config"),
    [
        (Settings(auth_required=True), WebConfig()),
        (Settings(auth_token_file="/tokens.toml"), WebConfig()),
        (Settings(), USERS),
    ],
)
def test_nothing_is_said_where_people_are_asked(
    caplog: pytest.LogCaptureFixture, settings: Settings, web_config: WebConfig
) -> None:
    with listen("0.0.0.0:0") as listening:
        warn_if_open(settings, web_config, [listening])
    assert caplog.text == ""


def test_nobody_comes_over_the_network_to_a_socket_in_the_file_system(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        warn_if_open(Settings(), WebConfig(), [listening])
    assert caplog.text == ""


def test_it_is_said_once_at_the_start(start_relay: StartRelay) -> None:
    relay = start_relay(f"--web.listen-address=:{free_port()}")
    relay.put("/metrics/job/a", "x 1\n")
    assert relay.log.count("whoever reaches") == 1
