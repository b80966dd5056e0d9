"""Runs the relay under gunicorn: one worker process, its asgi class."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from pushrelay.config import Settings
from pushrelay.errors import InvalidRules, InvalidWebConfig, StartupError
from pushrelay.job_rules import read_rules
from pushrelay.policies import Policies
from pushrelay.relay import Relay
from pushrelay.store.engine import Database, open_database
from pushrelay.telemetry import Telemetry
from pushrelay.web.gateway import Gateway
from pushrelay.web.interpreter import collect_garbage_rarely
from pushrelay.web.live_web_config import LiveWebConfig
from pushrelay.web.openness import warn_if_open
from pushrelay.web.web_config import WebConfig
from pushrelay.web.worker import RelayWorker

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 75
"""Longer than any usual scrape interval, so that scrapers need not dial again."""

GRACEFUL_SECONDS = 30
LOOP_SECONDS = 60
BACKLOG = 4096
"""As many as Linux lets be. Of more that connect at once, some try again only after a
second: with 2048, so did a push beside 12,000 connections."""

HEADER_BYTES = 128 * 1024
"""The longest header field; gunicorn answers 431 beyond."""

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # gunicorn makes a file of its own there

_ADDRESS = re.compile(r"(\[[^\]]*\]|[^:]*):(\d+)")


def serve(settings: Settings, policies: Policies, web_config: WebConfig) -> None:
    """Serve until a signal ends it. Raises StartupError; does not return otherwise.

    policies: what the configuration file says as it is now. web_config: what the web
        configuration file says.
    """
    _allow_open_files()
    _Arbiter(_Server(settings, policies, web_config)).run()


def _allow_open_files() -> None:
    """Let this process have as many open files as the system lets it: each connection
    is one, and 1024 is only what careless programs can bear."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # A hard limit above what the kernel has for all (fs.nr_open) cannot be used, and
    # sandboxes refuse this. `connections.possible` tells if it matters.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(address: str) -> socket.socket:
    """Return a socket that listens on `address`, HOST:PORT.

    An empty host is every address, IPv6 included where the machine has it. Raises
    StartupError.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[2]) > 65535:
        raise StartupError(
            f"--web.listen-address is not HOST:PORT: {address!r}; write :9091, "
            "127.0.0.1:9091 or [::1]:9091"
        )
    host, port = match[1].strip("[]"), int(match[2])
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # The text of an error of the resolver is its own, that of others has the
        # address in it once more.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        raise StartupError(
            f"cannot listen on {address}: {reason}; choose another address with "
            "--web.listen-address"
        ) from error


def _binds(settings: Settings) -> list[str]:
    """Return where gunicorn is to listen; nothing if systemd passes the sockets."""
    if settings.systemd_socket:
        if os.environ.get("LISTEN_PID") != str(os.getpid()):
            raise StartupError(
                "--web.systemd-socket: systemd passed no socket (LISTEN_FDS); start "
                "the service by its .socket unit"
            )
        return []
    # gunicorn would take sockets that were not asked for.
    os.environ.pop("LISTEN_FDS", None)
    sockets = [listen(address) for address in settings.listen_addresses]
    return [f"fd://{sock.detach()}" for sock in sockets]


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    def start(self) -> None:
        super().start()
        app, listening = self.app, [listener.sock for listener in self.LISTENERS]
        warn_if_open(app.settings, app.web_config, listening)

    def handle_int(self) -> None:
        """End gracefully, as on SIGTERM; gunicorn would drop open requests."""
        self.handle_term()

    def handle_hup(self) -> None:
        """Have the worker read its configuration file; gunicorn would replace it."""
        self.kill_workers(signal.SIGHUP)


class _Server(BaseApplication):  # type: ignore[misc]  # as above
    """web: what the web configuration file says, in a worker."""

    web: LiveWebConfig

    def __init__(
        self, settings: Settings, policies: Policies, web_config: WebConfig
    ) -> None:
        self.settings = settings
        self._policies = policies
        self.web_config = web_config
        self._binds = _binds(settings)
        super().__init__()

    def load_config(self) -> None:
        options = {
            "worker_class": RelayWorker,
            "workers": 1,
            "logger_class": _GunicornLog,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "backlog": BACKLOG,
            "asgi_lifespan": "on",
            # The C parser would be used if it happened to be installed, and does not
            # accept and refuse exactly the same.
            "http_parser": "python",
            # It would believe X-Forwarded-Proto from the loopback, and everything from
            # a Unix socket. Whom we believe is for --web.trusted-proxies to say.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "proxy_protocol": "off",
            # Names with a _ , which others take for those with a -.
            "header_map": "drop",
            # Said by name: it and asyncio's own differ when clients leave early.
            "asgi_loop": "uvloop",
            "limit_request_line": 0,
            "limit_request_field_size": HEADER_BYTES,
            # A second instance of the same user would take over the socket.
            "control_socket_disable": True,
            # A worker whose event loop stands still for so long is replaced. gunicorn
            # also gives up a body after it, and our own deadline must come first.
            "timeout": max(LOOP_SECONDS, int(self.settings.limits.idle_seconds) + 10),
            # A disk that stalls must not look like a worker that hangs.
            "worker_tmp_dir": _SHARED_MEMORY if os.path.isdir(_SHARED_MEMORY) else None,
        }
        if self._binds:
            options["bind"] = self._binds
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Gateway:
        """Make the application; called in the worker, so nothing is shared with it."""
        collect_garbage_rarely()
        settings = self.settings
        database = open_database(
            settings.database_url,
            settings.database_sync,
            settings.limits.write_seconds,
        )
        telemetry = Telemetry()
        self.web = self._live_web_config(telemetry)
        policies = _current_policies(settings, self._policies, telemetry)
        relay = Relay(
            database,
            telemetry,
            policies,
            limits=settings.limits,
            runs_keep=settings.runs_keep,
            runs_max_age=settings.runs_max_age,
            shows_own=_shows_own(settings, database),
            token_file=settings.auth_token_file,
        )
        return Gateway(settings, relay, _terminate, self.web)

    def _live_web_config(self, telemetry: Telemetry) -> LiveWebConfig:
        """Return what the file says now. A worker may begin long after the relay was
        started: with what was right then, it might let in who was shut out since, so
        it does not begin at all where the file is bad."""
        path = self.settings.web_config_file
        web = LiveWebConfig(Path(path) if path else None, telemetry, self.web_config)
        try:
            web.read()
        except InvalidWebConfig as error:
            log.error("cannot start: %s", error)
            raise SystemExit(Arbiter.APP_LOAD_ERROR) from error
        web.keep_reading()
        return web


def _shows_own(settings: Settings, database: Database) -> bool:
    # A scraper that reaches replicas in turn would take each one's counters for resets
    # of the other's.
    if settings.own_metrics == "auto":
        return not database.is_shared
    return settings.own_metrics == "on"


def _current_policies(
    settings: Settings, policies: Policies, telemetry: Telemetry
) -> Policies:
    """Return `policies` with the rules of the configuration file, if that is good: a
    worker may begin long after the relay was started."""
    if not settings.config_file:
        return policies
    try:
        rules = read_rules(Path(settings.config_file))
    except InvalidRules as error:
        log.error("the configuration file is not taken over: %s", error)
        telemetry.reload_failed()
        return policies
    telemetry.reloaded(time.time())
    return policies.with_rules(rules)


def _terminate() -> None:
    # The arbiter ends its worker gracefully and then itself.
    os.kill(os.getppid(), signal.SIGTERM)


class _GunicornLog(Logger):  # type: ignore[misc]  # as above
    """gunicorn's log as part of ours."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log = logging.getLogger("gunicorn")
        self._access_log_enabled = False
