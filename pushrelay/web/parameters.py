"""The parameters of a request: what stands behind the `?` of its target."""

from __future__ import annotations

from urllib.parse import parse_qsl

from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidRequest
from pushrelay.matchers import Selector, parse_selector
from pushrelay.quoting import quote

MOST_PARAMETERS = 1000

_FLAGS = {"1": True, "true": True, "": True, "0": False, "false": False}


class Parameters:
    """The parameters of a query string, percent-encoded as it came.

    Parameters that nobody asks for are ignored, as the Pushgateway ignores all. All
    methods raise InvalidRequest for values that are not what they should be.
    """

    def __init__(self, query: str) -> None:
        self._values: dict[str, list[str]] = {}
        if not query:
            return
        try:
            pairs = parse_qsl(
                query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS
            )
        except ValueError:
            raise InvalidRequest(
                f"the query string has more than {MOST_PARAMETERS} parameters"
            ) from None
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        """Return all values of `name`."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """Return the value of `name`, which must not come twice."""
        values = self.all(name)
        if len(values) > 1:
            raise InvalidRequest(f"the parameter {name} is given more than once")
        return values[0] if values else None

    def flag(self, name: str) -> bool:
        """Return whether `name` is switched on: `1`, `true` or without a value."""
        value = self.one(name)
        if value is None:
            return False
        if value not in _FLAGS:
            raise InvalidRequest(
                f"the parameter {name} is {quote(value)}; write 1, true, 0 or false"
            )
        return _FLAGS[value]

    def duration(self, name: str) -> int | None:
        """Return the duration `name` in nanoseconds."""
        value = self.one(name)
        return None if value is None else parse_duration(value)

    def selectors(self) -> list[Selector]:
        """Return the values of `match[]`: groups that any of them matches are meant."""
        return [parse_selector(value) for value in self.all("match[]")]
