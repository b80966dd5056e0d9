"""Says at the start whether everybody may do everything."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterable

from pushrelay.config import Settings
from pushrelay.web.web_config import WebConfig

log = logging.getLogger(__name__)


def warn_if_open(
    settings: Settings, web_config: WebConfig, listening: Iterable[socket.socket]
) -> None:
    """Log it where other machines reach a socket, and nobody is asked who they are."""
    if settings.asks or web_config.users:
        return
    reached = [address for sock in listening if (address := _reached_at(sock))]
    if reached:
        log.warning(
            "whoever reaches %s may push, read and delete everything: ask them who "
            "they are with --auth.required or users in --web.config.file, or listen on "
            "127.0.0.1 alone",
            " and ".join(reached),
        )


def _reached_at(sock: socket.socket) -> str | None:
    """Return the address at which other machines reach `sock`; None if none can."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host, port = sock.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
