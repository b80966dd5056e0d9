"""JSON objects, read so that nothing in them is lost or guessed."""

from __future__ import annotations

from codecs import BOM_UTF8
from decimal import Decimal, InvalidOperation
from json import JSONDecodeError, JSONDecoder, scanner
from typing import Any

from pushrelay.errors import InvalidJSON
from pushrelay.shown import shown

_LARGE = 1 << 20


def parse_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in `body`, which must be UTF-8.

    Numbers are Decimal, exactly as they are written. Raises InvalidJSON, also for what
    other readers let through: NaN, Infinity, and a name twice in one object. Text may
    hold lone surrogates, which JSON can write.
    """
    try:
        decoder = _LARGE_DECODER if len(body) > _LARGE else _DECODER
        value = decoder.decode(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"is not UTF-8 at byte {error.start + 1}") from None
    except JSONDecodeError as error:
        problem = error.msg.removesuffix(" at")
        raise InvalidJSON(
            f"is not JSON, line {error.lineno}, column {error.colno}: {problem}"
        ) from None
    except RecursionError:
        raise InvalidJSON("is nested too deeply") from None
    if not isinstance(value, dict):
        raise InvalidJSON(f"must be a JSON object, not {shown(value)}")
    return value


def _number(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:  # more digits in the exponent than any number needs
        raise InvalidJSON(f"has a number out of bounds: {shown(written)}") from None


def _refuse_constant(written: str) -> object:
    raise InvalidJSON(f"is not JSON: {written} is no number there")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidJSON(f"has {shown(name)} twice in one object")
        members[name] = value
    return members


def _decoder() -> JSONDecoder:
    return JSONDecoder(
        parse_int=_number,
        parse_float=_number,
        parse_constant=_refuse_constant,
        object_pairs_hook=_object,
    )


_DECODER = _decoder()
# The usual scanner, in C, holds the interpreter until it has read a whole object, which
# with millions of names stops all other threads for seconds. The types of the standard
# library know neither of the two names.
_SCANNERS: Any = scanner
_LARGE_DECODER: Any = _decoder()
_LARGE_DECODER.scan_once = _SCANNERS.py_make_scanner(_LARGE_DECODER)
