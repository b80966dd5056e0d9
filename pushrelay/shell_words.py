"""Shell commands: which are a program and its words, and which program a command runs.

Nothing is expanded or run, and no shell is understood as a whole: `is_simple` says yes
only where it is sure, and `program_of` guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BUILTIN_WORDS = """
. : [ [[ alias bg bind break builtin caller case cd chdir command compgen complete
compopt continue coproc declare dirs disown do done echo elif else enable esac eval
exec exit export false fc fg fi for function getopts hash help history if in jobs kill
let local logout mapfile popd print printf pushd pwd read readarray readonly return
select set shift shopt source suspend test then time times trap true type typeset
ulimit umask unalias unset until wait whence while
"""
_BUILTINS = frozenset(_BUILTIN_WORDS.split())
"""Words that a shell does not look for on PATH. What they do may depend on the shell,
and a program of the same name may do it otherwise."""

_SINGLE = r"'[^']*'"
_VARIABLE = r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})"
_DOUBLE = rf'"(?:[^"\\$`]|\\.|{_VARIABLE})*"'
_WORD = rf"(?!#)(?:[^\s'\"\\$`&|;<>()]|\\.|{_VARIABLE}|{_SINGLE}|{_DOUBLE})+"
_SIMPLE = re.compile(rf"({_WORD})(?:[ \t]+{_WORD})*[ \t]*(?:[ \t]#.*)?")

TOKEN = re.compile(
    r"(?P<blank>\s+|(?<!\S)#.*)"
    r"|(?P<redirection>[0-9]*&?[<>][<>&|-]*)"
    r"|(?P<operator>[;&|()]+)"
    rf"|(?P<word>(?:{_SINGLE}"
    r'|"(?:[^"\\]|\\.)*"|`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\\.'
    r"|[^\s;&|()<>])+)"
)

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")

_LEADING = frozenset({"!", "{", "do", "elif", "else", "if", "then", "until", "while"})
"""Words of the shell behind which a command begins."""

_HEADS = frozenset({"case", "for", "function", "in", "select"})
"""Words of the shell whose line runs nothing by itself."""

_LAUNCHERS = {
    "chronic": ("", 0),
    "chrt": ("", 1),
    "command": ("", 0),
    "doas": ("Cu", 0),
    "env": ("CSu", 0),
    "exec": ("a", 0),
    "flock": ("Ew", 1),
    "ionice": ("cn", 0),
    "nice": ("n", 0),
    "nohup": ("", 0),
    "run-parts": ("a", 0),
    "setsid": ("", 0),
    "stdbuf": ("eio", 0),
    "sudo": ("CDRTghpu", 0),
    "systemd-cat": ("pt", 0),
    "taskset": ("", 1),
    "time": ("fo", 0),
    "timeout": ("ks", 1),
}
"""Programs that run another: the letters of their options that have a value, and how
many arguments stand before the other program."""

_SHELL = re.compile(r"(?:ba|da|a|k|z)?sh")
_INTERPRETER = re.compile(r"(?:python|pypy|php)[0-9.]*|perl|ruby|node|Rscript")
_INTERPRETER_VALUES = "WXdI"


def is_simple(command: str) -> bool:
    """Return whether `command` is one program and its words, quotes and variables among
    them, such that another program can be put before it and changes nothing else."""
    found = _SIMPLE.fullmatch(command)
    if not found:
        return False
    first = _unquoted(found[1])
    if first in _BUILTINS or set(first) & set("=[]{}*?!%^"):
        return False
    # What is in a variable might be a builtin, but hardly in a part of a path.
    return bool(first) and ("$" not in first or "/" in first)


def quoted(text: str) -> str:
    """Return `text` as one word of a shell, in single quotes."""
    return "'" + text.replace("'", r"'\''") + "'"


def program_of(command: str) -> str:
    """Return the name, without directories, of the first program that `command` runs
    and that is no part of the shell; of a script, and not of what interprets it. A part
    of the shell where there is nothing else; empty if there is nothing at all."""
    builtin = ""
    for words in _commands(command):
        name = _program(words)
        if name and name not in _BUILTINS:
            return name
        builtin = builtin or name
    return builtin


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the words, without quotes, of each command in `text`."""
    words: list[str] = []
    is_target = False
    position = 0
    while found := TOKEN.match(text, position):
        position = found.end()
        if found["operator"]:
            yield words
            words = []
        elif found["redirection"]:
            is_target = True
        elif found["word"] and is_target:
            is_target = False
        elif found["word"]:
            words.append(found["word"])
    yield words


def _program(words: list[str]) -> str:
    rest = _after_leading(words)
    while rest:
        name = _base(rest[0])
        if _SHELL.fullmatch(name) or _INTERPRETER.fullmatch(name):
            return _script(name, rest[1:]) or name
        if name not in _LAUNCHERS:
            return name
        letters, arguments = _LAUNCHERS[name]
        behind = _after_leading(_after_options(rest[1:], letters)[arguments:])
        if not behind or behind[0].startswith("-"):
            return name
        rest = behind
    return ""


def _after_leading(words: list[str]) -> list[str]:
    for position, word in enumerate(words):
        if word in _HEADS:
            return []
        if word not in _LEADING and not _ASSIGNMENT.match(word):
            return words[position:]
    return []


def _after_options(words: list[str], letters: str) -> list[str]:
    """Return `words` behind the options at their beginning, of which those that end in
    one of `letters` have a value in the next word."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        option = words[position]
        position += 1
        if option == "--":
            break
        has_value = option[1:2] != "-" and option[-1] in letters
        position += has_value
    return words[position:]


def _script(interpreter: str, words: list[str]) -> str:
    """Return the name of what `interpreter` reads; empty if that has none."""
    for position, word in enumerate(words[:-1]):
        if not word.startswith("-"):
            break
        if word == "-m" or (word == "-f" and interpreter.startswith("php")):
            return _base(words[position + 1])
        if _SHELL.fullmatch(interpreter) and re.fullmatch("-[a-z]*c", word):
            return program_of(_unquoted(words[position + 1]))
        if word[1:] in ("c", "e", "r"):
            return ""
    behind = _after_options(words, _INTERPRETER_VALUES)
    return _base(behind[0]) if behind else ""


def _base(word: str) -> str:
    return _unquoted(word).rstrip("/").rpartition("/")[2]


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)|['\"]", r"\1", word)
