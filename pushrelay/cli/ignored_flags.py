"""Flags of the Pushgateway that `pushrelay serve` takes and has no use for."""

from __future__ import annotations

import logging

import click

from pushrelay.cli.options import Decorated, option

log = logging.getLogger("pushrelay")

_DECLARED = (
    option(
        "--persistence.file",
        "persistence_file",
        default="",
        metavar="FILE",
        help="Accepted for compatibility and ignored: see --database.url.",
    ),
    option(
        "--persistence.interval",
        "persistence_interval",
        default="5m0s",
        metavar="DURATION",
        help="Accepted for compatibility and ignored: every push is on disk at once.",
    ),
    option(
        "--push.disable-consistency-check/--no-push.disable-consistency-check",
        "unchecked",
        help="Accepted for compatibility and ignored: pushes are always checked.",
    ),
)

_WHY = {
    "persistence_file": "groups are kept in the database at --database.url; the "
    "Pushgateway's file is not read",
    "persistence_interval": "every acknowledged push is on disk already",
    "unchecked": "every push is checked, at a cost that follows its own size, and is "
    "answered with 200 once it is on disk",
}


def ignored_flags(command: Decorated) -> Decorated:
    """Declare them."""
    for declare in reversed(_DECLARED):
        command = declare(command)
    return command


def warn_about_ignored_flags(context: click.Context) -> None:
    """Say of each that was given why it changes nothing."""
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name in _WHY and source is not click.core.ParameterSource.DEFAULT:
            log.warning("%s is ignored: %s", parameter.opts[0], _WHY[name])
