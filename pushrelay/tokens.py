"""Tokens: secrets with the rights that they give.

The text of a token is `prt_<id>_<secret>`, which scanners for secrets know by its
beginning. It is shown once; what is kept is its SHA-256, which tells nothing of a
secret of 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field, replace

from pushrelay.errors import InvalidToken
from pushrelay.job_rules import RuleLimits
from pushrelay.matchers import Selector
from pushrelay.rights import ALL_RIGHTS, TOKEN, USER, Grant, Identity, Right

PREFIX = "prt_"

_ID_BYTES = 8
_SECRET_BYTES = 32
_TEXT = re.compile(r"prt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})([0-9a-f]{8})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,99}")
_USER = "user:"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is not enough to know its text.

    id: of its text, or what stands for that of one in a file. name: for people. digest:
    of its text. scopes, selectors: see `rights.Grant`. limits: see `rights.Identity`.
    Times are Unix nanoseconds, and None is never; from `expires_at` on it gives
    nothing.
    former: the digest of the text that it had before it was rotated, which is good
    until `former_until`.
    parent: None but for a session, which somebody began with the token of this id, or
    as a user: see `parent_of_user`.
    """

    id: str
    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Right]
    selectors: tuple[Selector, ...] = ()
    limits: RuleLimits | None = None
    created_at: int = 0
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None
    former: bytes | None = field(default=None, repr=False)
    former_until: int | None = None
    parent: str | None = None

    @property
    def is_session(self) -> bool:
        """Whether it stands for somebody who has logged in."""
        return self.parent is not None

    @property
    def user(self) -> str | None:
        """Who began the session with user and password; None if nobody did."""
        parent = self.parent
        if parent is None or not parent.startswith(_USER):
            return None
        return parent.removeprefix(_USER).partition(":")[2]

    def is_good(self, now: int) -> bool:
        """Whether it gives anything at `now`."""
        return self.revoked_at is None and not _is_over(self.expires_at, now)

    def bears(self, digest: bytes, now: int) -> bool:
        """Whether `digest` is that of a text that it has at `now`."""
        if hmac.compare_digest(self.digest, digest):
            return True
        former = self.former
        if former is None or _is_over(self.former_until, now):
            return False
        return hmac.compare_digest(former, digest)

    def identity(self) -> Identity:
        """Return whom it stands for."""
        if self.user is not None:
            return Identity(self.user, USER, ALL_RIGHTS)
        grant = Grant(self.scopes, self.selectors)
        return Identity(self.name, TOKEN, grant, self.limits, self.parent or self.id)

    def giving_to(self, session: Token) -> Token:
        """Return `session`, which was begun with this token, with what this gives."""
        return replace(
            session,
            name=self.name,
            scopes=self.scopes,
            selectors=self.selectors,
            limits=self.limits,
        )


@dataclass(frozen=True, slots=True)
class NewText:
    """A text that was just made, with what is kept of it."""

    text: str = field(repr=False)
    id: str
    digest: bytes = field(repr=False)


def new_text(id_: str | None = None) -> NewText:
    """Make the text of a new token, or another one of that with this id."""
    id_ = secrets.token_hex(_ID_BYTES) if id_ is None else id_
    begin = f"{PREFIX}{id_}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    text = begin + _checksum(begin)
    return NewText(text, id_, digest_of(text))


def is_token(text: str) -> bool:
    """Whether `text` is one that a token can have."""
    return id_of(text) is not None


def id_of(text: str) -> str | None:
    """Return the id in `text`; None if no token has this text, for it is cut off or
    mistyped, or something else."""
    found = _TEXT.fullmatch(text)
    if found is None or found[3] != _checksum(text[: -len(found[3])]):
        return None
    return found[1]


def require_name(name: str) -> str:
    """Return `name` if a token may have it. Raises InvalidToken."""
    if _NAME.fullmatch(name) is None or name.startswith(PREFIX):
        raise InvalidToken(
            "the name of a token has up to 100 letters, digits and any of . _ - @ : / "
            "of ASCII, the first a letter or digit, and is no token"
        )
    return name


def digest_of(text: str) -> bytes:
    """Return what is kept of `text`."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def parent_of_user(name: str, fingerprint: str) -> str:
    """Return the `parent` of the sessions that the user `name` begins with a password;
    fingerprint: hexadecimal, of what is kept of that."""
    return f"{_USER}{fingerprint}:{name}"


def _is_over(end: int | None, now: int) -> bool:
    return end is not None and now >= end


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
