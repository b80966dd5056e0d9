"""The flags of `pushrelay serve` that say whom it asks who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pushrelay.cli.options import Decorated, option
from pushrelay.config import Settings
from pushrelay.quoting import quote
from pushrelay.rights import Right


def _doors(
    _context: click.Context, _option: click.Parameter, written: str
) -> tuple[str, ...]:
    doors = tuple(word for part in written.split(",") if (word := part.strip()))
    known = [right.value for right in Right]
    for door in doors:
        if door not in known:
            raise click.BadParameter(
                f"{quote(door)} is no right; write any of {', '.join(known)}, with "
                "commas between them"
            )
    return doors


_required = option(
    "--auth.required/--no-auth.required",
    "auth_required",
    help="Authenticate all clients, even without --auth.token-file and without users "
    "in --web.config.file.",
)
_token_file = option(
    "--auth.token-file",
    "auth_token_file",
    default="",
    metavar="FILE",
    help="Tokens in addition to those in the database, in TOML. All clients are then "
    "authenticated. Read again when it changes.",
)
_anonymous = option(
    "--auth.anonymous",
    "auth_anonymous",
    default=",".join(Settings().auth_anonymous),
    callback=_doors,
    metavar="RIGHTS",
    help="What clients may do without authentication where it is otherwise needed: any "
    "of push, scrape, read, admin and health, separated by commas.",
)


def auth_flags(command: Decorated) -> Decorated:
    """Declare them, as the parameters that are named like the settings."""
    return _required(_token_file(_anonymous(command)))


def auth_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings among the `values` of the parameters, by name."""
    file = values["auth_token_file"]
    return {
        "auth_required": values["auth_required"],
        "auth_token_file": file and str(Path(file).absolute()),
        "auth_anonymous": values["auth_anonymous"],
    }


def require_tokens(settings: Settings) -> None:
    """Raise InvalidRules unless the file of tokens is good, if there is one."""
    from pushrelay.token_files import read_token_file

    if settings.auth_token_file:
        read_token_file(Path(settings.auth_token_file))
