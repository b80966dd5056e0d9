"""Where things stand in a TOML text, which `tomllib` does not tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_NAME = r"[\w-]+(?:[ \t]*\.[ \t]*[\w-]+)*"
_TOKEN = re.compile(
    rf"^[ \t]*\[\[[ \t]*(?P<item>{_NAME})[ \t]*\]\]"
    rf"|^[ \t]*\[[ \t]*(?P<table>{_NAME})[ \t]*\]"
    rf"|^[ \t]*(?P<key>{_NAME})[ \t]*="
    # Strings and comments, so that nothing in them looks like one of the above.
    r'|"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+",
    re.MULTILINE | re.DOTALL,
)


class TomlLines:
    """The lines of tables and keys in `text`, which is valid TOML.

    A path is written `jobs[2].limits.series`; the tables of an array count from 1.
    """

    def __init__(self, text: str) -> None:
        self._lines = {"": 1}
        for path, line in _places(text):
            # An array, and a table without a head of its own, begins with its first.
            while path not in self._lines:
                self._lines[path] = line
                path = _around(path)

    def of(self, path: str) -> int:
        """Return the line, counted from 1, of `path` or of what is around it.

        What is within an inline table or has quotes around its name is not found.
        """
        while path not in self._lines:
            path = _around(path)
        return self._lines[path]


def _around(path: str) -> str:
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def _places(text: str) -> Iterator[tuple[str, int]]:
    items: Counter[str] = Counter()
    table, line, at = "", 1, 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup is None:
            continue
        line += text.count("\n", at, token.start())
        at = token.start()
        name = re.sub(r"[ \t]", "", token[token.lastgroup])
        if token.lastgroup == "key":
            yield table + name, line
            continue
        if token.lastgroup == "item":
            items[name] += 1
        first, dot, rest = name.partition(".")
        path = f"{first}[{items[first]}]{dot}{rest}" if items[first] else name
        yield path, line
        table = f"{path}."
