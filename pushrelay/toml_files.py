"""Reads files in TOML, and tells all that is wrong in them, each with its line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pushrelay.config import MIB
from pushrelay.errors import InvalidRules
from pushrelay.rule_tables import Problem
from pushrelay.toml_lines import TomlLines

MAX_FILE_BYTES = MIB


def read_text(path: Path) -> str:
    """Return the text of the file at `path`. Raises InvalidRules where it cannot be
    read or is larger than MAX_FILE_BYTES."""
    try:
        if path.is_fifo() or path.is_char_device():
            # Reading might wait for ever.
            raise InvalidRules([f"{path}: cannot be read: it is no file"])
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidRules([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidRules([f"{path}: is larger than {MAX_FILE_BYTES} bytes"])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRules([f"{path}:{line}: is not UTF-8"]) from error


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """Return what `text`, of `file`, says. Raises InvalidRules."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r"at line (\d+)", str(error))
        line = place[1] if place else text.count("\n", 0, -1) + 1
        raise InvalidRules([f"{file}:{line}: is not TOML: {error}"]) from error


def located(problems: list[Problem], text: str, file: str) -> list[str]:
    """Return `problems` of `text` for a person, each after `file` and its line."""
    lines = TomlLines(text)
    located = [(lines.of(path), f"{path}: {problem}") for path, problem in problems]
    return [f"{file}:{line}: {problem}" for line, problem in sorted(located)]
