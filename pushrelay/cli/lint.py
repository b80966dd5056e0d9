"""`pushrelay lint`: judge a body before it is pushed."""

from __future__ import annotations

import json

import click

from pushrelay.cli.options import option, utf8_names
from pushrelay.config import Limits
from pushrelay.lint import Finding, Severity
from pushrelay.lint import lint as lint_body


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@utf8_names
@option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar=None,
    show_envvar=False,
    help="How findings are printed: a line for each, or a JSON list of all.",
)
@click.pass_context
def lint(context: click.Context, /, file: str, utf8_names: bool, output: str) -> None:
    """Check metrics in the text format. "-" is standard input.

    Errors are what a relay would refuse, whatever it holds; warnings are those of
    `promtool check metrics`. Exits with 1 if there are errors, else with 0.
    """
    with click.open_file(file, "rb") as stream:
        # More than a relay takes need not be read.
        body = stream.read(Limits().body_bytes + 1)
    findings = lint_body(body, utf8_names=utf8_names)
    name = "<stdin>" if file == "-" else click.format_filename(file)
    if output == "json":
        rows = [_row(name, finding) for finding in findings]
        click.echo(json.dumps(rows, indent=2))
    else:
        for finding in findings:
            click.echo(_line(name, finding))
    if any(severity is Severity.ERROR for severity, _ in findings):
        context.exit(1)


def _row(name: str, finding: Finding) -> dict[str, str | int]:
    severity, problem = finding
    return {"file": name, "severity": severity.value, **problem.members()}


def _line(name: str, finding: Finding) -> str:
    severity, problem = finding
    place = name if problem.line is None else f"{name}:{problem.line}"
    first = f" (first in line {problem.first_line})" if problem.first_line else ""
    return f"{place}: {severity.value}: {problem.detail}{first}"
