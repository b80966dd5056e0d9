"""What the commands share that talk to a relay.

They exit with 0 when all was done, with 1 when it was refused, with 2 when they were
called wrongly, and with 3 when no relay answered or it could not for now.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import click

from pushrelay.cli.options import Decorated, option, plain_option
from pushrelay.client import ANSWER_SECONDS, MOST_BYTES, RelayClient
from pushrelay.errors import InvalidURL, PushrelayError, RelayRefused, RelayUnavailable
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import is_utf8
from pushrelay.wrapper.tokens import read_token

_LONG_SECONDS = 300.0
"""How long a relay may take for what changes many groups; its own limit."""

_LONG_BYTES = 1024 * 1024 * 1024
"""How much may be answered of all groups."""

_SHOWN_GROUPS = 20

_TOKEN_FILE = "pushrelay.token_file"  # noqa: S105  # where its path is noted

_url = option(
    "--url",
    "url",
    default="http://localhost:9091",
    metavar="URL",
    help="The relay: http://[USER:PASSWORD@]HOST:PORT[/PREFIX], or https.",
)


def _note_token_file(
    context: click.Context, _option: click.Parameter, file: str | None
) -> None:
    context.meta[_TOKEN_FILE] = file


_token_file = option(
    "--token-file",
    expose_value=False,
    callback=_note_token_file,
    metavar="FILE",
    help="File with the token for the relay; PUSHRELAY_TOKEN is the token itself.",
)


def relay_url(command: Decorated) -> Decorated:
    """Declare `--url`, and `--token-file` for `given_token`."""
    return _url(_token_file(command))


def given_token() -> str | None:
    """Return the token for the relay, which is not on the command line, where others
    see it; None for none. Raises click.UsageError."""
    file = click.get_current_context().meta.get(_TOKEN_FILE)
    try:
        token = read_token(file, os.environ)
    except OSError as error:
        raise click.UsageError(f"--token-file {file}: {error.strerror}") from error
    if file is not None and token is None:
        raise click.UsageError(f"--token-file {file} is empty; write the token into it")
    return token


dry_run = plain_option(
    "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
)

yes = plain_option("--yes", is_flag=True, help="Do not ask.")


def _in_braces(
    _context: click.Context, _option: click.Parameter, written: tuple[str, ...]
) -> tuple[str, ...]:
    # The relay wants the braces, which a shell's user may leave out.
    return tuple(
        [text if "{" in text.partition('"')[0] else f"{{{text}}}" for text in written]
    )


match = plain_option(
    "--match",
    "selectors",
    multiple=True,
    callback=_in_braces,
    metavar="SELECTOR",
    help='Groups whose labels match, as in \'{job=~"a.*",instance="b"}\'; given more '
    "than once, groups that match any of them.",
)

older_than = plain_option(
    "--older-than",
    metavar="DURATION",
    help="Groups that had no push, accepted or refused, for this long, as in 7d.",
)


class Unavailable(click.ClickException):
    """The relay did not do it, but may do it later."""

    exit_code = 3


def grouping_options(required: bool) -> Callable[[Decorated], Decorated]:
    """Declare `--job` and `--label`, which name one group."""
    job = plain_option(
        "--job", required=required, metavar="JOB", help="Job of the group."
    )
    label = plain_option(
        "--label",
        "labels",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another label of the group; may be repeated.",
    )
    return lambda command: job(label(command))


def grouping_key(job: str, labels: Iterable[str]) -> GroupingKey:
    """Return the key that `--job` and `--label` name. Raises click.UsageError."""
    pairs = {"job": job}
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--label {label} is not NAME=VALUE")
        if name in pairs:
            raise click.UsageError(f"the label {name} is given more than once")
        pairs[name] = value
    if not all(map(is_utf8, [*pairs, *pairs.values()])):
        raise click.UsageError("the job and the labels must be UTF-8")
    return GroupingKey.of(pairs)


@contextmanager
def connected(
    url: str, *, many: bool = False, is_ours: bool = True
) -> Iterator[RelayClient]:
    """Yield a client of the relay at `url`, and turn what goes wrong into the error
    that click reports with the right exit code.

    many: whether it is for what has to do with all groups at once, which takes long.
    is_ours: whether it is the one that the token is for.
    """
    seconds = _LONG_SECONDS if many else ANSWER_SECONDS
    most = _LONG_BYTES if many else MOST_BYTES
    token = given_token() if is_ours else None
    try:
        with RelayClient(
            url, token=token, answer_seconds=seconds, most_bytes=most
        ) as relay:
            yield relay
    except InvalidURL as error:
        raise click.UsageError(str(error)) from error
    except RelayUnavailable as error:
        raise Unavailable(str(error)) from error
    except PushrelayError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def told_as(
    pattern: str, words: str | Callable[[re.Match[str]], str]
) -> Iterator[None]:
    """Let a refusal say `words` where the relay says what first matches `pattern`, for
    it speaks of its API and not of commands."""
    try:
        yield
    except RelayRefused as error:
        told = re.sub(pattern, words, str(error), count=1)
        raise RelayRefused(told, error.status, error.problem) from error


def query(parameters: Mapping[str, Any]) -> str:
    """Return the query string of the `parameters` that say something, with its `?`;
    lists are parameters that repeat."""
    said = {name: value for name, value in parameters.items() if value}
    return "?" + urlencode(said, doseq=True, errors="surrogateescape") if said else ""


def job_target(job: str) -> str:
    """Return the path of `job` below the relay's URL. Raises click.UsageError."""
    if not job:
        raise click.UsageError("the job must have a name")
    # Servers clean dots away as they do in file names.
    escaped = quote(job, safe="", errors="surrogateescape").replace(".", "%2E")
    return f"/api/v1/jobs/{escaped}"


def require_yes(given: bool) -> None:
    """Raise click.UsageError unless `--yes` is given or someone can be asked."""
    if not given and not sys.stdin.isatty():
        raise click.UsageError(
            "nobody can be asked, for standard input is no terminal; look with "
            "--dry-run, then give --yes"
        )


def show_groups(groups: list[dict[str, str]]) -> None:
    """Print the labels of the first of `groups`, and how many more there are."""
    for labels in groups[:_SHOWN_GROUPS]:
        click.echo(f"  {GroupingKey.of(labels)}")
    if len(groups) > _SHOWN_GROUPS:
        click.echo(f"  and {len(groups) - _SHOWN_GROUPS} more")


def counted(number: int) -> str:
    """Return `number` of groups in words."""
    return f"{number:,} group" + ("" if number == 1 else "s")
