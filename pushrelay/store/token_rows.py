"""Tokens as rows of the database, and what is done with them there.

Whoever changes them has the write lock, so that what is looked up first is still so.
What takes a database raises StoreUnavailable.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from pushrelay.errors import InvalidToken
from pushrelay.job_rules import RuleLimits
from pushrelay.rights import Right
from pushrelay.selector_parser import parse_selector
from pushrelay.store.documents import fields_of
from pushrelay.store.engine import Database, DatabaseErrors, unavailable
from pushrelay.store.schema import tokens
from pushrelay.store.session import Session
from pushrelay.store.statements import sql
from pushrelay.tokens import PREFIX, NewText, Token, new_text

log = logging.getLogger(__name__)

KEPT_SECONDS = 90 * 24 * 3600
"""How long a token is listed that gives nothing any more."""

Row = tuple[Any, ...]

_THIS = tokens.c.id == bindparam("this")
_GOOD = sql(
    select(tokens.c.id, tokens.c.name, tokens.c.digest, tokens.c.expires_at).where(
        or_(tokens.c.name == bindparam("name"), tokens.c.id == bindparam("name")),
        tokens.c.parent.is_(None),
        tokens.c.revoked_at.is_(None),
        or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > bindparam("now")),
    )
)
_ALL = sql(select(tokens).order_by(tokens.c.created_at, tokens.c.id))
_INSERT = sql(insert(tokens))
_REVOKING = update(tokens).where(_THIS).values(revoked_at=bindparam("at"))
_REVOKE = sql(_REVOKING)
_ROTATING = (
    update(tokens)
    .where(_THIS)
    .values(
        digest=bindparam("new"),
        former=bindparam("old"),
        former_until=bindparam("until"),
        expires_at=bindparam("expires"),
    )
)
_ROTATE = sql(_ROTATING)
_END_SESSIONS = sql(delete(tokens).where(tokens.c.parent == bindparam("of")))
_REMOVE = sql(delete(tokens).where(_THIS))
_USED = sql(
    update(tokens)
    .where(
        _THIS,
        or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"))
)
_FORGET_SESSIONS = sql(
    delete(tokens).where(
        tokens.c.parent.is_not(None), tokens.c.expires_at <= bindparam("now")
    )
)
_FORGET = sql(
    delete(tokens).where(
        or_(
            tokens.c.expires_at <= bindparam("before"),
            tokens.c.revoked_at <= bindparam("before"),
        )
    )
)


class Named(NamedTuple):
    """A good token as it was found in the database, whether or not it can be read."""

    id: str
    name: str
    digest: bytes
    expires_at: int | None


def read_rows(
    database: Database, known: Mapping[Row, Token | None]
) -> dict[Row, Token | None]:
    """Return all tokens and sessions by their rows; None stands for one that cannot be
    read, which gives nothing. known: what was returned before."""
    try:
        with database.reading(newest=True) as session:
            rows = list(session.all(_ALL))
    except DatabaseErrors as error:
        raise unavailable(database, error) from error
    return {row: known[row] if row in known else _token_or_none(row) for row in rows}


def list_tokens(database: Database) -> list[Token]:
    """Return all tokens in the order in which they were made, but no sessions."""
    read = read_rows(database, {}).values()
    return [token for token in read if token is not None and not token.is_session]


def insert_token(database: Database, token: Token, now: int) -> None:
    """Store a new token. Raises InvalidToken if a good one has its name at `now`, Unix
    nanoseconds."""
    with _writing(database) as session:
        if _good(session, token.name, now) is not None:
            raise InvalidToken(
                f"there is a token {token.name} already; choose another name, rotate "
                "that one, or revoke it first"
            )
        session.run(_FORGET, {"before": now - KEPT_SECONDS * 10**9})
        session.run(_INSERT, row_of(token))


def insert_session(database: Database, token: Token, now: int) -> None:
    """Store a new session, and forget those that have ended by `now`."""
    with _writing(database) as session:
        session.run(_FORGET_SESSIONS, {"now": now})
        session.run(_INSERT, row_of(token))


def remove_session(database: Database, id_: str) -> None:
    """Let the session with this id be no more."""
    with _writing(database) as session:
        session.run(_REMOVE, {"this": id_})


def revoke(database: Database, name: str, now: int) -> Named:
    """Revoke the token of this name, or with this id, and end its sessions; return it.
    Raises InvalidToken unless it is good at `now`."""
    with _writing(database) as session:
        token = _required(session, name, now)
        session.run(_REVOKE, {"this": token.id, "at": now})
        session.run(_END_SESSIONS, {"of": token.id})
    return token


def rotate(
    database: Database, name: str, now: int, keep: int, expires_at: int | None = None
) -> tuple[Named, NewText]:
    """Give the token of this name, or with this id, a new text, and end its sessions;
    return it as it was, and the text. Raises InvalidToken unless it is good at `now`.

    keep: for so many nanoseconds, the text that it had is good, too. expires_at: the
    new one; None to leave it as it is.
    """
    with _writing(database) as session:
        token = _required(session, name, now)
        new = new_text(token.id)
        rotated = {
            "this": token.id,
            "new": new.digest,
            "old": token.digest if keep else None,
            "until": now + keep if keep else None,
            "expires": token.expires_at if expires_at is None else expires_at,
        }
        session.run(_ROTATE, rotated)
        session.run(_END_SESSIONS, {"of": token.id})
    return token, new


def note_used(database: Database, used: Mapping[str, int]) -> None:
    """Note when tokens were used, by id, unless a later time is known."""
    with _writing(database) as session:
        rows = [{"this": id_, "at": at} for id_, at in sorted(used.items())]
        session.run_many(_USED, rows)


class Standing(NamedTuple):
    """What was done to tokens since they were made, as rows of parameters.

    revoked: which are. secrets: which texts all of them have, and until when.
    """

    revoked: list[dict[str, Any]]
    secrets: list[dict[str, Any]]


def standing_of(connection: Connection) -> Standing:
    """Return it, for `keep_standing`."""
    rows = connection.execute(select(tokens).where(tokens.c.parent.is_(None))).all()
    revoked = [
        {"this": row.id, "at": row.revoked_at}
        for row in rows
        if row.revoked_at is not None
    ]
    secrets = [
        {
            "this": row.id,
            "new": row.digest,
            "old": row.former,
            "until": row.former_until,
            "expires": row.expires_at,
        }
        for row in rows
    ]
    return Standing(revoked, secrets)


def keep_standing(
    connection: Connection, standing: Standing, *, is_newer: bool
) -> None:
    """Revoke again those tokens that are there; if `standing` is newer than they are,
    give them their secrets again, too."""
    if standing.revoked:
        connection.execute(_REVOKING, standing.revoked)
    if standing.secrets and is_newer:
        connection.execute(_ROTATING, standing.secrets)


def row_of(token: Token) -> dict[str, Any]:
    """Return the row of `token`."""
    return {
        **{column.name: getattr(token, column.name) for column in tokens.c},
        "scopes": ",".join(sorted(token.scopes)),
        "selectors": json.dumps([str(selector) for selector in token.selectors]),
        "limits": json.dumps(fields_of(token.limits) if token.limits else {}),
    }


def token_of(row: Mapping[str, Any]) -> Token:
    """Return the token that `row` stores; raises anything where that is none."""
    scopes = [Right(word) for word in row["scopes"].split(",") if word]
    limits = json.loads(row["limits"])
    return Token(
        **{
            **row,
            "scopes": frozenset(scopes),
            "selectors": tuple(map(parse_selector, json.loads(row["selectors"]))),
            "limits": RuleLimits(**limits) if limits else None,
        }
    )


def _token_or_none(row: Row) -> Token | None:
    values = dict(zip(tokens.c.keys(), row, strict=True))
    try:
        return token_of(values)
    except Exception as error:  # noqa: BLE001  # a row may hold anything
        # Of a newer version, say. The others go on to be good.
        log.warning(
            "the token %s cannot be read and gives nothing: %s", values["id"], error
        )
        return None


def _good(session: Session, name: str, now: int) -> Named | None:
    found = session.first(_GOOD, {"name": name, "now": now})
    return None if found is None else Named(*found)


def _required(session: Session, name: str, now: int) -> Named:
    token = _good(session, name, now)
    if token is None:
        # It may be the text of one by mistake.
        shown = "of this name" if name.startswith(PREFIX) else name
        raise InvalidToken(
            f"there is no token {shown}, or it is revoked or has expired; "
            "`pushrelay token list` shows which there are"
        )
    return token


@contextmanager
def _writing(database: Database) -> Iterator[Session]:
    try:
        with closing(database.open_writer()) as session, session.transaction():
            yield session
    except (*DatabaseErrors, OSError) as error:
        raise unavailable(database, error) from error
