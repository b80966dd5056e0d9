"""The values of options of `pushrelay exec`, from what is written.

All functions raise ValueError with a sentence that follows the option's name. They are
read before the command starts, so that nothing is imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}
_LARGEST_TAIL = 10_000
_MOST_RETRIES = 1000


def text(written: str) -> str:
    """Return what is written, which must not be empty."""
    if not written:
        raise ValueError("must not be empty")
    return written


def any_text(written: str) -> str:
    """Return what is written."""
    return written


def label(written: str) -> tuple[str, str]:
    """Return the name and the value of a label."""
    name, equals, value = written.partition("=")
    if not (name and equals):
        raise ValueError(f"must be NAME=VALUE, not {written}")
    if name == "job":
        raise ValueError("cannot be the job; name that with --job")
    return name, value


def duration(written: str) -> int:
    """Return a duration in nanoseconds."""
    from pushrelay.durations import parse_duration  # most runs need none
    from pushrelay.errors import InvalidDuration

    try:
        return parse_duration(written)
    except InvalidDuration as error:
        raise ValueError(f"is wrong: {error}") from None


def time_limit(written: str) -> int:
    """Return a duration in nanoseconds that is longer than none."""
    if not (limit := duration(written)):
        raise ValueError("must be longer than 0; leave it out for no limit")
    return limit


def written_duration(written: str) -> str:
    """Return a duration as it is written."""
    duration(written)
    return written


def retries(written: str) -> int:
    """Return how often to try again."""
    if not (_is_number(written) and int(written) <= _MOST_RETRIES):
        raise ValueError(f"must be a number from 0 to {_MOST_RETRIES}, not {written}")
    return int(written)


def exit_codes(written: str) -> frozenset[int]:
    """Return the codes and ranges of codes that are listed."""
    codes: set[int] = set()
    for part in written.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(map(_is_code, ends)) or int(ends[0]) > int(ends[1]):
            raise ValueError(
                f"must be exit codes from 0 to 255, such as 0,3-5, not {written}"
            )
        codes.update(range(int(ends[0]), int(ends[1]) + 1))
    return frozenset(codes)


def tail_size(written: str) -> int:
    """Return a number of bytes."""
    unit = written.lstrip("0123456789")
    number = written.removesuffix(unit)
    size = _UNITS.get(unit.strip().lower())
    if not _is_number(number) or size is None or int(number) * size > _LARGEST_TAIL:
        raise ValueError(
            f"must be bytes up to {_LARGEST_TAIL // 1000}kB, such as 4kB, not {written}"
        )
    return int(number) * size


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what takes one of `choices`."""

    def convert(written: str) -> str:
        if written not in choices:
            raise ValueError(f"must be {' or '.join(choices)}, not {written}")
        return written

    return convert


def _is_code(written: str) -> bool:
    return _is_number(written) and int(written) <= 255


def _is_number(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) < 10
