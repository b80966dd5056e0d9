"""A gateway that asks everybody who they are, and those who ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from asgi import Answer, ask
from builders import new_database
from relay_use import open_relay

from pushrelay.config import Settings
from pushrelay.rights import Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.token_rows import insert_token
from pushrelay.tokens import Token, new_text
from pushrelay.web.gateway import Gateway

ALL_ON = Settings(auth_required=True, enable_admin_api=True, enable_lifecycle=True)


class Guarded:
    """Asks a gateway with tokens, which it makes."""

    def __init__(self, gateway: Gateway, directory: Path) -> None:
        self.gateway = gateway
        self._directory = directory

    async def ask(
        self,
        method: str,
        target: str,
        token: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        client: str = "192.0.2.1",
    ) -> Answer:
        """Send a request with `token`, if there is one, as bearer."""
        sent = dict(headers or {})
        if token:
            sent["authorization"] = f"Bearer {token}"
        return await ask(self.gateway, method, target, sent, body, client=client)

    async def token(
        self, *scopes: Right, match: str = "", name: str = "", **attributes: int
    ) -> str:
        """Return the text of a new token; match: a selector that it is bound to."""
        new = new_text()
        token = Token(
            new.id,
            name or new.id,
            new.digest,
            frozenset(scopes),
            (parse_selector(match),) if match else (),
        )
        token = replace(token, **attributes)
        await asyncio.to_thread(self._insert, token)
        return new.text

    def _insert(self, token: Token) -> None:
        database = new_database(self._directory)
        insert_token(database, token, 0)
        database.close()


@asynccontextmanager
async def guarded(
    directory: Path, settings: Settings = ALL_ON
) -> AsyncIterator[Guarded]:
    """Run a relay whose gateway has `settings`, with a database in `directory`."""
    async with open_relay(directory) as relay:
        yield Guarded(Gateway(settings, relay, lambda: None), directory)
