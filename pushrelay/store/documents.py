"""What rows hold as compact JSON, exactly: whole numbers of any size, any text."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

# JSON in UTF-8 has no lone surrogates, but text from JSON may; this is how Python reads
# them again.
_ANY_TEXT = "surrogatepass"
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def pack(value: object) -> bytes:
    """Return `value`, of what JSON knows, as JSON."""
    return _JSON.encode(value).encode(errors=_ANY_TEXT)


def unpack(packed: bytes) -> Any:
    """Return what was packed, arrays as lists."""
    return json.loads(packed.decode(errors=_ANY_TEXT))


def fields_of(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, without those that are None.

    Values that are the default are written too, for defaults may change.
    """
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if value is not None}
