"""Passwords, and users that have them."""

from __future__ import annotations

import asyncio

import bcrypt

from pushrelay.web.basic_users import BasicUsers, PasswordHash, parse_hash

# Of "secret".
SECRET = "$2y$04$xvz/WiSyz2LEuXppSCITb.OKhOtG94GJI7RMwjV/L92UxUFVrEzBy"

# Of "new".
NEW = "$2y$04$ndLFWpDEH4.o2153PnFzG.aP/TYKKOstPd5WqCeuqhN7jvcdWZLYq"


def hash_of(password: str | bytes, cost: int = 4) -> PasswordHash:
    """Return a hash of the password."""
    data = password.encode() if isinstance(password, str) else password
    return parse_hash(bcrypt.hashpw(data, bcrypt.gensalt(cost)).decode())


def check(users: BasicUsers, user: str, password: str) -> bool:
    """Return whether the password is right; whether it is known then is the same."""

    async def ask() -> bool:
        found = await users.check(user, password)
        assert users.known(user, password) is found
        return found

    return asyncio.run(ask())
