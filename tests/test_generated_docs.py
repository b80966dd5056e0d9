"""What the docs have from the code is what the code gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from doc_examples import DOCS

from docs.generate import generated, with_flags
from docs.manual import contexts_below, filled
from pushrelay.cli.main import cli

needs_groff = pytest.mark.skipif(
    not shutil.which("groff"), reason="groff is not installed"
)

PAGE = """# Flags

| flag | variable | default | meaning |
|---|---|---|---|
| `--gone` | `GONE` | | is not there any more |
| `--a` | `OLD` | `1` | a \\| b, [longer](x.md) than its help |

More.
"""


@pytest.mark.parametrize(
    ("path", "text"), generated().items(), ids=lambda each: Path(each).name
)
def test_the_file_is_what_the_code_gives(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `make docs`, and look at what it changed"


def test_a_table_has_rows_as_the_options_are_and_meanings_as_they_were() -> None:
    command = click.Command(
        "x",
        params=[
            click.Option(["--new/--no-new"], envvar="NEW", help="On|off."),
            click.Option(["--a"], envvar="A", default="2", help="A."),
            click.Option(
                ["--b"], envvar="B", default=["x", "y"], multiple=True, help="B."
            ),
            click.Option(["--c"], envvar="C", default="", help="C."),
            click.Argument(["d"]),
        ],
    )
    before = PAGE.partition("| `--gone` ")[0]
    assert with_flags(PAGE, command) == (
        f"{before}"
        "| `--new` | `NEW` | off | On\\|off. |\n"
        "| `--a` | `A` | `2` | a \\| b, [longer](x.md) than its help |\n"
        "| `--b` | `B` | `x y` | B. |\n"
        "| `--c` | `C` | | C. |\n"
        "\nMore.\n"
    )


def test_a_page_without_the_table_is_told_of() -> None:
    with pytest.raises(SystemExit, match="There is no table of flags"):
        with_flags("# Flags\n", click.Command("x"))


@pytest.fixture(scope="module")
def shown() -> str:
    """The manual page as a reader sees it, in a line; groff had nothing to warn of."""
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c", "-rHY=0", DOCS / "pushrelay.1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return " ".join(re.sub(".\x08", "", done.stdout).split())


@pytest.mark.system
@needs_groff
def test_the_manual_page_shows_all_commands_and_options(shown: str) -> None:
    _, *parts = re.split(r"(?<=\S )(?=pushrelay [a-z -]+ pushrelay )", shown)
    contexts = list(contexts_below(click.Context(cli, info_name="pushrelay")))
    assert len(parts) == len(contexts)
    for part, context in zip(parts, contexts, strict=True):
        path = context.command_path
        assert part.startswith(f"{path} {path} ")
        assert " ".join(str(context.command.help).split()) in part
        for option in context.command.params:
            if isinstance(option, click.Option):
                assert f" {option.opts[0]} " in part
                assert " ".join(str(option.help).split()) in part


@pytest.mark.system
@needs_groff
def test_the_text_of_a_manual_page_is_no_language_of_its_own(tmp_path: Path) -> None:
    strange = [".so x", "'x'", "`~^\\fB-- \\n(.x", "\\", "..."]
    page = tmp_path / "x.1"
    lines = [line for text in strange for line in (".PP", *filled(text))]
    page.write_text("\n".join(['.TH X 1 "" "" ""', ".SH X", *lines, ""]))
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c", page],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    told = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert told[2:-1] == strange
