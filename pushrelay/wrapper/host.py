"""What is to be known of this host and of the environment that a run has."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ZONES = "/usr/share/zoneinfo"
_BEFORE_NAMES = "zoneinfo/"
_LOCALTIME = "/etc/localtime"
_TIMEZONE = "/etc/timezone"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # the names of files are random
_HEX = frozenset("0123456789abcdef")


def host_name() -> str:
    """Return the name of this host."""
    return os.uname().nodename


def time_zone(environ: Mapping[str, str]) -> str | None:
    """Return the name of the time zone that `cron` goes by here; None if only its
    rules are known. What TZ says counts if it is the name of a zone known here."""
    if named := _named_zone(environ):
        return named
    target = os.path.realpath(_LOCALTIME)
    if _BEFORE_NAMES in target:
        return target.partition(_BEFORE_NAMES)[2]
    try:
        with open(_TIMEZONE, encoding="utf-8") as file:
            return file.read().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _named_zone(environ: Mapping[str, str]) -> str | None:
    named = environ.get("TZ", "").removeprefix(":")
    if _BEFORE_NAMES in named:
        named = named.partition(_BEFORE_NAMES)[2]
    # On Debian a link to the zone of the host.
    if named == "localtime" or named.startswith("/") or ".." in named:
        return None
    known = os.path.join(environ.get("TZDIR") or _ZONES, named)
    return named if os.path.isfile(known) else None


def absolute(path: str) -> str:
    """Return `path` from the root; as it is where the current directory is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def temporary_directories(
    environ: Mapping[str, str], *, for_much: bool = False
) -> list[str]:
    """Return the directories that may take temporary files, the best first: TMPDIR,
    then those of all users, in which no name may be such that others can guess it.

    for_much: whether a file may be large, and had better not be in memory.
    """
    shared = ["/tmp", "/var/tmp"]  # noqa: S108  # the names of files are random
    if for_much:
        shared.reverse()
    named = environ.get("TMPDIR")
    return [*([absolute(named)] if named else []), *shared, _SHARED_MEMORY]


def new_run_id() -> str:
    """Return a random UUID. `uuid` would take longer to import than a run to start."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def trace_parent(given: str) -> str:
    """Return the TRACEPARENT for a run: the one that is `given`, or if that is none, a
    new one (W3C Trace Context)."""
    if trace_id(given):
        return given
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def trace_id(trace_parent: str) -> str | None:
    """Return the trace id in `trace_parent`; None if it has none."""
    parts = trace_parent.split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    is_hex = all(map(_HEX.issuperset, parts[:4]))
    known = parts[1].strip("0") and parts[2].strip("0")
    return parts[1] if is_hex and parts[0] != "ff" and known else None
