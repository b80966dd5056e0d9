"""Brings reports of runs to a relay."""

from __future__ import annotations

from pushrelay.client import RelayClient
from pushrelay.errors import RelayRefused
from pushrelay.wrapper.reports import Report

_NOT_OF_THE_DOCUMENT = frozenset({401, 403, 404, 405, 407, 421})
"""Refusals that mending the URL, the token or the relay may end."""


class Delivery:
    """Brings reports to the relay at `url`.

    token: for `Authorization: Bearer`; None for none. connect_seconds, answer_seconds:
        as for RelayClient.

    Raises InvalidURL.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        connect_seconds: float = 5.0,
        answer_seconds: float = 5.0,
    ) -> None:
        raise NotImplementedError

    def deliver(self, report: Report, *, spooled: bool = False) -> list[str]:
        """Report it, and return what the relay has to say of it, as sentences for a
        person: warnings, and what is wrong with its metrics.

        spooled: whether it comes from the spool, which the relay counts.

        Raises RelayUnavailable, and RelayRefused, of which `is_final` tells more.
        """
        raise NotImplementedError


def is_final(refusal: RelayRefused) -> bool:
    """Return whether the relay will never take what it refused."""
    return refusal.status not in _NOT_OF_THE_DOCUMENT
