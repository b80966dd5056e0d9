"""Users and their passwords, as bcrypt hashes, checked as the Prometheus exporter
toolkit does, so that who can log in there can log in here.

A password costs a tenth of a second or more each time, so what was right is remembered:
under a digest with a key of this process, of user, password and hash, each after its
length. So no user and password can be taken for other ones (the exporter toolkit once
joined them, CVE-2022-46146), a new hash makes the memory worthless, and nothing in it
tells a password. What was wrong is not remembered: a guesser would fill the memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import bcrypt
from cachetools import LRUCache

from pushrelay.errors import PushrelayError

REMEMBERED = 1000

PASSWORD_BYTES = 72
"""bcrypt sees no more of a password. Go's takes longer ones, too, and ignores the rest;
Python's refuses them."""

SLOW_COST = 14
"""Above this cost, a password takes more than a second."""

_HASH = re.compile(
    r"\$2.?\$(?P<cost>0[4-9]|[12][0-9]|3[01])"
    r"\$(?P<salt>[./A-Za-z0-9]{22})(?P<digest>[./A-Za-z0-9]{31})"
)
_CHEAPEST = b"$2b$04$"
_FINGERPRINT_DIGITS = 32


class InvalidHash(PushrelayError):
    """Text that is no bcrypt hash. The text is not in the message."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A bcrypt hash; salt: with the cost before it."""

    cost: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def is_of(self, password: bytes) -> bool:
        """Whether it is the hash of `password`; takes long on purpose."""
        computed = bcrypt.hashpw(password, self.salt)
        return hmac.compare_digest(computed[-len(self.digest) :], self.digest)

    @property
    def fingerprint(self) -> str:
        """What tells it from others, and nothing of the password: its salt is not known
        from this."""
        return hashlib.sha256(self.salt + self.digest).hexdigest()[:_FINGERPRINT_DIGITS]


def parse_hash(text: str) -> PasswordHash:
    """Return the hash that `text` is. Raises InvalidHash."""
    match = _HASH.fullmatch(text)
    if match is None:
        raise InvalidHash(
            "is no bcrypt hash; write what `htpasswd -nBC 10 USER` prints behind the "
            "colon, which begins with $2y$10$ and has 60 characters"
        )
    salt = match["salt"].encode()
    try:
        bcrypt.hashpw(b"", _CHEAPEST + salt)
    except ValueError:
        raise InvalidHash("is no bcrypt hash: its salt cannot be read") from None
    # Go makes no difference between the letters, which tell of old mistakes of others.
    prefix = f"$2b${match['cost']}$".encode()
    return PasswordHash(int(match["cost"]), prefix + salt, match["digest"].encode())


class BasicUsers:
    """Whose password is right. For one event loop."""

    def __init__(self, hashes: Mapping[str, PasswordHash]) -> None:
        self._key = secrets.token_bytes()
        self._right: LRUCache[bytes, bool] = LRUCache(REMEMBERED)
        self._comparisons: dict[bytes, _Comparison] = {}
        # One at a time: they take a processor each, and others have work to do.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")
        self.follow(hashes)

    def follow(self, hashes: Mapping[str, PasswordHash]) -> None:
        """Know these users from now on, by name, and no others."""
        self._hashes = {name.encode(): each for name, each in hashes.items()}

    def fingerprint(self, user: str) -> str | None:
        """Return that of the user's hash; None if there is no such user."""
        claim = _Claim.of(user, "")
        known = self._hashes.get(claim.user) if claim else None
        return known.fingerprint if known else None

    def known(self, user: str, password: str) -> bool:
        """Whether the password was found right before; costs next to nothing."""
        claim = _Claim.of(user, password)
        if claim is None:
            return False
        known = self._hashes.get(claim.user)
        return known is not None and self._digest(claim, known) in self._right

    async def check(self, user: str, password: str) -> bool:
        """Whether the password is right; takes long on purpose, for an unknown user no
        less than for the others."""
        claim = _Claim.of(user, password)
        hashes = self._hashes
        if claim is None or not hashes:
            return False
        own = hashes.get(claim.user)
        compared = own or self._stand_in(claim, list(hashes.values()))
        digest = self._digest(claim, compared)
        if own and self._right.get(digest):
            return True
        if not await self._compare(claim.password, compared, digest) or own is None:
            return False
        self._right[digest] = True
        return True

    async def _compare(
        self, password: bytes, compared: PasswordHash, digest: bytes
    ) -> bool:
        """Return whether it is the password; many that ask the same share the work."""
        comparison = self._comparisons.get(digest)
        if comparison is None:
            loop = asyncio.get_running_loop()
            outcome = loop.run_in_executor(self._thread, compared.is_of, password)
            comparison = self._comparisons[digest] = _Comparison(outcome)
        comparison.waiting += 1
        try:
            # Who goes away must not take the answer from the others.
            return await asyncio.shield(comparison.outcome)
        finally:
            comparison.waiting -= 1
            if not comparison.waiting:
                del self._comparisons[digest]
                # Those who guess and leave must not hold up who has a password.
                comparison.outcome.cancel()

    def _stand_in(self, claim: _Claim, hashes: list[PasswordHash]) -> PasswordHash:
        """Return what an unknown user is compared with, always the same, so that it
        takes as long as it does for one of the others."""
        digest = hmac.digest(self._key, claim.user, "sha256")
        return hashes[int.from_bytes(digest) % len(hashes)]

    def _digest(self, claim: _Claim, compared: PasswordHash) -> bytes:
        parts = (claim.user, claim.password, compared.salt, compared.digest)
        framed = b"".join(len(part).to_bytes(8) + part for part in parts)
        return hmac.digest(self._key, framed, "sha256")


@dataclass(slots=True)
class _Comparison:
    """One of a password with a hash, and how many wait for its outcome."""

    outcome: asyncio.Future[bool]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """User and password as the bytes that were sent."""

    user: bytes
    password: bytes

    @classmethod
    def of(cls, user: str, password: str) -> _Claim | None:
        try:
            name = user.encode(errors="surrogateescape")
            secret = password.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            return None  # no bytes could have been read as this
        return cls(name, secret[:PASSWORD_BYTES])
