"""Reads mappings of a YAML file, and notes all that is wrong in them with its line.

Values are read as they are written, not as what YAML takes them for, and only where
they are asked for. No message quotes a value that may be a secret, nor what is around
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from pushrelay.errors import PushrelayError
from pushrelay.quoting import quote
from pushrelay.shown import meant, shown_name

_YAML = "tag:yaml.org,2002:"
_NULL = f"{_YAML}null"
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")

_Value = TypeVar("_Value")


class WrongValue(PushrelayError):
    """A value that cannot stand for its key."""


class NoYAML(PushrelayError):
    """Text that is no YAML document, with its `line`."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"is not YAML: {problem}")
        self.line: int = line


@dataclass(frozen=True, slots=True)
class Problems:
    """What is wrong in the file at `path`."""

    path: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def note(self, line: int, problem: str) -> None:
        """Note a problem."""
        self.found.append((line, problem))

    def lines(self) -> list[str]:
        """Return all of them for a person, in the order of the file."""
        found = sorted(set(self.found))
        return [f"{self.path}:{line}: {problem}" for line, problem in found]


class YamlTable:
    """A mapping of the file, empty where there is none.

    path: of its keys from the top, empty for the top itself.
    """

    def __init__(self, node: Node | None, path: str, problems: Problems) -> None:
        self._node = node
        self._path = path
        self._problems = problems
        self._values: dict[str, tuple[ScalarNode, Node]] = {}
        if node is not None and not _is_null(node):
            self._take(node)

    def _take(self, node: Node) -> None:
        if not isinstance(node, MappingNode):
            self.refuse("", f"must be a mapping, not {_kind(node)}")
            return
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._note(key, "", "a key must be text")
            elif key.value in self._values:
                first = _line(self._values[key.value][0])
                self._note(key, key.value, f"was given already, in line {first}")
            else:
                self._values[key.value] = key, value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, key: str) -> bool:
        """Whether there is `key`, with a value."""
        return key in self._values and not _is_null(self._values[key][1])

    @property
    def is_empty(self) -> bool:
        """Whether it has no keys."""
        return not self._values

    @property
    def problem_count(self) -> int:
        """How many problems there are by now, here and in the rest of the file."""
        return len(self._problems.found)

    def refuse(self, key: str, problem: str) -> None:
        """Note a problem of `key`, or of the mapping where that is empty or missing."""
        node = self._values[key][0] if key in self._values else self._node
        self._note(node, key, problem)

    def refuse_all_but(self, known: Iterable[str]) -> None:
        """Note every key that is not `known`."""
        known = list(known)
        for key in self._values.keys() - known:
            hint = meant(key, known) or f"write {listed(known)}"
            self.refuse(key, f"is not known here; {hint}")

    def read(self, key: str, convert: Callable[[Node], _Value]) -> _Value | None:
        """Return what `convert` makes of the value of `key`; None if there is none, or
        if `convert` raises a PushrelayError, which is noted."""
        if key not in self:
            return None
        try:
            return convert(self._values[key][1])
        except PushrelayError as error:
            self.refuse(key, str(error))
            return None

    def table(self, key: str) -> YamlTable:
        """Return the mapping at `key`."""
        node = self._values[key][1] if key in self else None
        return YamlTable(node, self._path_of(key), self._problems)

    def _note(self, node: Node | None, key: str, problem: str) -> None:
        path = self._path_of(key)
        line = _line(node) if node is not None else 1
        self._problems.note(line, f"{path}: {problem}" if path else problem)

    def _path_of(self, key: str) -> str:
        name = shown_name(key) if key else ""
        if name.startswith("$"):
            # It was written in place of a name.
            name = "(a hash)"
        return f"{self._path}.{name}".strip(".")


def read_yaml(text: str, problems: Problems) -> YamlTable:
    """Return the mapping that `text` is. Raises NoYAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NoYAML(line, f"{error.reason}, character {error.character:#x}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise NoYAML(line, _problem(error)) from None
    except RecursionError:
        raise NoYAML(1, "it is nested too deep") from None
    return YamlTable(node, "", problems)


def text_of(node: Node) -> str:
    """Return a text as it is written; raises WrongValue."""
    if not isinstance(node, ScalarNode) or not _has_usual_tag(node):
        raise WrongValue(f"must be text, not {_kind(node)}")
    return str(node.value)


def texts_of(node: Node) -> tuple[str, ...]:
    """Return a list of texts; raises WrongValue."""
    if not isinstance(node, SequenceNode):
        raise WrongValue(f"must be a list, not {_kind(node)}")
    return tuple(map(text_of, node.value))


def flag_of(node: Node) -> bool:
    """Return true or false; raises WrongValue."""
    written = text_of(node).lower()
    # In quotes it would be text.
    if written not in _FLAGS or getattr(node, "style", None):
        raise WrongValue("must be true or false")
    return _FLAGS[written]


def whole_number_of(node: Node) -> int:
    """Return a whole number; raises WrongValue."""
    written = text_of(node)
    if not _WHOLE_NUMBER.fullmatch(written):
        raise WrongValue(f"must be a whole number, not {quote(written[:40])}")
    return int(written)


def one_of(members: dict[str, _Value]) -> Callable[[Node], _Value]:
    """Return what reads the name of one of `members`; raises WrongValue."""

    def convert(node: Node) -> _Value:
        name = text_of(node)
        if name not in members:
            written = quote(name[:80])
            raise WrongValue(f"must be {listed(members)}, not {written}")
        return members[name]

    return convert


def listed(words: Iterable[str]) -> str:
    """Return `words` with commas, and "or" before the last."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if problem == "but found another document":
        return "it has more than one document"
    if problem == "second occurrence":
        return "an anchor is there twice"
    # Names of aliases and tags may be the beginning of a secret without quotes.
    is_name = isinstance(error, yaml.composer.ComposerError) or "tag handle" in problem
    return problem.partition(" '")[0] if is_name else problem


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: Node) -> bool:
    return bool(node.tag == _NULL)


def _has_usual_tag(node: Node) -> bool:
    return node.tag.startswith(_YAML) and node.tag != f"{_YAML}binary"


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return "text" if _has_usual_tag(node) else "text with a tag"
