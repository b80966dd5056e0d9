"""The options of `pushrelay exec`: one table, for the wrapper and for its help.

The wrapper reads its command line by this table itself, for click alone would take
longer than the rest of its start; so that nothing else is imported here.
"""

from __future__ import annotations

from pushrelay.errors import Misuse
from pushrelay.wrapper.option_values import (
    any_text,
    duration,
    exit_codes,
    label,
    one_of,
    retries,
    tail_size,
    text,
    time_limit,
    written_duration,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_SECOND = 10**9


class Option:
    """An option and what it means.

    name: without its dashes. convert: see `option_values`; None for a flag. default:
    the value where it is not given. variable: of the environment, which stands for the
    option.
    """

    __slots__ = (
        "_convert",
        "default",
        "help",
        "metavar",
        "multiple",
        "name",
        "variable",
    )

    def __init__(
        self,
        name: str,
        metavar: str,
        convert: Callable[[str], Any] | None,
        help: str,
        *,
        default: Any = None,
        variable: str | None = None,
        multiple: bool = False,
    ) -> None:
        self.name = name
        self.metavar = metavar
        self._convert = convert
        self.help = help
        self.default = default
        self.variable = variable
        self.multiple = multiple

    @property
    def parameter(self) -> str:
        """The name of its attribute in Options."""
        return self.name.replace("-", "_")

    @property
    def choices(self) -> list[str]:
        """All that may be written, if that is little."""
        return self.metavar.split("|") if "|" in self.metavar else []

    @property
    def is_flag(self) -> bool:
        """Whether it has no value, and is True where it is given."""
        return self._convert is None

    def value_of(self, written: str) -> Any:
        """Return the value that is `written`. Raises Misuse."""
        try:
            return True if self._convert is None else self._convert(written)
        except ValueError as error:
            raise Misuse(f"--{self.name} {error}") from None


class Options:
    """What the wrapper was told: each option by its name, with underscores.

    Durations are nanoseconds. command: the words of the command, at least one.
    """

    command: list[str]
    job: str | None
    instance: str | None
    label: Sequence[tuple[str, str]]
    url: str | None
    token_file: str | None
    hide_token: bool
    schedule: str | None
    on_calendar: str | None
    every: str | None
    grace: str | None
    tz: str | None
    min_interval: str | None
    max_runtime: str | None
    timeout: int | None
    kill_after: int
    reap: str | None
    lock: str | None
    lock_file: str | None
    retries: int
    retry_delay: int
    jitter: int
    success_codes: frozenset[int]
    quiet_unless_failed: bool
    output_tail: int
    textfile: str | None
    report_timeout: int
    require_report: bool
    quiet: bool
    dry_run: bool

    def __init__(self, command: list[str], given: Mapping[str, Any]) -> None:
        self.command = command
        for option in TABLE:
            value = given.get(option.parameter)
            setattr(self, option.parameter, option.default if value is None else value)


TABLE = (
    Option("job", "JOB", text, "Name of the job; the command's base name by default."),
    Option(
        "instance",
        "NAME",
        any_text,
        "The label instance; this host's name by default. Empty for a job that belongs "
        "to no host.",
    ),
    Option(
        "label",
        "NAME=VALUE",
        label,
        "Another label; may be repeated.",
        default=(),
        multiple=True,
    ),
    Option(
        "url",
        "URL",
        text,
        "The relay: http://[USER:PASSWORD@]HOST:PORT[/PREFIX], or https. "
        "http://localhost:9091 by default, unless --textfile is given.",
        variable="PUSHRELAY_URL",
    ),
    Option(
        "token-file",
        "FILE",
        text,
        "File with the token for the relay; PUSHRELAY_TOKEN is the token itself.",
        variable="PUSHRELAY_TOKEN_FILE",
    ),
    Option(
        "hide-token",
        "",
        None,
        "Remove PUSHRELAY_TOKEN from the command's environment.",
        default=False,
    ),
    Option("schedule", "CRON", text, "When it should run, as a cron line."),
    Option(
        "on-calendar",
        "EXPRESSION",
        text,
        "When it should run, as in a systemd timer.",
    ),
    Option("every", "DURATION", written_duration, "How often it should run, as in 1h."),
    Option(
        "grace",
        "DURATION",
        written_duration,
        "How late it may begin; 5m by default.",
    ),
    Option(
        "tz",
        "ZONE",
        text,
        "Time zone of --schedule and --on-calendar; that of this host by default.",
    ),
    Option(
        "min-interval",
        "DURATION",
        written_duration,
        "How soon the next run may begin.",
    ),
    Option(
        "max-runtime",
        "DURATION",
        written_duration,
        "How long it may take; then the run counts as abandoned. Ends nothing.",
    ),
    Option(
        "timeout",
        "DURATION",
        time_limit,
        "How long the command may run; then it and all it started get SIGTERM, and the "
        "exit status is 124.",
    ),
    Option(
        "kill-after",
        "DURATION",
        duration,
        "How much later SIGKILL follows, with --timeout and --reap; 10s by default. "
        "The exit status is then 137.",
        default=10 * _SECOND,
    ),
    Option(
        "reap",
        "wait|kill",
        one_of("wait", "kill"),
        "Wait for processes that the command leaves behind, or end them.",
    ),
    Option(
        "lock",
        "skip|wait|fail",
        one_of("skip", "wait", "fail"),
        "Run only one at a time on this host. If one runs: skip this run (exit status "
        "0), wait for its turn, or fail (exit status 75).",
    ),
    Option("lock-file", "FILE", text, "The file to lock; by default one for the job."),
    Option(
        "retries",
        "N",
        retries,
        "How many times to run it again if it fails.",
        default=0,
    ),
    Option(
        "retry-delay",
        "DURATION",
        duration,
        "How long to wait before a retry; 10s by default.",
        default=10 * _SECOND,
    ),
    Option(
        "jitter",
        "DURATION",
        duration,
        "Wait a random time, up to this long, before it runs.",
        default=0,
    ),
    Option(
        "success-codes",
        "CODES",
        exit_codes,
        "Exit codes that count as success, as in 0,3-5. The exit status does not "
        "change.",
        default=frozenset({0}),
    ),
    Option(
        "quiet-unless-failed",
        "",
        None,
        "Hold back what the command writes, and show it only if it failed.",
        default=False,
    ),
    Option(
        "output-tail",
        "SIZE",
        tail_size,
        "Report the last bytes of its output, up to 10kB of each stream.",
        default=0,
    ),
    Option(
        "textfile",
        "DIR",
        text,
        "Write the results to a file for node_exporter in this directory.",
    ),
    Option(
        "report-timeout",
        "DURATION",
        duration,
        "How long the report may delay the exit; 5s by default.",
        default=5 * _SECOND,
    ),
    Option(
        "require-report",
        "",
        None,
        "Exit with 75 if the command succeeded and its report was not delivered.",
        default=False,
    ),
    Option(
        "quiet",
        "",
        None,
        "Say nothing about the run on standard error.",
        default=False,
    ),
    Option(
        "dry-run",
        "",
        None,
        "Say what would be done and reported, and do nothing.",
        default=False,
    ),
)
