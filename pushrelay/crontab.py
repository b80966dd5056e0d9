"""Crontabs whose commands are put behind `pushrelay exec`.

All but what is put in stays as it is, byte for byte; text here is what
`surrogateescape` made of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pushrelay.cron_line import parse_cron_line
from pushrelay.cron_programs import CRON_PATH, user_before
from pushrelay.errors import InvalidCronLine
from pushrelay.schedule import zone_of
from pushrelay.shell_lists import fails_by_a_test, hides_failures
from pushrelay.shell_words import is_simple, program_of, quoted
from pushrelay.shown import shown

_DEFAULT_SHELL = "/bin/sh"
_SHELL = re.compile(r"/(?:[\w.+-]+/)*(?:sh|dash|bash|ash|ksh|ksh93|mksh|zsh)", re.ASCII)
_HAS_PIPEFAIL = re.compile("bash|ksh|zsh")
_PLAIN_SHELL = re.compile(r".*/(?:sh|dash|ash)")
_BASH = re.compile(r".*/bash")

_MOST_BYTES = 998
"""Debian's cron refuses a whole crontab if one of its commands has more."""

_BLANK = re.compile(r"[ \t]*(?:#.*)?")
_ENVIRONMENT = re.compile(
    r"""[ \t]*(?:"([^"]*)"|'([^']*)'|([^\s=]+))[ \t]*=[ \t]*(.*)"""
)
_TIME = r"[ \t]*(?P<time>@[^ \t]+|[^ \t@][^ \t]*(?:[ \t]+[^ \t]+){4})[ \t]+"
_COMMAND = r"(?P<command>[^ \t].*)"
_OF_A_USER = re.compile(_TIME + _COMMAND)
_OF_THE_SYSTEM = re.compile(_TIME + r"[^ \t]+[ \t]+" + _COMMAND)

_COMMAND_LINE = re.compile(r"(?:\\.|[^%\\]|\\$)*")
"""A command up to the first percent sign, behind which its standard input is."""

_EXEC = re.compile(r"(?:^|[\s/;&|('\"])pushrelay['\"]?[ \t]+exec(?![\w-])")
_KNOWS_ITS_RELAY = re.compile(r"PUSHRELAY_URL=|--(?:url|textfile)[ =]")
_JOB = re.compile(r"--job[ =]['\"]?([^\s'\"]+)")
_PLAIN = re.compile(r"[\w./+-]+")


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person should know of the line `line`, from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line whose command can be put behind `pushrelay exec`.

    before, command, stdin: the parts of the line. schedule, tz: what exec is told of
    it, None for nothing. shell: the program that cron gives the command to. program:
    the word for pushrelay.
    """

    before: str
    command: str
    stdin: str
    schedule: str | None
    tz: str | None
    shell: str
    program: str


class _Unclear(Exception):
    """A line that is left as it is; the text says why."""


def adopt(
    crontab: str,
    *,
    program: Callable[[str], str] = lambda _: "pushrelay",
    system: bool = False,
    host_zone: str | None = None,
) -> tuple[str, list[Remark]]:
    """Return `crontab` with each command behind `pushrelay exec`, and remarks on what
    was left as it is or needs a look. What is behind it already stays.

    program: returns what stands for `pushrelay` where PATH is what it is given.
    system: whether lines name a user before the command. host_zone: the time zone of
    this machine, None if that is not known.
    """
    reader = _Reader(program, system, host_zone)
    lines = crontab.split("\n")
    entries = dict(reader.entries(lines))
    names = _Names(lines)
    for number, entry in entries.items():
        adopted = _adopted(entry, names)
        if _is_too_long(adopted, lines[number - 1], entry):
            reader.remark(
                number,
                f"with pushrelay exec the command has more than {_MOST_BYTES} bytes, "
                "which cron may refuse; put the command into a script",
            )
            continue
        lines[number - 1] = adopted
        for text in _misleading(entry):
            reader.remark(number, text)
    return "\n".join(lines), sorted(reader.remarks, key=lambda remark: remark.line)


class _Reader:
    """Reads the lines of a crontab, and keeps what environment lines say."""

    def __init__(
        self, program: Callable[[str], str], system: bool, host_zone: str | None
    ) -> None:
        self.remarks: list[Remark] = []
        self._program_on = program
        self._system = system
        self._host_zone = host_zone
        self._environment: dict[str, str] = {}
        self._misses_a_relay = False

    def entries(self, lines: Iterable[str]) -> Iterator[tuple[int, _Entry]]:
        """Yield what can be put behind `pushrelay exec`, with its line."""
        for number, line in enumerate(lines, 1):
            if _BLANK.fullmatch(line):
                continue
            if setting := _ENVIRONMENT.fullmatch(line):
                self._set(number, setting)
                continue
            try:
                entry = self._entry(line)
            except _Unclear as reason:
                self.remark(number, f"left as it is: {reason}")
                continue
            if entry is not None or self._is_done(line):
                self._look_for_a_relay(number, line)
            if entry is not None:
                yield number, entry

    def remark(self, number: int, text: str) -> None:
        self.remarks.append(Remark(number, text))

    def _look_for_a_relay(self, number: int, line: str) -> None:
        """Make a remark on the first job that is not told where to report."""
        is_told = self._environment.get("PUSHRELAY_URL") or _KNOWS_ITS_RELAY.search(
            line
        )
        if is_told or self._misses_a_relay:
            return
        self._misses_a_relay = True
        self.remark(
            number,
            "PUSHRELAY_URL is not set above: jobs report to http://localhost:9091; for "
            "another relay, put PUSHRELAY_URL=http://HOST:9091 at the top",
        )

    def _set(self, number: int, setting: re.Match[str]) -> None:
        name = next(each for each in setting.groups()[:3] if each is not None)
        value = setting[4].rstrip(" \t")
        if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]:
            value = value[1:-1]
        self._environment[name] = value
        if name != "CRON_TZ" or not value:
            return
        if zone_of(value) is None:
            self.remark(number, f"CRON_TZ: {shown(value)} is no time zone known here")
        else:
            self.remark(
                number,
                "CRON_TZ: cronie starts commands by it, but Debian's cron does not; "
                "with the latter, remove it",
            )

    def _entry(self, line: str) -> _Entry | None:
        """Return the entry that `line` is; None if it needs nothing."""
        kind = _OF_THE_SYSTEM if self._system else _OF_A_USER
        found = kind.fullmatch(line)
        if not found:
            wanted = (
                "a time, a user and a command"
                if self._system
                else ("a time and a command")
            )
            raise _Unclear(f"there must be {wanted}")
        text = found["command"]
        if not self._system and (user := user_before(text, self._path())):
            raise _Unclear(
                f"{shown(user)} is a user here; if the line is to run a command as "
                "that user, give --system"
            )
        up_to_stdin = _COMMAND_LINE.match(text)
        command = up_to_stdin[0] if up_to_stdin else ""
        name = program_of(_as_shells_see(command))
        if self._is_done(command) or name == "pushrelay":
            return None
        if not name:
            raise _Unclear("there is no command")
        shell = self._environment.get("SHELL", _DEFAULT_SHELL)
        if not _SHELL.fullmatch(shell):
            raise _Unclear(
                f"what its SHELL, {shown(shell)}, takes is not known here; put "
                "pushrelay exec before the command by hand"
            )
        if _BASH.fullmatch(shell) and self._environment.get("BASH_ENV"):
            raise _Unclear(
                "behind pushrelay exec, bash would read the file of BASH_ENV twice; if "
                "it may, put pushrelay exec before the command by hand"
            )
        return _Entry(
            before=line[: found.start("command")],
            command=command,
            stdin=text[len(command) :],
            schedule=_schedule(found["time"]),
            tz=self._tz(),
            shell=shell,
            program=self._program(),
        )

    def _path(self) -> str:
        return self._environment.get("PATH", CRON_PATH)

    def _program(self) -> str:
        """Return the word for pushrelay where PATH is what it is now."""
        program = self._program_on(self._path())
        word = program if _PLAIN.fullmatch(program) else quoted(program)
        return word.replace("%", r"\%")

    def _is_done(self, command: str) -> bool:
        return bool(_EXEC.search(command)) or f"{self._program()} exec " in command

    def _tz(self) -> str | None:
        named = self._environment.get("CRON_TZ")
        if named and zone_of(named) is not None:
            return named
        # No cron starts commands by TZ, but the commands see it, and so does exec.
        return self._host_zone if "TZ" in self._environment else None


class _Names:
    """Gives names to jobs, each of them once."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._taken = {
            name
            for line in lines
            if not _BLANK.fullmatch(line)
            for name in _JOB.findall(line)
        }

    def name(self, command: str) -> str:
        """Return a new name for what runs `command`."""
        program = program_of(_as_shells_see(command))
        kept = [c if c.isalnum() or c in "._" else "-" for c in program]
        base = name = "".join(kept).strip("-.") or "job"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name


def _adopted(entry: _Entry, names: _Names) -> str:
    words = [entry.program, "exec", "--job", names.name(entry.command)]
    if entry.schedule is not None:
        words += ["--schedule", entry.schedule]
        if entry.tz is not None:
            words += ["--tz", entry.tz]
    # Where cron makes one backslash of two, words are not what they seem to be.
    is_clear = r"\\" not in entry.command and is_simple(entry.command)
    # Others than these may read a file first that says what a name stands for, and run
    # scripts without an interpreter in their first line themselves.
    if is_clear and _PLAIN_SHELL.fullmatch(entry.shell):
        words += ["--", entry.command]
    else:
        words += ["--", entry.shell, "-c", quoted(entry.command)]
    return entry.before + " ".join(words) + entry.stdin


def _misleading(entry: _Entry) -> Iterator[str]:
    """Yield why the outcome on the record may not be what one takes it for."""
    command = _as_shells_see(entry.command)
    if hides_failures(command):
        shell = (
            "" if _HAS_PIPEFAIL.search(entry.shell) else "SHELL=/bin/bash above and "
        )
        yield (
            "only the last command of a pipe says whether the job failed; with "
            f"{shell}set -o pipefail; before the command, all of them do"
        )
    if fails_by_a_test(command):
        yield (
            "whenever the test is false, the job counts as failed; write "
            "[ ! ... ] || in place of [ ... ] &&, or use if"
        )


def _schedule(time: str) -> str | None:
    """Return `time` as a word for `--schedule`; None if it has no schedule."""
    if time == "@reboot":
        return None
    # A dash before a line keeps cronie from logging it.
    text = " ".join(time.removeprefix("-").split())
    try:
        parse_cron_line(text)
    except InvalidCronLine as error:
        raise _Unclear(str(error)) from None
    return text if text.startswith("@") else quoted(text)


def _as_shells_see(command: str) -> str:
    return command.replace(r"\%", "%")


def _is_too_long(adopted: str, line: str, entry: _Entry) -> bool:
    before = len(entry.before)
    return _bytes(line[before:]) <= _MOST_BYTES < _bytes(adopted[before:])


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
