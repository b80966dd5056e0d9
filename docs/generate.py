"""Write what the docs have from the code: the table of flags, and the manual page.

The code gives a flag its row, its variable and its default. What it means is written in
the table by hand, for that may be longer than its help; it stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from docs.manual import manual
from pushrelay.cli.main import cli
from pushrelay.cli.serve import serve

DOCS = Path(__file__).parent
HEADING = "| flag | variable | default | meaning |\n|---|---|---|---|\n"


def generated() -> dict[Path, str]:
    """Return the files that follow from the code, and what they should hold now."""
    configuration = DOCS / "configuration.md"
    return {
        configuration: with_flags(configuration.read_text(), serve),
        DOCS / "pushrelay.1": manual(cli),
    }


def with_flags(page: str, command: click.Command) -> str:
    """Return `page` with a row in its table of flags for each option of `command`. A
    row that is new has the option's help for its meaning."""
    before, heading, rest = page.partition(HEADING)
    if not heading:
        raise SystemExit(f"There is no table of flags: write the lines {HEADING!r}")
    table, end, after = rest.partition("\n\n")
    row = re.compile(r"^\| `(\S+)` \|(?:[^|]*\|){2} (.*) \|$", re.MULTILINE)
    meanings = dict(row.findall(table))
    return before + heading + "\n".join(rows(command, meanings)) + end + after


def rows(command: click.Command, meanings: dict[str, str]) -> Iterator[str]:
    """Yield a row for each option of `command`, with its meaning by its flag."""
    for option in command.params:
        if isinstance(option, click.Option):
            flag = option.opts[0]
            meaning = meanings.get(flag) or str(option.help).replace("|", r"\|")
            default = written_default(option)
            yield f"| `{flag}` | `{option.envvar}` |{default} | {meaning} |"


def written_default(option: click.Option) -> str:
    """Return what a cell has between its line and a blank."""
    if option.is_flag:
        return " on" if option.default is True else " off"
    default = " ".join(option.default) if option.multiple else option.default
    return f" `{default}`" if default else ""


def main() -> None:
    for path, text in generated().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
