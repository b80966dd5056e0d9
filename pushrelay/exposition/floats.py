"""Numbers as Go writes and reads them, because clients and scrapers have always seen
them so: `1e+06` where Python has `1000000.0`."""

from __future__ import annotations

from math import copysign, inf, isinf, nan

_DECIMAL = "0123456789.eE+-"
_WORDS = {
    "nan": nan,
    "inf": inf,
    "+inf": inf,
    "-inf": -inf,
    "infinity": inf,
    "+infinity": inf,
    "-infinity": -inf,
}
_LONGEST_WORD = len("+infinity")
# From this on, numbers are written with an exponent (as below 1e-4).
_FIRST_WITH_EXPONENT = 1e6
_EXPONENTS = [f"e+{digits - 1:02d}" for digits in range(18)]
"""By the number of digits before the point."""


def format_float(value: float) -> str:
    """Return `value` as the text format has it: the fewest digits that read back as
    the same number, with an exponent if it is below -4 or above 5; -0 is `0`."""
    if -_FIRST_WITH_EXPONENT < value < _FIRST_WITH_EXPONENT:
        whole = int(value)
        return str(whole) if whole == value else repr(value)
    if value != value:
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    # An int is a number as well, and its `repr` has no point.
    return _with_exponent(repr(float(value)))


def format_go_value(value: float) -> str:
    """Return `value` as Go's `%v` prints it in the query API: a float like
    `format_float` but with the sign of -0, an int as it is."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "-0" if copysign(1, value) < 0 else "0"
    return format_float(value)


def parse_float(text: str) -> float:
    """Return the number that `text` is, blanks around it not allowed.

    Raises ValueError for what is not a decimal number, `NaN` or a signed or unsigned
    `Inf` or `Infinity` (in any case), and for a number too large for a float.
    """
    if text.strip(_DECIMAL):
        word = _WORDS.get(text.lower()) if len(text) <= _LONGEST_WORD else None
        if word is None:
            raise ValueError("not a number")
        return word
    try:
        # Of these characters, Python makes the same numbers as Go.
        value = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not -inf < value < inf:
        raise ValueError("value out of range")
    return value


def _with_exponent(text: str) -> str:
    """Give the `repr` of a number of at least 1e6 an exponent if it has none."""
    if "e" in text:
        return text
    if text[0] == "-":
        return "-" + _with_exponent(text[1:])
    point = text.index(".")
    rest = (text[1:point] + text[point + 1 :]).rstrip("0")
    shown = f"{text[0]}.{rest}" if rest else text[0]
    return shown + _EXPONENTS[point]
