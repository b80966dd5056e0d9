"""Reads the configuration file, and that of tokens, again while the relay runs."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from pushrelay.errors import InvalidRequest, InvalidRules
from pushrelay.job_rules import read_rules
from pushrelay.relay import Relay

log = logging.getLogger(__name__)


class Reloader:
    """Lets `relay` follow the file at `path`, if there is one, as it is now, and its
    file of tokens."""

    def __init__(self, path: Path | None, relay: Relay) -> None:
        self._path = path
        self._relay = relay
        # One after the other: who asks later gets the later file.
        self._turn = asyncio.Lock()
        self._is_awaited = False

    async def reload(self) -> None:
        """Take over the files. A bad one changes nothing.

        Raises InvalidRules with all that is wrong with it, and InvalidRequest where
        there is no file.
        """
        tokens = self._relay.tokens
        if self._path is None and not tokens.has_file:
            raise InvalidRequest(
                "the relay was started without --config.file and --auth.token-file: "
                "there is nothing to read"
            )
        async with self._turn:
            self._is_awaited = False
            try:
                await tokens.reload()
            finally:
                if self._path is not None:
                    await self._reload_rules(self._path)

    async def _reload_rules(self, path: Path) -> None:
        try:
            rules = await asyncio.to_thread(read_rules, path)
        except InvalidRules as error:
            self._relay.telemetry.reload_failed()
            log.error("the configuration file is not taken over: %s", error)
            raise
        policies = self._relay.policies
        if rules == policies.rules:
            # All that follows from them is so, but for jobs that were retired.
            await self._relay.runs.follow_rules()
        else:
            await self._relay.follow(policies.with_rules(rules))
        self._relay.telemetry.reloaded(time.time())
        log.info("the configuration file was read: %d job rules", len(rules))

    async def try_reload(self) -> None:
        """Do the same for who cannot be told what is wrong: the log says it."""
        if self._is_awaited:
            return  # The one that waits reads what is there then.
        self._is_awaited = True
        try:
            await self.reload()
        except InvalidRequest as error:
            log.warning("nothing is reloaded: %s", error)
        except InvalidRules:
            return
        except Exception:
            log.exception("the configuration file could not be taken over")
