"""The web configuration file as it is now: read again when it, or a file that it names,
has changed.

A file that turns bad changes nothing: what was read last holds, the log says why, and
a metric tells. Neither does one that would open the relay: with TLS, with users or with
certificates of clients, it keeps them until it is started anew. So a file that is being
written, or is empty for a moment, lets nobody in.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from pushrelay.errors import InvalidWebConfig
from pushrelay.telemetry import Telemetry
from pushrelay.web.basic_users import BasicUsers
from pushrelay.web.exchange import Headers, Send
from pushrelay.web.rate_limit import RateLimit
from pushrelay.web.set_headers import setting
from pushrelay.web.tls import LiveContext, opened_by
from pushrelay.web.watched_files import Stamps, WatchedFiles
from pushrelay.web.web_config import WebConfig, read_web_config

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at the files. Changed ones are read at the look after the one that
saw it, if they have not changed again: they might still be written."""

RETRY_SECONDS = 10.0
"""After so long, bad files are read again though they have not changed."""

_RESTART = ", which is not followed while the relay runs; restart it if that is meant"


class LiveWebConfig:
    """What the file at `path` says; without one, nothing.

    started: what it said when the relay was started, and not all of which it may unsay.
    users: whose passwords are right; None if nobody has one. headers: of every answer.
    rate_limit: None if there is none. context: makes connections; None without TLS.
    """

    def __init__(
        self,
        path: Path | None,
        telemetry: Telemetry,
        started: WebConfig = WebConfig(),  # noqa: B008  # it is frozen
    ) -> None:
        self._path = path
        self._telemetry = telemetry
        self._config = started
        self._files = WatchedFiles()
        self._seen: Stamps = {}
        self._refusal = ""
        self._retry_at = 0.0
        self.context = LiveContext(started.tls) if started.tls else None
        self.users: BasicUsers | None = None
        self.headers: Headers = ()
        self.rate_limit: RateLimit | None = None
        self._follow(started)

    def read(self) -> None:
        """Take over the file as it is now. Raises InvalidWebConfig; then nothing is
        changed."""
        if self._path is None:
            return
        files = self._files = WatchedFiles()
        config = read_web_config(self._path, files)
        self._require_closed(config)
        self._follow(config)
        for note in config.notes:
            log.warning("%s: %s", self._path, note)
        self._telemetry.web_config_read(is_good=True)

    def take_request(self) -> None:
        """Take a request, if the rate lets it. Raises HTTPError."""
        # Another thread may take it away meanwhile.
        if (limit := self.rate_limit) is not None:
            limit.take()

    def sending(self, send: Send) -> Send:
        """Return what sends an answer as `send` does, with the headers."""
        return setting(self.headers, send) if self.headers else send

    def keep_reading(self) -> None:
        """Take over changes from now on, on a thread: looking at files may block."""
        if self._path is not None:
            threading.Thread(target=self._watch, name="web-config", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception:
                log.exception("the web configuration file could not be looked at")

    def look(self) -> None:
        """Take over the files if they have changed and are whole."""
        now = self._files.stamps_now()
        seen, self._seen = self._seen, now
        if now == self._files.stamps:
            is_due = bool(self._refusal) and time.monotonic() >= self._retry_at
        else:
            is_due = now == seen
        if is_due:
            self._try_read()

    def _try_read(self) -> None:
        try:
            self.read()
        except InvalidWebConfig as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._telemetry.web_config_read(is_good=False)
            if str(error) != self._refusal:
                log.error("the web configuration file is not taken over: %s", error)
            self._refusal = str(error)
        else:
            self._refusal = ""
            log.info("the web configuration file was read: %s", self._path)

    def _require_closed(self, config: WebConfig) -> None:
        """Require that `config` opens nothing. Raises InvalidWebConfig."""
        was, problems = self._config, []
        if was.users and not config.users:
            problems.append("basic_auth_users are gone")
        if was.tls and not config.tls:
            problems.append("tls_server_config is gone")
        if config.tls and not was.tls:
            problems.append("tls_server_config is new")
        if config.tls and was.tls and (opened := opened_by(was.tls, config.tls)):
            problems.append(f"tls_server_config: {opened}")
        if problems:
            raise InvalidWebConfig(
                [f"{self._path}: {problem}{_RESTART}" for problem in problems]
            )

    def _follow(self, config: WebConfig) -> None:
        self._config = config
        if self.context and config.tls:
            self.context.current = config.tls
        if self.users is not None:
            self.users.follow(config.users)
        elif config.users:
            self.users = BasicUsers(config.users)
        self.headers = config.headers
        if config.rate is None:
            self.rate_limit = None
        elif self.rate_limit is None or self.rate_limit.rate != config.rate:
            self.rate_limit = RateLimit(config.rate)
