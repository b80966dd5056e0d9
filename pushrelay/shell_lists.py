"""Shell commands whose exit status does not say whether all went well.

No shell is understood as a whole: what is said here is said only where it is sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pushrelay.shell_words import TOKEN

_OPERATOR = re.compile(r"&&|\|\||\|&|[;&|()]")
_SUBSTITUTION = r"`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\\."
_CLOSED = re.compile(rf"""'[^']*'|"((?:[^"\\]|\\.)*)"|{_SUBSTITUTION}""")

_LEADING = frozenset({"!", "do", "elif", "else", "then"})
_OPENING = frozenset({"{", "for", "if", "until", "while"})
_CLOSING = frozenset({"}", "done", "fi"})
_UNCLEAR = frozenset({"case", "coproc", "function", "select"})
_ASSIGNMENT = re.compile(r"\w+\+?=")

_TESTS = frozenset({"test", "[", "[["})
_NEVER_FAILING = frozenset({":", "echo", "printf", "true", "yes"})


def hides_failures(command: str) -> bool:
    """Return whether `command` ends as a pipe does, of which commands before the last
    may fail, and nobody notices."""
    if "pipefail" in command:
        return False
    return any(
        pipe.programs[0] != "!"
        and any(program not in _NEVER_FAILING for program in pipe.programs[:-1])
        for pipe in _last_list(command)
    )


def fails_by_a_test(command: str) -> bool:
    """Return whether `command` fails whenever a test before a `&&` is false."""
    pipes = _last_list(command)
    tests = [pipe for pipe in pipes[:-1] if pipe.is_a_test]
    return bool(tests) and all(pipe.operator == "&&" for pipe in pipes[1:])


@dataclass(slots=True)
class _Pipe:
    """What stands between `&&`, `||` and `;`: first words of commands, and what is
    before it."""

    operator: str
    programs: list[str] = field(default_factory=list)

    @property
    def is_a_test(self) -> bool:
        return len(self.programs) == 1 and self.programs[0] in _TESTS


class _Unclear(Exception):
    """A command that is not understood."""


def _last_list(command: str) -> list[_Pipe]:
    """Return what the exit status of `command` is that of: pipes with `&&` or `||`
    between them. Empty if that is in the background, or not understood."""
    try:
        lists = _lists(command)
    except _Unclear:
        return []
    return lists[-1] if lists[-1] or len(lists) == 1 else lists[-2]


def _lists(command: str) -> list[list[_Pipe]]:
    """Return the lists that `command` is made of; empty for one in the background, and
    at the end if nothing follows a `;`."""
    lists: list[list[_Pipe]] = [[]]
    pipe = _Pipe("")
    program = ""
    for operator, word in _outermost(command):
        if word:
            program = program or word.rpartition("/")[2]
            continue
        is_over = operator in ("", ";", "&")
        if program:
            pipe.programs.append(program)
        elif not is_over or pipe.programs or lists[-1]:
            raise _Unclear
        program = ""
        if operator in ("|", "|&"):
            continue
        if pipe.programs:
            lists[-1].append(pipe)
        pipe = _Pipe(operator)
        if operator == "&":
            lists[-1:] = [[], []]
        elif operator == ";":
            lists.append([])
    return lists


def _outermost(command: str) -> Iterator[tuple[str, str]]:
    """Yield the operators and words of `command` that are in no compound command, each
    beside an empty text; at last, two of these. Of a compound command, yield its first
    word. Raises _Unclear."""
    depth = 0
    begins = True
    for kind, text in _pieces(command):
        before = depth
        if kind == "operator":
            depth += {"(": 1, ")": -1}.get(text, 0)
            begins = text != ")"
            if not before and text != ")":
                yield ("", "(") if text == "(" else (text, "")
        else:
            if begins:
                if text in _UNCLEAR:
                    raise _Unclear
                depth += (text in _OPENING) - (text in _CLOSING)
                begins = text in _LEADING or (text in _OPENING and text != "for")
            if not before and not _ASSIGNMENT.match(text):
                yield "", text
        if depth < 0:
            raise _Unclear
    if depth:
        raise _Unclear
    yield "", ""


def _pieces(command: str) -> Iterator[tuple[str, str]]:
    """Yield operators and words of `command`, less redirections. Raises _Unclear."""
    is_target = False
    position = 0
    while found := TOKEN.match(command, position):
        position = found.end()
        if found["redirection"]:
            is_target = not found["redirection"].endswith("-")
        elif found["operator"]:
            for operator in _OPERATOR.findall(found["operator"]):
                yield "operator", operator
            is_target = False
        elif found["word"]:
            if not _is_closed(found["word"]):
                raise _Unclear
            if not is_target:
                yield "word", found["word"]
            is_target = False
    if position < len(command):
        raise _Unclear


def _is_closed(word: str) -> bool:
    """Return whether all quotes that `word` opens end in it."""
    if word.startswith("#") or re.search(r"['\"`\\]", _CLOSED.sub("", word)):
        return False
    inner = [re.sub(_SUBSTITUTION, "", found or "") for found in _CLOSED.findall(word)]
    return not any("`" in text or "$(" in text for text in inner)
