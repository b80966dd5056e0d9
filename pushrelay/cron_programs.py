"""Programs and users of this machine, as cron finds them."""

from __future__ import annotations

import pwd
import re
import shutil

CRON_PATH = "/usr/bin:/bin"
"""Where cron looks for programs unless a crontab says so by PATH."""

_USER_FIRST = re.compile(r"([A-Za-z_][\w.-]*)[ \t]+(?![-&|;)#])[^ \t]", re.ASCII)


def is_on_path(program: str, path: str) -> bool:
    """Return whether cron finds `program` where its PATH is `path`. It expands nothing
    in it, and what is not from the root depends on where a command runs."""
    places = [place for place in path.split(":") if place.startswith("/")]
    return shutil.which(program, path=":".join(places)) is not None


def user_before(command: str, path: str) -> str | None:
    """Return the user that stands before the command in `command`, as in the crontabs
    of the system; None if what stands there is a program, or no user at all."""
    found = _USER_FIRST.match(command)
    if not found or is_on_path(found[1], path):
        return None
    try:
        return pwd.getpwnam(found[1]).pw_name
    except KeyError:
        return None
