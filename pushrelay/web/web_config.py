"""The web configuration file: TLS, users, headers and the rate of requests, in the
format that all servers of Prometheus share, so that a Pushgateway's file works here.

It is read as strictly as theirs is. What this relay does otherwise is noted for the
log, where that is no less safe, and is a problem elsewhere.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from yaml import Node

from pushrelay.errors import InvalidWebConfig
from pushrelay.web.basic_users import SLOW_COST, PasswordHash, parse_hash
from pushrelay.web.rate_limit import Rate
from pushrelay.web.tls import make_context
from pushrelay.web.tls_settings import TLSReader
from pushrelay.web.watched_files import UnreadableFile, WatchedFiles
from pushrelay.web.yaml_tables import (
    NoYAML,
    Problems,
    WrongValue,
    YamlTable,
    flag_of,
    listed,
    read_yaml,
    text_of,
    whole_number_of,
)

CONTENT_SECURITY_POLICY = "Content-Security-Policy"

_SECTIONS = (
    *("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"),
)
_HEADERS: dict[str, tuple[str, ...]] = {
    CONTENT_SECURITY_POLICY: (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Those that may be set, with the values that they may have, if not any."""

_PRINTABLE = re.compile(r"[ -~]*")

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|μs|ms|s|m|h))+")
_TERM = re.compile(r"([0-9.]+)(\D+)")
_UNITS = {
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6},
    **{"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0},
}


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says.

    users: by name. headers: of every answer. rate: of all requests; None for any.
    notes: where the file is not followed, for the log.
    """

    tls: ssl.SSLContext | None = None
    users: dict[str, PasswordHash] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    rate: Rate | None = None
    notes: tuple[str, ...] = ()


def read_web_config(path: Path, files: WatchedFiles | None = None) -> WebConfig:
    """Return what the file at `path` says; it and those that it names are read with
    `files`.

    Raises InvalidWebConfig with all that is wrong with it, or with a file it names.
    """
    problems = Problems(str(path))
    try:
        config = _read(path, problems, files or WatchedFiles())
    except NoYAML as error:
        problems.note(error.line, str(error))
    except UnreadableFile as error:
        raise InvalidWebConfig([str(error)]) from error
    if problems.found:
        raise InvalidWebConfig(problems.lines())
    return config


def _read(path: Path, problems: Problems, files: WatchedFiles) -> WebConfig:
    content = files.read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NoYAML(line, "it is not UTF-8") from None
    table = read_yaml(text, problems)
    table.refuse_all_but(_SECTIONS)
    notes: list[str] = []
    tls = _tls(table.table("tls_server_config"), path.parent, files, notes)
    users = _users(table.table("basic_auth_users"), notes)
    headers = _http(table.table("http_server_config"))
    rate = _rate(table.table("rate_limit"))
    return WebConfig(tls, users, headers, rate, tuple(notes))


def _tls(
    table: YamlTable, directory: Path, files: WatchedFiles, notes: list[str]
) -> ssl.SSLContext | None:
    settings = TLSReader(table, directory, files, notes).read()
    if settings is None:
        return None
    try:
        return make_context(settings)
    except WrongValue as error:
        table.refuse("", str(error))
        return None


def _users(table: YamlTable, notes: list[str]) -> dict[str, PasswordHash]:
    users = {}
    for name in table:
        if not _is_unicode(name):
            table.refuse(name, "has half a character in it")
        elif name not in table:
            table.refuse(name, "has no hash of a password")
        elif found := table.read(name, _hash):
            users[name] = found
            if found.cost > SLOW_COST:
                notes.append(
                    f"the password of the user {name} is hashed with cost "
                    f"{found.cost}: to check it takes seconds"
                )
    return users


def _is_unicode(text: str) -> bool:
    # YAML can write halves of pairs, of which UTF-8 knows nothing.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _hash(node: Node) -> PasswordHash:
    return parse_hash(text_of(node))


def _http(table: YamlTable) -> tuple[tuple[str, str], ...]:
    table.refuse_all_but(["http2", "headers"])
    # HTTP/2 is spoken by no client that has no HTTP/1.1.
    table.read("http2", flag_of)
    headers = table.table("headers")
    headers.refuse_all_but(_HEADERS)
    read = [(name, headers.read(name, _header(name))) for name in _HEADERS]
    return tuple((name, value) for name, value in read if value)


def _header(name: str) -> Callable[[Node], str]:
    allowed = _HEADERS[name]

    def convert(node: Node) -> str:
        value = text_of(node).strip()
        if not _PRINTABLE.fullmatch(value):
            raise WrongValue("must be one line of ASCII")
        if value and allowed and value not in allowed:
            raise WrongValue(f"must be {listed(allowed)}")
        return value

    return convert


def _rate(table: YamlTable) -> Rate | None:
    table.refuse_all_but(["interval", "burst"])
    interval = table.read("interval", _interval)
    burst = table.read("burst", whole_number_of) or 0
    if not interval:
        return None
    if burst < 1:
        table.refuse("burst", "must be 1 or more, or every request is refused")
    return Rate(interval, burst)


def _interval(node: Node) -> float:
    """Return the seconds that a duration of Go stands for."""
    written = text_of(node)
    if written == "0":
        return 0.0
    if not _DURATION.fullmatch(written):
        raise WrongValue("must be a duration, such as 10ms, 0.5s or 1m; or 0 for none")
    return sum(float(number) * _UNITS[unit] for number, unit in _TERM.findall(written))
