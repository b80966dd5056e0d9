"""What a job that is written in Python says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from os import PathLike
from typing import Any

from pushrelay.client import RelayClient
from pushrelay.errors import InvalidExpectation, InvalidRun, InvalidURL
from pushrelay.grouping_key import GroupingKey
from pushrelay.run_fields import JOB, Fields, run_key
from pushrelay.shown import shown
from pushrelay.wrapper.host import host_name
from pushrelay.wrapper.reports import DEFAULT_URL

_MOST_ATTEMPTS = 2**31 - 1


class JobSettings:
    """The parameters of `run`, checked as far as they can be without a relay.

    key: the job and its labels. expected: its EXPECTATION_FIELDS.

    Raises ValueError.
    """

    def __init__(
        self,
        key: GroupingKey,
        *,
        url: str | None,
        token: str | None,
        token_file: str | None,
        expected: Mapping[str, str | None],
        report_timeout: float,
        report_traceback: bool,
        attempt: int,
    ) -> None:
        self.key = key
        self.url = url
        self.token = token
        self.token_file = token_file
        self.expected = expected
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
        if self.token_file is not None and not _is_path(self.token_file):
            raise ValueError(
                f"token_file: must be the path of a file, not {shown(self.token_file)}"
            )
        try:
            RelayClient(DEFAULT_URL if self.url is None else self.url, token=self.token)
        except InvalidURL as error:
            name = "url" if self.token is None else "url and token"
            raise ValueError(f"{name}: {error}") from None

    def _check_expectation(self) -> None:
        if all(value is None for value in self.expected.values()):
            return
        # Other jobs need no schedules to be read.
        from pushrelay.expectation_documents import parse_expectation

        try:
            parse_expectation(self.expected)
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


def job_key(job: Any, instance: Any, labels: Mapping[str, Any]) -> GroupingKey:
    """Return the job and its labels, with that of this host as `instance` if it is
    None. Raises ValueError."""
    host = host_name() if instance is None else instance
    try:
        name = Fields({"job": job}).need("job", JOB)
        if "job" in labels:
            raise InvalidRun("labels.job", "is the job; leave it out")
        all_labels = Fields({"instance": host, **labels}, "labels.")
        return run_key(name, all_labels, utf8_names=True)
    except InvalidRun as error:
        raise ValueError(str(error)) from None


def _is_path(value: object) -> bool:
    return isinstance(value, PathLike) or (isinstance(value, str) and "\0" not in value)


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, (int, kind)) and not isinstance(value, bool)
