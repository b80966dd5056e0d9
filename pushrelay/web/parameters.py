"""The parameters of a request: what stands behind the `?` of its target."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar
from urllib.parse import parse_qsl

from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidDuration, InvalidRequest
from pushrelay.matchers import Selector
from pushrelay.quoting import quote
from pushrelay.selector_parser import parse_selector
from pushrelay.shards import MOST_SHARDS, Shard

MOST_PARAMETERS = 1000

MOST_MATCHERS = 100
"""In all selectors of a request, since each group may be asked about each of them."""

Choice = TypeVar("Choice", bound=Enum)

_NUMBER = re.compile(r"[0-9]{1,9}")
_FLAGS = {"1": True, "true": True, "": True, "0": False, "false": False}


def named_duration(name: str, written: str) -> int:
    """Return the duration that `written` is, in nanoseconds; raises InvalidDuration,
    which says that it is that of `name`."""
    try:
        return parse_duration(written)
    except InvalidDuration as error:
        raise InvalidDuration(f"the {name}: {error}") from None


def pairs_of(written: str, *, errors: str = "replace") -> list[tuple[str, str]]:
    """Return the names and values of a query string, or of a form.

    errors: what becomes of bytes that are not UTF-8. Raises InvalidRequest.
    """
    try:
        return parse_qsl(
            written,
            keep_blank_values=True,
            errors=errors,
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise InvalidRequest(
            f"the query string has more than {MOST_PARAMETERS} parameters"
        ) from None


class Parameters:
    """The parameters of a query string, percent-encoded as it came.

    Parameters that nobody asks for are ignored, as the Pushgateway ignores all. All
    methods raise InvalidRequest for values that are not what they should be.
    """

    def __init__(self, query: str) -> None:
        self._values: dict[str, list[str]] = {}
        if not query:
            return
        for name, value in pairs_of(query):
            self._values.setdefault(name, []).append(value)

    def require_known(self, *names: str) -> None:
        """Refuse parameters other than `names`. For requests that would mean something
        else without one that is misspelt."""
        for name in self._values:
            if name not in names:
                raise InvalidRequest(
                    f"unknown parameter {quote(name)}; what can be given here is "
                    + (", ".join(names) or "nothing")
                )

    def require_none_of(self, *names: str) -> None:
        """Refuse the parameters `names`, which mean something elsewhere."""
        for name in names:
            if name in self._values:
                raise InvalidRequest(
                    f"the parameter {name} is not for this path, and nothing is done "
                    "without it; see DELETE /api/v1/groups"
                )

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
        return None if value is None else named_duration(f"parameter {name}", value)

    def number(self, name: str, most: int, least: int = 1) -> int | None:
        """Return the whole number `name`, from `least` to `most`."""
        value = self.one(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
            raise InvalidRequest(
                f"the parameter {name} is {quote(value)}; "
                f"write a whole number from {least} to {most}"
            )
        return int(value)

    def shards(self) -> int | None:
        """Return how many shards there are."""
        return self.number("shards", MOST_SHARDS)

    def shard(self) -> Shard | None:
        """Return the shard that is asked for."""
        of = self.shards()
        if of is None and not self.all("shard"):
            return None
        number = self.number("shard", (of or MOST_SHARDS) - 1, least=0)
        if of is None or number is None:
            raise InvalidRequest(
                "shard and shards go together: write shard=0&shards=4 for the first of "
                "four"
            )
        return Shard(number, of)

    def choice(self, name: str, kinds: type[Choice]) -> Choice | None:
        """Return which of `kinds` the value of `name` is."""
        value = self.one(name)
        if value is None:
            return None
        for kind in kinds:
            if kind.value == value:
                return kind
        written = " or ".join(str(kind.value) for kind in kinds)
        raise InvalidRequest(f"the parameter {name} is {quote(value)}; write {written}")

    def selectors(self, *, of_series: bool = False) -> list[Selector]:
        """Return the values of `match[]`: groups, or series, that any of them matches
        are meant.

        May take some hundred milliseconds if there are many regular expressions.
        """
        selectors: list[Selector] = []
        for value in self.all("match[]"):
            selectors.append(
                parse_selector(value, of_series=of_series, needs_braces=True)
            )
            if sum(len(selector.matchers) for selector in selectors) > MOST_MATCHERS:
                raise InvalidRequest(
                    f"the selectors have more than {MOST_MATCHERS} matchers in all"
                )
        return selectors
