"""The manual page, from what the commands say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from textwrap import wrap

import click

from pushrelay import __version__

FILES = (
    (
        "data/pushrelay.db",
        "The database of `pushrelay serve`, unless --database.url says otherwise.",
    ),
    (
        "PREFIX/share/pushrelay/",
        "Rules for Prometheus, dashboards for Grafana, and examples for Alertmanager, "
        "cron and systemd. PREFIX is the directory whose bin has pushrelay in it.",
    ),
)

ESCAPES = {
    "\\": r"\e",
    # What stands for a mark of typography where it is not escaped.
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
}


def manual(group: click.Group) -> str:
    """Return the page of `group` and all commands below it, for man."""
    context = click.Context(group, info_name="pushrelay", **group.context_settings)
    what = str(group.help).rstrip(".")
    lines = [
        '.\\" Written by `make docs`.',
        f'.TH PUSHRELAY 1 "" "pushrelay {__version__}" "User Commands"',
        *(".SH NAME", rf"pushrelay \- {escaped(what[0].lower() + what[1:])}"),
        *(".SH SYNOPSIS", ".B pushrelay", *usage(context)),
        ".SH OPTIONS",
        *options(context, group.get_params(context)),
        ".SH COMMANDS",
        *(line for each in contexts_below(context) for line in section(each)),
        ".SH FILES",
        *(line for name, text in FILES for line in item(name, text)),
    ]
    return "\n".join(lines) + "\n"


def contexts_below(context: click.Context) -> Iterator[click.Context]:
    """Yield the contexts of all commands below that of `context`, each group before
    its own."""
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            if command := group.get_command(context, name):
                below = click.Context(command, info_name=name, parent=context)
                yield below
                yield from contexts_below(below)


def section(context: click.Context) -> Iterator[str]:
    """Yield what the page says of one command."""
    yield f".SS {escaped(context.command_path)}"
    yield f".B {escaped(context.command_path)}"
    yield from usage(context)
    for paragraph in cleandoc(str(context.command.help)).split("\n\n"):
        yield from (".PP", *filled(paragraph))
    # Each has --help, too.
    yield from options(context, context.command.params)


def usage(context: click.Context) -> list[str]:
    return filled(" ".join(context.command.collect_usage_pieces(context)))


def options(context: click.Context, parameters: list[click.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        # The usage has arguments.
        if record and isinstance(parameter, click.Option):
            yield from item(*record)


def item(name: str, text: str) -> list[str]:
    return [".TP", f".B {escaped(name)}", *filled(text)]


def filled(text: str) -> list[str]:
    """Return the lines for running text; none of them is a request."""
    words = re.sub(r"\s+", " ", text)
    lines = wrap(words, 80, break_long_words=False, break_on_hyphens=False)
    return [escaped(line) for line in lines]


def escaped(line: str) -> str:
    """Return a line that looks as `line` does, in roff's own language."""
    written = "".join(ESCAPES.get(character, character) for character in line)
    return f"\\&{written}" if written.startswith(".") else written
