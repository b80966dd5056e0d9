"""What can go wrong, as one tree.

    PushrelayError
    ├── InvalidRequest            cannot be read; leaves no trace in the store
    │   ├── InvalidGroupingKey    the path of a push
    │   ├── InvalidLabels         labels that become equal once they are escaped
    │   ├── InvalidSelector       label matchers, with the column
    │   ├── InvalidDuration       a span of time
    │   ├── InvalidCronLine       the schedule of a job
    │   ├── InvalidCalendarExpression  the same, as systemd writes it
    │   ├── InvalidExpectation    what a job should do, with the field
    │   ├── InvalidRun            what is reported of a run, with the field
    │   ├── InvalidJSON           a body that should be a JSON object
    │   └── ParseError            the body of a push, with its line
    ├── LimitExceeded             readable, but larger than this relay takes
    ├── RunConflict               another run has the same id, or it ended otherwise
    ├── UnknownJob                nothing is known of the job that is asked about
    ├── RunTooOld                 a report so late that it might count twice
    ├── InconsistentPush          refused, and booked as a failure of its group
    ├── TooLargeToMerge           not on the writer's thread; nobody is told
    ├── IdempotencyConflict       another push has the same idempotency key
    ├── NotAuthenticated          nobody knows who asks
    ├── NotAllowed                who asks may not do this
    ├── TooManyFailures           secrets were guessed wrong too often
    ├── StoreUnavailable          the database does not answer; trying again may help
    │   └── Overloaded            more at once than this relay takes
    ├── InvalidRules              a file of job rules, with all that is wrong in it
    ├── InvalidToken              a token that cannot be as it was asked for
    ├── InvalidWebConfig          a web configuration file, with all that is wrong in it
    ├── Misuse                    the wrapper was called wrongly
    ├── InvalidURL                text that cannot be the URL of a relay
    ├── RelayUnavailable          a relay elsewhere does not answer, or cannot for now
    ├── RelayRefused              a relay elsewhere will not do what it was asked
    ├── BackupError               a backup that cannot be made or restored
    └── StartupError              the relay cannot start as it was configured

Errors carry neither HTTP statuses nor exit codes: `web.errors` and the command
line map them.
"""

from __future__ import annotations

# The wrapper reads this before it starts its command, so that nothing is imported here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pushrelay.problems import Problem


class PushrelayError(Exception):
    """Base of all errors that are shown to a person as they are.

    reason: a short word for the kind of error; rejections are counted by it.
    line: the line of the body that it is about, from 1; None if that is not known.
    job: of the report of a run that it is about; None if that is not known.
    """

    reason = "internal"
    line: int | None = None
    job: str | None = None


def internal(error: Exception) -> str:
    """Return what a person is told of an `error` that is a fault of ours."""
    return f"internal error: {type(error).__name__}: {error}"


class InvalidRequest(PushrelayError):
    """A request that cannot be read; nothing of it reaches the store."""

    reason = "invalid_request"


class InvalidGroupingKey(InvalidRequest):
    """A push URL whose path does not name a group."""

    reason = "invalid_grouping_key"


class InvalidLabels(InvalidRequest):
    """Labels of a series that no scraper could tell apart."""

    reason = "label"


class InvalidSelector(InvalidRequest):
    """Text that is no selector; `column` counts its characters from 1."""

    def __init__(self, selector: str, column: int, problem: str) -> None:
        super().__init__(f"invalid selector {selector}, column {column}: {problem}")
        self.column = column


class InvalidDuration(InvalidRequest):
    """Text that is no duration, or one that is too long to be one."""


class InvalidCronLine(InvalidRequest):
    """Text that is no cron line, or one that never comes round."""


class InvalidCalendarExpression(InvalidRequest):
    """Text that is no calendar expression, or one that cannot be met."""


class InvalidExpectation(InvalidRequest):
    """An expectation that cannot be understood or met.

    field: where the problem is, empty if it is the whole. problem: a sentence about it.
    """

    def __init__(self, field: str, problem: str) -> None:
        where = f"expectation.{field}" if field else "expectation"
        super().__init__(f"{where}: {problem}")
        self.field = field
        self.problem = problem


class InvalidRun(InvalidRequest):
    """A report of a run that cannot be understood; as for InvalidExpectation."""

    reason = "invalid_run"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field or 'run'}: {problem}")
        self.field = field
        self.problem = problem


class InvalidJSON(InvalidRequest):
    """A body that is no JSON object; the text says why, without a subject."""

    reason = "invalid_body"


class ParseError(InvalidRequest):
    """A body that is not in the format it claims, with its `line`."""

    reason = "invalid_body"

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"text format parsing error in line {line}: {message}")
        self.line = line


class LimitExceeded(PushrelayError):
    """A request larger than a limit; `limit` names the setting that was hit."""

    reason = "limit"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class RunConflict(PushrelayError):
    """A report with the id of another run, or of an end that was reported otherwise."""

    reason = "run_conflict"


class UnknownJob(PushrelayError):
    """A job that never ran and of which nothing is expected."""

    reason = "unknown_job"


class RunTooOld(PushrelayError):
    """A report of a run from longer ago than ids of runs are remembered."""

    reason = "run_too_old"


REFUSAL = "pushed metrics are invalid or inconsistent with existing metrics: "
"""How the Pushgateway begins to say that it refuses a push it could read."""


class InconsistentPush(PushrelayError):
    """A push that would make the exposition illegal, for at least one of `problems`.
    The text begins as the Pushgateway's does; the first problem gives the reason."""

    def __init__(self, problems: list[Problem]) -> None:
        if len(problems) == 1:
            text = problems[0].detail
        else:
            lines = "".join(f"* {problem.detail}\n" for problem in problems)
            text = f"{len(problems)} error(s) occurred:\n{lines}"
        super().__init__(REFUSAL + text)
        self.reason = problems[0].reason
        self.problems = problems


class TooLargeToMerge(PushrelayError):
    """A push that would keep the writer for too long; it is merged beside it."""

    reason = "limit"


class IdempotencyConflict(PushrelayError):
    """An idempotency key that came with another body before."""

    reason = "idempotency_key"


class NotAuthenticated(PushrelayError):
    """A request whose sender is not known, but must be.

    scheme: that of the credentials which came with it and are wrong; empty if none did.
    """

    reason = "not_authenticated"

    def __init__(self, message: str, scheme: str = "") -> None:
        super().__init__(message)
        self.scheme = scheme


class NotAllowed(PushrelayError):
    """A request whose sender may not do this; the text says what was missing."""

    reason = "not_allowed"


class TooManyFailures(PushrelayError):
    """Credentials from where wrong ones came too often; they were not looked at. They
    may come again after so many `seconds`."""

    reason = "too_many_failures"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "too many wrong passwords or tokens came from this address; try again in "
            f"{seconds} s"
        )
        self.seconds = seconds


class StoreUnavailable(PushrelayError):
    """The database could not take or give what was asked; the outcome of a write
    that raises this may be unknown, so that pushing again is always right."""

    reason = "store_unavailable"


class Overloaded(StoreUnavailable):
    """More at once than this relay takes; `limit` names the setting that was hit.
    Nothing was done."""

    reason = "overloaded"

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class InvalidRules(PushrelayError):
    """A file of job rules that cannot be used; `problems` are lines for a person, each
    with the place in the file."""

    reason = "invalid_rules"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class InvalidToken(PushrelayError):
    """A token that cannot be made or found as asked for. Its text is not told."""


class InvalidWebConfig(PushrelayError):
    """A web configuration file that cannot be used; `problems` as of InvalidRules."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Misuse(PushrelayError):
    """A command line of `pushrelay exec` that cannot be followed."""


class InvalidURL(PushrelayError):
    """Text that cannot be the URL of a relay, or a token that cannot go with it.
    Neither a password nor a token is in the message."""


class RelayUnavailable(PushrelayError):
    """A relay elsewhere that does not answer, or not with what was asked. Whether a
    write was done may be unknown; trying again may help.

    status: of the answer; None if there was none, or none of a relay.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RelayRefused(PushrelayError):
    """The answer of a relay elsewhere that it will not do what it was asked.

    status: of the answer. problem: the problem document (RFC 9457) it came with; of one
    that came as text, just the `detail`.
    """

    def __init__(self, message: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem


class BackupError(PushrelayError):
    """A backup that cannot be made, or not be restored; the text says what to do."""


class StartupError(PushrelayError):
    """The relay cannot start; the text says what to change."""
