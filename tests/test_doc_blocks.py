"""Every block of code in the docs is what its language says."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from doc_examples import Block, blocks, example_in, pages
from promtool import accepted, needs_promtool

from pushrelay.cli.main import cli
from pushrelay.crontab import adopt

SHELLCHECK = Path(sys.executable).with_name("shellcheck")
# A block may be part of a script: names come from before, and are used afterwards.
PART_OF_A_SCRIPT = ("SC2034", "SC2154", "SC2164", "SC1091")
OF_OTHER_TESTS = {"haproxy": "tests/e2e/test_several_databases.py runs it"}
"""Languages that are not read here, and what does it."""


def every_block(*languages: str) -> list[Block]:
    """Return the blocks in `languages` of all pages."""
    return [block for page in pages() for block in blocks(page, *languages)]


def read_ini(text: str) -> None:
    """Read a unit of systemd, in which a key may come twice."""
    configparser.ConfigParser(strict=False, interpolation=None).read_string(text)


def read_crontab(text: str) -> None:
    """Read lines of a crontab, none of which may be unclear."""
    known = f"PUSHRELAY_URL=http://relay:9091\n{text}"
    assert adopt(known)[1] == []
    for line in text.splitlines():
        assert re.match(r"\w+=|[@*0-9]", line), line


def read_diff(text: str) -> None:
    """Read what a crontab has lost and gained."""
    for line in text.splitlines():
        assert line[0] in "+-", line
        read_crontab(line[1:] + "\n")


def read_console(text: str) -> None:
    """Read commands of ours behind a prompt, and what they print."""
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    assert typed
    for line in typed:
        program, command = shlex.split(line)[:2]
        assert program == "pushrelay"
        assert cli.get_command(click.Context(cli), command)


def read_dockerfile(text: str) -> None:
    """Read instructions that each start a program without a shell."""
    for line in text.splitlines():
        instruction, _, words = line.partition(" ")
        assert instruction in {"CMD", "ENTRYPOINT"}
        assert all(isinstance(word, str) for word in json.loads(words))


def read_python(text: str) -> None:
    """Read a program."""
    compile(text, "example", "exec")


READERS: dict[str, Callable[[str], object]] = {
    "console": read_console,
    "crontab": read_crontab,
    "diff": read_diff,
    "dockerfile": read_dockerfile,
    "ini": read_ini,
    "json": json.loads,
    "python": read_python,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    # Words for people, and links, which tests/test_doc_links.py follows.
    "markdown": str,
    "text": str,
}


@pytest.mark.parametrize("page", pages())
def test_every_block_is_in_its_language(page: str) -> None:
    for block in blocks(page):
        if block.language not in {"sh", "promql", *OF_OTHER_TESTS}:
            assert block.language in READERS, f"{block}: {block.language!r}"
            try:
                READERS[block.language](block.text)
            except (ValueError, SyntaxError, yaml.YAMLError) as error:
                raise AssertionError(f"{block}: {error}") from error


def test_every_shell_command_is_sound(tmp_path: Path) -> None:
    for block in every_block("sh"):
        name = str(block).replace("/", "_")
        (tmp_path / name).write_text(block.text)
    excluded = f"--exclude={','.join(PART_OF_A_SCRIPT)}"
    command = [
        SHELLCHECK,
        "--shell=bash",
        "--severity=warning",
        excluded,
        "--format=gcc",
    ]
    done = subprocess.run(
        [*command, *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout.replace(f"{tmp_path}/", "")


@needs_promtool
@pytest.mark.system
def test_every_expression_of_promql_is_one(tmp_path: Path) -> None:
    lines = [
        line
        for block in every_block("promql")
        for line in block.text.splitlines()
        if line and not line.startswith("#")
    ]
    assert lines
    assert accepted(lines, tmp_path) == lines


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("README.md", "config"),
        ("docs/getting-started.md", "config"),
        ("docs/operations.md", "config"),
        ("docs/freshness.md", "rules"),
    ],
)
def test_prometheus_accepts_the_examples(page: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yml"
    file.write_text(example_in(page, "yaml"))
    done = subprocess.run(
        ["promtool", "check", kind, file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
