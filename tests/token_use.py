"""Tokens of tests, and what is told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pushrelay.rights import Right
from pushrelay.store.engine import Database
from pushrelay.store.token_rows import insert_token
from pushrelay.tokens import Token, new_text

HOUR = 3600 * 10**9
NOW = 1_800_000_000 * 10**9


def new_token(name: str = "backup", **fields: Any) -> tuple[Token, str]:
    """Return a token that may push, and its text."""
    new = new_text()
    token = Token(new.id, name, new.digest, frozenset([Right.PUSH]), created_at=NOW)
    return replace(token, **fields), new.text


def made(
    database: Database, name: str = "backup", now: int = NOW, **fields: Any
) -> tuple[Token, str]:
    """Do so for one that is stored."""
    token, text = new_token(name, **fields)
    insert_token(database, token, now)
    return token, text
