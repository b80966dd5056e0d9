"""Removes the rows of forgotten groups, now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pushrelay.errors import StoreUnavailable

log = logging.getLogger(__name__)

JANITOR_SECONDS = 5.0
"""How often the rows of forgotten groups are removed."""


async def keep_tidy(remove_forgotten: Callable[[], Awaitable[None]]) -> None:
    """Call `remove_forgotten` again and again, for ever, whatever it raises.

    That groups are gone does not depend on it.
    """
    while True:
        await asyncio.sleep(JANITOR_SECONDS)
        try:
            await remove_forgotten()
        except StoreUnavailable as error:
            log.info("forgotten groups are removed later: %s", error)
        except Exception:
            log.exception("forgotten groups could not be removed")
