"""gunicorn's parser of requests, with a short way for heads that are plainly right.

gunicorn looks at every byte of a head in Python, which takes longer than all else of
the parser. A head that is there as a whole and matches the grammar is taken apart by
one regular expression instead; any other one goes gunicorn's way, to be waited for or
refused. So nothing is accepted that gunicorn would refuse, and a test compares the two.
"""

from __future__ import annotations

import re

from gunicorn.asgi.parser import PythonProtocol

_FIELD = rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)\r\n"
_FIELDS = re.compile(_FIELD)
_HEAD = re.compile(rb"(?:" + re.sub(rb"[()]", rb"", _FIELD) + rb")*\r\n")


class RelayParser(PythonProtocol):  # type: ignore[misc]  # gunicorn has no types
    """Reads what its parent reads, to the same result."""

    _headers_list: list[tuple[bytes, bytes]]
    _header_count: int

    def _parse_headers(self) -> bool:
        # A head of which a part was looked at before is the parent's, or else one that
        # trickles would be looked at from its beginning for every byte.
        is_new = not self._headers_list and not self._scan_from
        head = _HEAD.match(self._buffer) if is_new else None
        if head is None or head.end() > self._limit_request_field_size:
            return bool(super()._parse_headers())
        fields = _FIELDS.findall(self._buffer, 0, head.end())
        if len(fields) > self._limit_request_fields:
            return bool(super()._parse_headers())
        self._headers_list = [
            (name.lower(), value.strip(b" \t")) for name, value in fields
        ]
        self._header_count = len(fields)
        del self._buffer[: head.end()]
        self._finalize_headers()
        return True
