"""Escaping of names outside of the legacy character set, as a scraper asks for it.

The schemes are those of the parameter `escaping` in `Accept` and `Content-Type`
(Prometheus' "UTF-8 support": content negotiation).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

from pushrelay.model import is_legacy_label_name, is_legacy_metric_name

_CACHED_NAME_CHARACTERS = 256
_ILLEGAL_IN_METRIC_NAME = re.compile(r"^[0-9]|[^a-zA-Z0-9_:]")
_ILLEGAL_IN_LABEL_NAME = re.compile(r"^[0-9]|[^a-zA-Z0-9_]")


class Escaping(Enum):
    """How a scraper wants names that need escaping; the values are the words of the
    protocol."""

    UNDERSCORES = "underscores"
    DOTS = "dots"
    VALUES = "values"
    ALLOW_UTF8 = "allow-utf-8"


def escape_metric_name(name: str, scheme: Escaping) -> str:
    """Return the metric `name` as `scheme` shows it.

    Legacy names are never changed, and none is with ALLOW_UTF8. Distinct names may
    become equal, except with VALUES.
    """
    if scheme is Escaping.ALLOW_UTF8 or is_legacy_metric_name(name):
        return name
    return _escape(name, _ILLEGAL_IN_METRIC_NAME, scheme)


def escape_label_name(name: str, scheme: Escaping) -> str:
    """Return the label `name` as `scheme` shows it; like a metric name, except that
    a colon needs escaping."""
    if scheme is Escaping.ALLOW_UTF8 or is_legacy_label_name(name):
        return name
    return _escape(name, _ILLEGAL_IN_LABEL_NAME, scheme)


def _escape(name: str, illegal: re.Pattern[str], scheme: Escaping) -> str:
    if len(name) <= _CACHED_NAME_CHARACTERS:
        return _escape_cached(name, illegal, scheme)
    return _SCHEMES[scheme](name, illegal)


@lru_cache(maxsize=4096)
def _escape_cached(name: str, illegal: re.Pattern[str], scheme: Escaping) -> str:
    return _SCHEMES[scheme](name, illegal)


def _underscores(name: str, illegal: re.Pattern[str]) -> str:
    return illegal.sub("_", name)


def _dots(name: str, illegal: re.Pattern[str]) -> str:
    return illegal.sub(_dots_replacement, name.replace("_", "__"))


def _dots_replacement(match: re.Match[str]) -> str:
    return "_dot_" if match[0] == "." else "__"


def _values(name: str, illegal: re.Pattern[str]) -> str:
    # Nothing is escaped in an empty name, not even that it is one.
    return "U__" + illegal.sub(_code_point, name.replace("_", "__")) if name else name


def _code_point(match: re.Match[str]) -> str:
    code = ord(match[0])
    # What was not UTF-8 (PEP 383) has no code point; Go shows it as U+FFFD.
    return "_FFFD_" if 0xD800 <= code <= 0xDFFF else f"_{code:x}_"


_SCHEMES: dict[Escaping, Callable[[str, re.Pattern[str]], str]] = {
    Escaping.UNDERSCORES: _underscores,
    Escaping.DOTS: _dots,
    Escaping.VALUES: _values,
}
