"""A place in a line of the text format, and the tokens that may stand there."""

from __future__ import annotations

import re

from pushrelay.quoting import quote

_METRIC_NAME = re.compile(r"(?:[a-zA-Z_:][a-zA-Z0-9_:]*+)?")
_LABEL_NAME = re.compile(r"(?:[a-zA-Z_][a-zA-Z0-9_]*+)?")
_BLANKS = re.compile(r"[ \t]*+")
_WORD = re.compile(r"[^ \t\n]*+")
# Possessive: a long text costs neither memory for backtracking nor the time.
_QUOTED = re.compile(r'[^"\\\n]*+(?:\\["\\n][^"\\\n]*+)*+')
_HELP = re.compile(r'[^\\\n]*+(?:\\["\\n][^\\\n]*+)*+')
# A lone surrogate that no decoding produces, so that no text has it.
_ESCAPED_BACKSLASH = "\ud800"
# A line may be as long as the body; a message about it must not.
_SHOWN_CHARACTERS = 1000


class LineError(Exception):
    """A line that is not in the text format; the text is the pusher's to see."""


class Cursor:
    """A place in `text`, which is a line with its line feed, unless the body ended
    without one. All methods raise LineError where the line has not what they want."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """Return the next character."""
        if self._at == len(self._text):
            raise LineError("unexpected end of input stream")
        return self._text[self._at]

    def skip_blanks(self) -> str:
        """Skip blanks; return the next character."""
        self._take(_BLANKS)
        return self.peek()

    def is_at_end(self) -> bool:
        """Skip blanks; return whether not even a line feed follows."""
        self._take(_BLANKS)
        return self._at == len(self._text)

    def skip(self) -> None:
        """Skip the next character."""
        self._at += 1

    def take_word(self) -> str:
        """Take what is left up to a blank or the line feed; nothing is a word, too."""
        word = self._take(_WORD)
        self.peek()
        return word

    def take_rest(self) -> str:
        """Take what is left of the line; its backslashes vanish, as they always did."""
        if not self._text.endswith("\n"):
            raise LineError("unexpected end of input stream")
        rest = self._text[self._at : -1]
        self._at = len(self._text) - 1
        return rest.replace("\\", "")

    def take_metric_name(self) -> str:
        """Take a metric's name, empty where there is none; not checked if quoted."""
        return self._take_name(_METRIC_NAME, "metric name")

    def take_label_name(self) -> str:
        """Take a label's name, empty where there is none; not checked if quoted."""
        return self._take_name(_LABEL_NAME, "label name")

    def take_label_value(self) -> str:
        """Take a quoted label value."""
        return self._take_quoted("label value")

    def take_help(self) -> str:
        """Take the rest of the line as HELP text."""
        text = self._take(_HELP)
        self._refuse_backslash()
        return _unescape(text)

    def _take_name(self, pattern: re.Pattern[str], what: str) -> str:
        # A quoted part may follow an unquoted one; that was never refused.
        name = self._take(pattern)
        return name + self._take_quoted(what) if self.peek() == '"' else name

    def _take_quoted(self, what: str) -> str:
        self.skip()
        written = self._take(_QUOTED)
        self._refuse_backslash()
        text = _unescape(written)
        if self.peek() == "\n":
            raise LineError(f"{what} {shown(text)} contains unescaped new-line")
        self.skip()
        return text

    def _refuse_backslash(self) -> None:
        if self.peek() == "\\":
            self.skip()
            raise LineError(f"invalid escape sequence '\\{_first_byte(self.peek())}'")

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None  # noqa: S101  # each pattern matches nothing, too
        self._at = match.end()
        return match[0]


def shown(text: str) -> str:
    """Return `text` quoted for a message, and not all of it if it is long."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return quote(text)


def shown_byte(character: str) -> str:
    """Return the first byte of `character` as Go's `%q` prints a byte."""
    byte = _first_byte(character)
    if byte == "'":
        return r"'\''"
    return "'\"'" if byte == '"' else f"'{quote(byte)[1:-1]}'"


def _first_byte(character: str) -> str:
    return chr(character.encode(errors="surrogateescape")[0])


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    # Pairs of backslashes first, and out of the way: they escape nothing after them.
    return (
        text.replace("\\\\", _ESCAPED_BACKSLASH)
        .replace("\\n", "\n")
        .replace('\\"', '"')
        .replace(_ESCAPED_BACKSLASH, "\\")
    )
