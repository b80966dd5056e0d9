"""What a request asks of a push beyond its path and its body."""

from __future__ import annotations

from dataclasses import dataclass

from pushrelay.aggregation import Mode
from pushrelay.errors import InvalidDuration, InvalidRequest
from pushrelay.quoting import quote
from pushrelay.web.exchange import Exchange
from pushrelay.web.parameters import named_duration

LONGEST_IDEMPOTENCY_KEY = 255

_POST_MODES = {mode.value: mode for mode in Mode if mode is not Mode.REPLACE}


@dataclass(frozen=True, slots=True)
class PushRequest:
    """How a push wants to be taken.

    mode: None where the request names none. stale_after: nanoseconds.
    """

    replaces: bool = False
    mode: Mode | None = None
    stale_after: int | None = None
    idempotency_key: str | None = None
    dry_run: bool = False

    def mode_under(self, rule: Mode | None) -> Mode:
        """Return the mode of the push where `rule` is what POST usually means."""
        if self.replaces:
            return Mode.REPLACE
        return self.mode or rule or Mode.UPDATE


_PUT, _POST = PushRequest(replaces=True), PushRequest()


def push_request(exchange: Exchange) -> PushRequest:
    """Return what `exchange` asks for. Raises InvalidRequest."""
    replaces = exchange.method == "PUT"
    key = exchange.header("idempotency-key")
    mode = exchange.header("x-pushrelay-mode")
    stale_after = exchange.header("x-pushrelay-stale-after")
    # As nearly always.
    if not exchange.query and key is mode is stale_after is None:
        return _PUT if replaces else _POST
    parameters = exchange.parameters
    mode = _either("mode", parameters.one("mode"), "X-Pushrelay-Mode", mode)
    stale_after = _either(
        "stale_after",
        parameters.one("stale_after"),
        "X-Pushrelay-Stale-After",
        stale_after,
    )
    return PushRequest(
        replaces,
        None if mode is None else _mode(mode, replaces),
        None if stale_after is None else _stale_after(stale_after),
        None if key is None else _idempotency_key(key),
        parameters.flag("dry_run"),
    )


def _either(
    name: str, parameter: str | None, header: str, value: str | None
) -> str | None:
    """Return what one of the two says, or both."""
    if None not in (parameter, value) and parameter != value:
        raise InvalidRequest(
            f"the parameter {name} is {quote(parameter or '')}, the header {header} is "
            f"{quote(value or '')}; give one of them"
        )
    return parameter if value is None else value


def _stale_after(written: str) -> int:
    name = "parameter stale_after, or the header X-Pushrelay-Stale-After"
    stale_after = named_duration(name, written)
    if not stale_after:
        raise InvalidDuration(
            f"the {name}: it must be longer than 0; for never, leave it out"
        )
    return stale_after


def _mode(written: str, replaces: bool) -> Mode | None:
    if replaces:
        if written == Mode.REPLACE.value:
            return None
        raise InvalidRequest(
            f"PUT always replaces the group; for the mode {quote(written)} use POST"
        )
    if written not in _POST_MODES:
        known = ", ".join(_POST_MODES)
        raise InvalidRequest(
            f"unknown mode {quote(written)}; POST takes {known}, and PUT replaces"
        )
    return _POST_MODES[written]


def _idempotency_key(written: str) -> str:
    if not 0 < len(written) <= LONGEST_IDEMPOTENCY_KEY:
        raise InvalidRequest(
            f"an Idempotency-Key has 1 to {LONGEST_IDEMPOTENCY_KEY} bytes, and this "
            f"one {len(written)}"
        )
    return written
