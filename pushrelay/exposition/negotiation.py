"""Which format a pushed body is in, and which format an answer gets.

No header is an error: one that makes no sense, or is far longer than any that does, is
as good as none, and with none it is the text format 0.0.4 in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, wraps
from typing import TypeVar

from pushrelay.exposition.escaping import Escaping

_Answer = TypeVar("_Answer")

_CONTENT_TYPE_CHARACTERS = 1000
_ACCEPT_CHARACTERS = 8000
_CACHED_HEADER_CHARACTERS = 1024
_PROTOBUF = "application/vnd.google.protobuf"
_MESSAGE = "io.prometheus.client.MetricFamily"
_TEXT_VERSION = "0.0.4"
_ESCAPINGS = {escaping.value: escaping for escaping in Escaping}

# Quantifiers are possessive: a header that does not match costs no second try.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105  # of RFC 9110
_MEDIA_TYPE = re.compile(rf"\s*+({_TOKEN}/{_TOKEN})\s*+")
_PARAMETER = re.compile(
    rf'\s*+;\s*+({_TOKEN})\s*+=\s*+(?:({_TOKEN})|"((?:[^"\\\r\n]|\\.)*+)")'
)
_END_OF_PARAMETERS = re.compile(r"\s*+;?+\s*+")
_QUALITY = re.compile(r"[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++")


class PushFormat(Enum):
    """The format of a pushed body."""

    TEXT = "text"
    PROTOBUF = "protobuf"


class FormatKind(Enum):
    """The formats of a scrape; the values are their content types but for the
    escaping."""

    TEXT = f"text/plain; version={_TEXT_VERSION}; charset=utf-8"
    PROTOBUF_DELIMITED = f"{_PROTOBUF}; proto={_MESSAGE}; encoding=delimited"
    PROTOBUF_TEXT = f"{_PROTOBUF}; proto={_MESSAGE}; encoding=text"
    PROTOBUF_COMPACT = f"{_PROTOBUF}; proto={_MESSAGE}; encoding=compact-text"


@dataclass(frozen=True, slots=True)
class ScrapeFormat:
    """What a scraper asked for, as far as the relay has it."""

    kind: FormatKind
    escaping: Escaping

    @property
    def content_type(self) -> str:
        """The header `Content-Type` of the answer."""
        return f"{self.kind.value}; escaping={self.escaping.value}"


PROBLEM_JSON = "application/problem+json"
_JSON = ("application/json", PROBLEM_JSON)
_TEXT = ("text/plain", "text/*", "*/*")

_PROTOBUF_KINDS = {
    "delimited": FormatKind.PROTOBUF_DELIMITED,
    "text": FormatKind.PROTOBUF_TEXT,
    "compact-text": FormatKind.PROTOBUF_COMPACT,
}


def _remembered(
    most: int,
) -> Callable[[Callable[[str], _Answer]], Callable[[str | None], _Answer]]:
    """Cache what a function makes of a header; there are few kinds of clients. A header
    that is absent (None), or longer than `most`, is as good as an empty one."""

    def remember(decide: Callable[[str], _Answer]) -> Callable[[str | None], _Answer]:
        cached = lru_cache(maxsize=256)(decide)

        @wraps(decide)
        def decide_cached(header: str | None) -> _Answer:
            if header is None or len(header) > most:
                return cached("")
            if len(header) > _CACHED_HEADER_CHARACTERS:
                return decide(header)
            return cached(header)

        return decide_cached

    return remember


@_remembered(most=_CONTENT_TYPE_CHARACTERS)
def push_format(content_type: str) -> PushFormat:
    """Return the format of a body with the header `Content-Type`.

    It is protobuf only if the type and both parameters say so, and nothing in the
    header is malformed.
    """
    media_type, parameters = _parse_content_type(content_type)
    if (
        media_type == _PROTOBUF
        and parameters.get("encoding") == "delimited"
        and parameters.get("proto") == _MESSAGE
    ):
        return PushFormat.PROTOBUF
    return PushFormat.TEXT


def _parse_content_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the type and the parameters, names in lower case; an empty type if the
    header is malformed."""
    match = _MEDIA_TYPE.match(header)
    if match is None:
        return "", {}
    media_type, end = match[1].lower(), match.end()
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, end):
        name, value = match[1].lower(), match[2] or match[3] or ""
        if parameters.setdefault(name, value) != value:
            return "", {}
        end = match.end()
    if _END_OF_PARAMETERS.fullmatch(header, end) is None:
        return "", {}
    return media_type, parameters


@_remembered(most=_ACCEPT_CHARACTERS)
def negotiate(accept: str) -> ScrapeFormat:
    """Return the best format that the header `Accept` asks for, or text.

    The escaping is that of the chosen entry, or else of the last better one that has
    any: Prometheus also names it with formats that the relay does not have.
    """
    escaping = Escaping.UNDERSCORES
    for media_type, parameters in _by_quality(accept):
        escaping = _ESCAPINGS.get(parameters.get("escaping", ""), escaping)
        kind = _kind(media_type, parameters)
        if kind is not None:
            return ScrapeFormat(kind, escaping)
    return ScrapeFormat(FormatKind.TEXT, escaping)


def _kind(media_type: str, parameters: dict[str, str]) -> FormatKind | None:
    if media_type == _PROTOBUF and parameters.get("proto") == _MESSAGE:
        return _PROTOBUF_KINDS.get(parameters.get("encoding", ""))
    if media_type == "text/plain" and parameters.get("version", "") in (
        "",
        _TEXT_VERSION,
    ):
        return FormatKind.TEXT
    return None


@_remembered(most=_ACCEPT_CHARACTERS)
def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header `Accept-Encoding` names gzip; `*` is not enough."""
    return any(coding == "gzip" for coding, _ in _by_quality(accept_encoding))


@_remembered(most=_ACCEPT_CHARACTERS)
def prefers_json(accept: str) -> bool:
    """Whether the header `Accept` names JSON, and no text before it that is as good; a
    wildcard is as good as text."""
    for media_type, _ in _by_quality(accept):
        if media_type in _JSON:
            return True
        if media_type in _TEXT:
            return False
    return False


def _by_quality(header: str) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of an `Accept` header with their parameters, best first; the
    ones of quality zero are not acceptable and left out."""
    entries = []
    for entry in header.split(","):
        value, *parts = entry.split(";")
        parameters = dict(map(_accept_parameter, parts))
        quality = _quality(parameters.get("q", "1"))
        if quality > 0:
            entries.append((quality, value.strip().lower(), parameters))
    entries.sort(key=lambda entry: -entry[0])
    return [(value, parameters) for _, value, parameters in entries]


def _accept_parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _quality(text: str) -> float:
    return float(text) if _QUALITY.fullmatch(text) else 0.0
