"""Reads selectors as PromQL writes them.

    {job="backup",instance=~"db.*"}

The braces may be left out, and blanks and a last comma may be added.
"""

from __future__ import annotations

import re
from typing import NoReturn

import re2

from pushrelay.errors import InvalidSelector
from pushrelay.matchers import METRIC_NAME, Matcher, MatchType, Selector
from pushrelay.model import is_utf8
from pushrelay.quoting import quote

MAX_SELECTOR_CHARACTERS = 10_000
# Each may take RE2 3 ms to compile.
MAX_MATCHERS = 32
_SHOWN_CHARACTERS = 200

_BLANKS = re.compile(r"[ \t\r\n]*+")
_OPENING = re.compile(r"\{")
_CLOSING = re.compile(r"\}")
_END = re.compile(r"\Z")
_COMMA = re.compile(",")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*+")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*+(?=[ \t\r\n]*+(?:\{|\Z))")
_OPERATOR = re.compile("=~|!~|!=|=")
_QUOTE = re.compile("[\"'`]")
_STRING = re.compile(
    r'"(?:[^"\\\n]|\\.)*+"' "|" r"'(?:[^'\\\n]|\\.)*+'" "|" "`[^`]*+`", re.DOTALL
)
_WORD = re.compile(r"[a-zA-Z0-9_:.-]{1,50}|.", re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"
    rb"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>00[0-9a-fA-F]{6})|(?P<other>.))",
    re.DOTALL,
)
_CHARACTERS = dict(zip(b"abfnrtv\\", b"\a\b\f\n\r\t\v\\", strict=True))
_BRACES_ARE_MISSING = (
    'matchers stand in braces here, as in {job="x"}; curl takes braces for its own '
    "unless it is called with -g"
)
_NO_METRIC_NAME = (
    "selectors choose groups by their grouping labels and know no metric names; "
    'write for example {job="x"}'
)


def parse_selector(
    text: str, *, of_series: bool = False, needs_braces: bool = False
) -> Selector:
    """Return the selector that `text` is; raises InvalidSelector, which says where it
    is wrong and what was expected.

    `{}` is legal here and chooses all. A metric name is legal only in a selector
    `of_series`, and becomes a matcher of the label `__name__`. needs_braces: whether
    matchers must stand in braces, as on the way from clients that may have lost them.
    """
    scanner = _Scanner(text, of_series)
    if len(text) > MAX_SELECTOR_CHARACTERS:
        scanner.refuse(f"it is longer than {MAX_SELECTOR_CHARACTERS} characters")
    if not is_utf8(text):
        scanner.refuse("it is not valid UTF-8")
    named = _take_metric_name(scanner)
    if scanner.take(_OPENING):
        matchers = named + _take_matchers(scanner, _CLOSING, "a comma or }")
        scanner.expect(_END, "the end")
    elif named:
        matchers = named
        scanner.expect(_END, "{ or the end")
    else:
        if scanner.sees(_END):
            scanner.refuse('expected matchers such as {job="x"}, found nothing')
        if needs_braces:
            scanner.refuse(_BRACES_ARE_MISSING)
        matchers = _take_matchers(scanner, _END, "a comma or the end")
    return Selector(tuple(matchers))


def _take_metric_name(scanner: _Scanner) -> list[Matcher]:
    if not scanner.sees(_METRIC_NAME):
        return []
    scanner.refuse_metric_name()
    name = scanner.expect(_METRIC_NAME, "a metric name")
    return [Matcher(METRIC_NAME, MatchType.EQUAL, name)]


def _take_matchers(
    scanner: _Scanner, end: re.Pattern[str], wanted: str
) -> list[Matcher]:
    matchers: list[Matcher] = []
    while scanner.take(end) is None:
        if len(matchers) == MAX_MATCHERS:
            scanner.refuse(f"there are more than {MAX_MATCHERS} matchers")
        matchers.append(_take_matcher(scanner))
        if scanner.take(_COMMA) is None:
            scanner.expect(end, wanted)
            break
    return matchers


def _take_matcher(scanner: _Scanner) -> Matcher:
    name = _take_label_name(scanner)
    operator = scanner.expect(_OPERATOR, "=, !=, =~ or !~")
    at = scanner.at
    value = scanner.take_string('a value in quotes, such as "x"')
    try:
        return Matcher(name, MatchType(operator), value)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        scanner.refuse(f"the regular expression cannot be used: {reason}", at)


def _take_label_name(scanner: _Scanner) -> str:
    at = scanner.at
    name = scanner.take(_NAME)
    if name is None:
        name = scanner.take_string("a label name")
        if not scanner.sees(_OPERATOR):
            scanner.refuse(_NO_METRIC_NAME, at)
    if name == METRIC_NAME:
        scanner.refuse_metric_name(at)
    if not name:
        scanner.refuse("a label name cannot be empty", at)
    return name


class _Scanner:
    """A place in the text of a selector; blanks before it are skipped."""

    def __init__(self, text: str, of_series: bool) -> None:
        self._text = text
        self._of_series = of_series
        self.at = 0
        self._go_to(0)

    def sees(self, pattern: re.Pattern[str]) -> bool:
        """Whether `pattern` matches here."""
        return pattern.match(self._text, self.at) is not None

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Take what `pattern` matches; None where it does not."""
        match = pattern.match(self._text, self.at)
        if match is None:
            return None
        self._go_to(match.end())
        return match[0]

    def expect(self, pattern: re.Pattern[str], wanted: str) -> str:
        """Take what `pattern` matches, which is called `wanted` if it does not."""
        taken = self.take(pattern)
        if taken is None:
            found = _WORD.match(self._text, self.at)
            self.refuse(f"expected {wanted}, found {_found(found)}")
        return taken

    def take_string(self, wanted: str) -> str:
        """Take a string in quotes; return what it stands for."""
        at = self.at
        if self.sees(_QUOTE) and not self.sees(_STRING):
            self.refuse("the quotes are not closed")
        written = self.expect(_STRING, wanted)
        text = written[1:-1]
        if written[0] == "`" or "\\" not in text:
            return text
        return self._unescape(text, written[0], at + 1)

    def refuse_metric_name(self, at: int | None = None) -> None:
        """Refuse a metric name unless this is a selector of series."""
        if not self._of_series:
            self.refuse(_NO_METRIC_NAME, at)

    def refuse(self, problem: str, at: int | None = None) -> NoReturn:
        """Raise InvalidSelector for what is at `at`, or here."""
        column = (self.at if at is None else at) + 1
        raise InvalidSelector(_shown(self._text), column, problem)

    def _go_to(self, at: int) -> None:
        blanks = _BLANKS.match(self._text, at)
        assert blanks is not None  # noqa: S101  # it matches nothing, too
        self.at = blanks.end()

    def _unescape(self, text: str, quote_mark: str, at: int) -> str:
        def replace(escape: re.Match[bytes]) -> bytes:
            replaced = _unescaped(escape, quote_mark)
            if replaced is None:
                before = len(written[: escape.start()].decode())
                wrong = text[before : before + 2]
                self.refuse(f"{wrong} is no escape, or not all of one", at + before)
            return replaced

        written = text.encode()
        try:
            return _ESCAPE.sub(replace, written).decode()
        except UnicodeDecodeError:
            self.refuse("the escapes in this string make no valid UTF-8", at - 1)


def _unescaped(escape: re.Match[bytes], quote_mark: str) -> bytes | None:
    """Return what an escape stands for, bytes since Go can escape single ones."""
    kind, digits = escape.lastgroup, escape[escape.lastgroup or 0]
    if kind == "other":
        meant = {**_CHARACTERS, ord(quote_mark): ord(quote_mark)}.get(digits[0])
        return None if meant is None else bytes([meant])
    if kind in ("byte", "octal"):
        return bytes([int(digits, 16 if kind == "byte" else 8)])
    try:
        return chr(int(digits, 16)).encode()
    except ValueError:  # a surrogate, or more than the last character
        return None


def _found(match: re.Match[str] | None) -> str:
    return "the end" if match is None else _shown(match[0])


def _shown(text: str) -> str:
    """Return `text` for a message: as it is in backticks, or else quoted."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return f"`{text}`" if text.isprintable() and "`" not in text else quote(text)
