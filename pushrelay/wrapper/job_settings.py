"""What a job that is written in Python says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from pushrelay.client import RelayClient
from pushrelay.errors import InvalidExpectation, InvalidRun, InvalidURL
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_fields import JOB, Fields, run_key
from pushrelay.shown import shown
from pushrelay.wrapper.host import host_name
from pushrelay.wrapper.reports import DEFAULT_URL

_MOST_ATTEMPTS = 2**31 - 1
_EXPECTATION = ["schedule", "on_calendar", "every", "grace", "tz"]
_EXPECTATION += ["min_interval", "max_runtime"]


class JobSettings:
    """The parameters of `run`, checked as far as they can be without a relay.

    key: the job and its labels.

    Raises ValueError.
    """

    def __init__(
        self,
        job: str,
        *,
        instance: str | None,
        labels: Mapping[str, str] | None,
        url: str | None,
        token: str | None,
        token_file: str | None,
        schedule: str | None,
        on_calendar: str | None,
        every: str | None,
        grace: str | None,
        tz: str | None,
        min_interval: str | None,
        max_runtime: str | None,
        report_timeout: float,
        report_traceback: bool,
        attempt: int,
    ) -> None:
        self.key = _key(job, instance, dict(labels or {}))
        self.url = url
        self.token = token
        self.token_file = token_file
        self.schedule = schedule
        self.on_calendar = on_calendar
        self.every = every
        self.grace = grace
        self.tz = tz
        self.min_interval = min_interval
        self.max_runtime = max_runtime
        self.report_timeout = report_timeout
        self.report_traceback = report_traceback
        self.attempt = attempt
        self._check_relay()
        self._check_expectation()
        self._check_numbers()

    @property
    def job(self) -> str:
        """The name of the job."""
        return self.key.job

    def _check_relay(self) -> None:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file: give one of them")
        try:
            RelayClient(DEFAULT_URL if self.url is None else self.url, token=self.token)
        except InvalidURL as error:
            name = "url" if self.token is None else "url and token"
            raise ValueError(f"{name}: {error}") from None

    def _check_expectation(self) -> None:
        given = {name: getattr(self, name) for name in _EXPECTATION}
        if all(value is None for value in given.values()):
            return
        # Other jobs need no schedules to be read.
        from pushrelay.expectation_documents import parse_expectation

        try:
            parse_expectation(given)
        except InvalidExpectation as error:
            raise ValueError(f"{error.field}: {error.problem}") from None

    def _check_numbers(self) -> None:
        if not (_is_a(float, self.report_timeout) and 0 <= self.report_timeout < inf):
            raise ValueError(
                "report_timeout: must be seconds from 0, not "
                f"{shown(self.report_timeout)}"
            )
        if not (_is_a(int, self.attempt) and 1 <= self.attempt <= _MOST_ATTEMPTS):
            raise ValueError(
                f"attempt: must be a whole number from 1, not {shown(self.attempt)}"
            )


def _key(job: Any, instance: Any, labels: dict[str, Any]) -> GroupingKey:
    host = host_name() if instance is None else instance
    try:
        name = Fields({"job": job}).need("job", JOB)
        if "job" in labels:
            raise InvalidRun("labels.job", "is the job; leave it out")
        all_labels = Fields({"instance": host, **labels}, "labels.")
        return run_key(name, all_labels, utf8_names=True)
    except InvalidRun as error:
        raise ValueError(str(error)) from None


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, (int, kind)) and not isinstance(value, bool)
