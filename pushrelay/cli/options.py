"""Options that several commands share, and how options behave here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import click

from pushrelay.config import Limits
from pushrelay.runs import LARGEST_TAIL

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class OnceOption(click.Option):
    """An option that is an error when it is given twice, as the Pushgateway's are.

    click would silently take the last one.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        if self.multiple:
            return
        for name in (*self.opts, *self.secondary_opts):
            known = parser._long_opt.get(name) or parser._short_opt.get(name)
            if known is not None:
                known.process = self._once(known.process)

    def _once(self, process: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def process_once(value: Any, state: Any) -> None:
            if self.name in state.opts:
                raise click.UsageError(f"flag '{self.opts[0]}' cannot be repeated")
            process(value, state)

        return process_once


def option(*declarations: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """Declare an option that has an environment variable of its own.

    The variable is PUSHRELAY_ and the option's name in capitals, unless `envvar` says
    otherwise.
    """
    name = declarations[0].split("/")[0].lstrip("-")
    variable = "PUSHRELAY_" + name.upper().replace(".", "_").replace("-", "_")
    defaults = {"envvar": variable, "show_envvar": True}
    return plain_option(*declarations, **{**defaults, **attributes})


def plain_option(
    *declarations: str, **attributes: Any
) -> Callable[[Decorated], Decorated]:
    """Declare an option that only the command line gives: of one call, not of all."""
    defaults = {"cls": OnceOption, "show_default": True}
    return click.option(*declarations, **{**defaults, **attributes})


database_url = option(
    "--database.url",
    "database_url",
    default="sqlite:///data/pushrelay.db",
    metavar="URL",
    help="The database: sqlite:///FILE, relative to the working directory, "
    "or postgresql://USER:PASSWORD@HOST/DATABASE.",
)

utf8_names = option(
    "--push.enable-utf8-names/--no-push.enable-utf8-names",
    "utf8_names",
    help="Take any UTF-8 string as metric or label name.",
)


LIMIT_HELP = {
    "body_bytes": "Largest body of a push, decompressed.",
    "series": "Most series in one push.",
    "groups": "Most groups in one push to several.",
    "labels": "Most labels of a series.",
    "label_value_bytes": "Longest value of a label.",
    "target_bytes": "Longest path and query of a request.",
    "idle_seconds": "Longest wait for a request's next byte.",
    "request_seconds": "Longest wait for a whole request, or for its answer's end.",
    "write_seconds": "Longest wait for the database to take a push.",
    "requests": "Most requests that are served at once, plus as many scrapes.",
    "connections": "Most open connections; idle ones are closed to make room.",
    "slow_readers": "Most answers that wait for their clients to read on.",
    "incoming_bytes": "Most memory for incoming requests of all clients.",
    "queued_writes": "Most writes that wait for the database.",
    "queued_bytes": "Most bytes of series in writes that wait for the database.",
    "stored_groups": "Most groups that are stored.",
    "stored_series": "Most series that all groups have together.",
    "stored_bytes": "Most bytes that the text of all groups takes together.",
    "job_groups": "Most groups of a job.",
    "job_series": "Most series that the groups of a job have together.",
    "database_bytes": "Size of the database from which on nothing new is added.",
    "run_output_bytes": "Bytes that are kept from the end of each output of a run.",
}


_RANGES = {"run_output_bytes": click.IntRange(min=0, max=LARGEST_TAIL)}


def limits(command: Decorated) -> Decorated:
    """Declare `--limit.<name>` for each limit, as the parameter `limit_<name>`."""
    for field in reversed(fields(Limits)):
        decorate = option(
            f"--limit.{field.name.replace('_', '-')}",
            f"limit_{field.name}",
            type=_RANGES.get(field.name)
            or (
                click.FloatRange(min=0.001)
                if field.name.endswith("_seconds")
                else click.IntRange(min=1)
            ),
            default=field.default,
            metavar="SECONDS" if field.name.endswith("_seconds") else "N",
            help=LIMIT_HELP[field.name],
        )
        command = decorate(command)
    return command


def flag_values(command: click.Command, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the flags of `command`, by name without dashes, with values as text."""
    return {
        parameter.opts[0].lstrip("-"): _text(values[parameter.name])
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name in values
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
