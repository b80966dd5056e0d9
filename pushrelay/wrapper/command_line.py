"""Reads the command line of `pushrelay exec`."""

from __future__ import annotations

from pushrelay.errors import Misuse
from pushrelay.wrapper.options import TABLE, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from pushrelay.wrapper.options import Option

_HELP = ("-h", "--help")
_NEEDS = {
    "retry_delay": ("retries",),
    "kill_after": ("timeout", "reap"),
    "lock_file": ("lock",),
    "grace": ("schedule", "on_calendar", "every"),
    "tz": ("schedule", "on_calendar"),
}


def read_command_line(
    arguments: list[str], environ: Mapping[str, str]
) -> Options | None:
    """Return what `arguments`, those behind `exec`, ask for; None if it is help.

    Options end at the first word that is none, or behind `--`. Raises Misuse.
    """
    by_name = {f"--{option.name}": option for option in TABLE}
    given: dict[str, Any] = {}
    words = iter(arguments)
    command: list[str] = []
    for word in words:
        if word in _HELP:
            return None
        if word == "--":
            break
        if word == "-" or not word.startswith("-"):
            command = [word]
            break
        name, equals, written = word.partition("=")
        if name not in by_name:
            raise Misuse(f"there is no option {name}; see pushrelay exec --help")
        option = by_name[name]
        if option.is_flag and equals:
            raise Misuse(f"{name} takes no value")
        if not (option.is_flag or equals):
            written = _value(name, words)
        _take(given, option, option.value_of(written))
    command.extend(words)
    return checked_options(command, _with_variables(given, environ))


def checked_options(command: list[str], given: Mapping[str, Any]) -> Options:
    """Return the options that are `given` by their parameters, for `command`.

    Raises Misuse.
    """
    if not command or not command[0]:
        raise Misuse(
            "no command is given; write pushrelay exec [OPTIONS] -- COMMAND [ARG...]"
        )
    planned = [name for name in ("schedule", "on_calendar", "every") if name in given]
    if len(planned) > 1:
        raise Misuse(
            f"{_dashed(planned[0])} and {_dashed(planned[1])} are one too many"
        )
    for name, needed in _NEEDS.items():
        if name in given and given.keys().isdisjoint(needed):
            others = " or ".join(map(_dashed, needed))
            raise Misuse(f"{_dashed(name)} is of no use without {others}")
    names = [name for name, _ in given.get("label", ())]
    for name in names:
        if names.count(name) > 1:
            raise Misuse(f"the label {name} is given more than once")
    if "instance" in given and "instance" in names:
        raise Misuse("--label instance=... and --instance are one too many")
    return Options(command, given)


def _take(given: dict[str, Any], option: Option, value: Any) -> None:
    parameter = option.parameter
    if option.multiple:
        given.setdefault(parameter, []).append(value)
    elif parameter in given:
        raise Misuse(f"--{option.name} is given more than once")
    else:
        given[parameter] = value


def _with_variables(
    given: dict[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is given, by the environment too where nothing else says it."""
    for option in TABLE:
        # Environments may have a variable without a name.
        written = environ.get(option.variable) if option.variable else None
        if written and option.parameter not in given:
            given[option.parameter] = option.value_of(written)
    return given


def _value(name: str, words: Iterator[str]) -> str:
    for word in words:
        return word
    raise Misuse(f"{name} needs a value")


def _dashed(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")
