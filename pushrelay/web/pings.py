"""Pings: what shells say of runs, and the forms in which they say it."""

from __future__ import annotations

from pushrelay.config import Settings
from pushrelay.errors import InvalidRequest
from pushrelay.pings import parse_ping
from pushrelay.quoting import quote
from pushrelay.relay import Relay
from pushrelay.run_fields import about_job
from pushrelay.web.answers import answer
from pushrelay.web.bodies import Bodies
from pushrelay.web.exchange import TEXT, Exchange, Handlers
from pushrelay.web.parameters import pairs_of
from pushrelay.web.reports import Reports, data_of
from pushrelay.writes import Reported

_FORM = "application/x-www-form-urlencoded"


class Pings:
    """Handles pings.

    Raises what `Runs` raises.
    """

    def __init__(
        self, settings: Settings, relay: Relay, bodies: Bodies, reports: Reports
    ) -> None:
        self._limits = settings.limits
        self._utf8_names = settings.utf8_names
        self._relay = relay
        self._bodies = bodies
        self._reports = reports

    @property
    def handlers(self) -> Handlers:
        """The handlers by name."""
        return {"ping": self.take}

    async def take(self, exchange: Exchange, _rest: str) -> None:
        """Store what the query string and a form say of a run."""
        now = self._relay.now()
        form = await read_form(exchange, self._bodies, self._limits.target_bytes)
        fields = pairs_of(form, errors="surrogateescape")
        report = parse_ping(fields, now, utf8_names=self._utf8_names)
        with about_job(report.run.key.job):
            reported = await self._reports.take(exchange, report, now)
        if exchange.prefers_json:
            await answer(exchange, data_of(reported))
        else:
            await exchange.answer(200, _text(reported), TEXT)


async def read_form(exchange: Exchange, bodies: Bodies, limit: int) -> str:
    """Return the query string of a request and the form in its body as one, which may
    have bytes that are not UTF-8 as surrogate escapes.

    limit: bytes that the form may have. Raises InvalidRequest and what reading a body
    raises.
    """
    body = await bodies.use(exchange, limit, bytes.strip, is_quick=True)
    _check_content_type(exchange.header("content-type"), body)
    written = b"&".join(filter(None, (exchange.query.encode("latin-1"), body)))
    return written.decode(errors="surrogateescape")


def _check_content_type(content_type: str | None, body: bytes) -> None:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if body and kind not in ("", _FORM):
        raise InvalidRequest(
            f"the body is {quote(kind[:100])}; write parameters in the query string, "
            f"or as `curl -d job=x` sends them, with `Content-Type: {_FORM}`"
        )


def _text(reported: Reported) -> bytes:
    """Return what a person at a terminal is told."""
    lines = ["OK", *(f"warning: {warning}" for warning in reported.warnings)]
    return "".join(f"{line}\n" for line in lines).encode()
